"""Set the testbed: topology, room for logs, the peers' virtualenv; and take it down, whatever happens."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sentinel import LocalOptions, LocalTopology
from tests.bench.stage import PROJECT, Testbed
from workers.mail.mailer import Mailer
from workers.smtp.relay_settings import RelaySettings
from workers.smtp.relays import Relays

PEERS_PYTHON = PROJECT / ".venv-bench" / "bin" / "python"
# Room for 100,000 verifications; everything else is as in a deployment.
OPTIONS = LocalOptions(superuser=True, maxmemory="1gb")


@contextmanager
def running_testbed(peers_python: Path | None = PEERS_PYTHON) -> Iterator[Testbed]:
    """Run the topology and give the stage; logs are kept where something went wrong."""
    _end_on_sigterm()
    room = Path(tempfile.mkdtemp(prefix="verifier-bench-"))
    peers = peers_python if peers_python and peers_python.exists() else None
    try:
        with LocalTopology(OPTIONS) as topology:
            yield Testbed(topology, room, peers, mail_bytes=our_mail_bytes())
    except Exception:
        print(f"The logs are in {room}", file=sys.stderr)
        raise
    shutil.rmtree(room, ignore_errors=True)


def our_mail_bytes() -> int:
    """Give the size of one of our mails."""
    relay = RelaySettings("none", "127.0.0.1", 25, connect_timeout_s=5.0, command_timeout_s=15.0)
    mailer = Mailer("Verifier <verifier@localhost>", "Verifier", Relays([relay]))
    mail = mailer.render("0" * 32, 1, "user000001@example.org", "123456", expires_in_s=600, now=time.time())
    return len(mail.payload)


def _end_on_sigterm() -> None:
    """End as Ctrl-C does, so that everything that was started is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
