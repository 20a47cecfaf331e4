"""The relay of a deployment under test, run in a container: takes every mail and writes it down, a line of JSON each.

    python -m tests.deployment.relay_program PORT FILE

The times are those of the monotonic clock, which all containers of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from verifier.drill.rig.mail_sink import RecordedMail, listen


async def serve(port: int, path: Path) -> None:
    """Serve for ever; the file is appended to, so that what came before a restart is kept."""
    with path.open("a", buffering=1) as notes:

        def note(mail: RecordedMail) -> float:
            notes.write(json.dumps(asdict(mail)) + "\n")
            return 0.0

        server = await listen(note, port, host="0.0.0.0")  # noqa: S104 - the network is the test's own
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
