"""Fill a peer's queue: `python fill_peer.py rq|celery|dramatiq MAILS`, in the peers' virtualenv.

The peers' own modules are found by name: their folder is on the PYTHONPATH.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

BATCH = 500


def fill(peer: str, addresses: list[str]) -> None:
    """Queue with RQ's own bulk call; with Celery and Dramatiq one by one, as they do."""
    app: Any = import_module(f"{peer}_app")
    if peer == "rq":
        for start in range(0, len(addresses), BATCH):
            batch = addresses[start : start + BATCH]
            app.queue.enqueue_many([app.queue.prepare_data("jobs.send", (address,)) for address in batch])
        return
    enqueue = app.send.delay if peer == "celery" else app.send.send
    for address in addresses:
        enqueue(address)


if __name__ == "__main__":
    fill(sys.argv[1], [f"user{number:06d}@example.org" for number in range(int(sys.argv[2]))])
