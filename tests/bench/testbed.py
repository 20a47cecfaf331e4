"""The testbed of the benchmarks: the rig's, emptied between the systems, with the peers in their own virtualenv."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from redis import Redis

from sentinel import LocalOptions
from verifier.drill.rig.process import RigError, RigProcess
from verifier.drill.rig.service import Service
from verifier.drill.rig.systems import PROJECT, SystemUnderTest, verifier
from verifier.drill.rig.testbed import Testbed
from workers.mail.mailer import Mailer

PEERS_PYTHON = PROJECT / ".venv-bench" / "bin" / "python"
PROGRAMS = Path(__file__).with_name("programs")
NO_RELAY = 25
FILL_TIMEOUT_S = 300.0
# Room for 100,000 verifications; everything else is as in a deployment.
OPTIONS = LocalOptions(maxmemory="1gb")


class BenchTestbed(Testbed):
    """One topology for all systems."""

    def __init__(self, peers_python: Path | None) -> None:
        """Plan it; `peers_python` is None, or names no file, where only we are measured."""
        super().__init__("bench", OPTIONS)
        self.peers_python = peers_python if peers_python and peers_python.exists() else None
        self.mail_bytes = our_mail_bytes()
        self.ours = with_settings(verifier(), VERIFIER_MAX_OWED_MAILS="1000000")

    def peer(self, system: SystemUnderTest, **settings: str) -> SystemUnderTest:
        """Return a peer that runs in the peers' virtualenv, with mails as large as ours."""
        if self.peers_python is None:
            raise RigError("There is no virtualenv with the peers: see requirements-bench.in.")
        system = replace(system, python=str(self.peers_python))
        return with_settings(system, PEER_MAIL_BYTES=str(self.mail_bytes), **settings)

    def admin(self) -> Redis:
        """Return a client that may do everything on the master, and waits long enough for large answers."""
        assert self.topology.credentials is not None
        drill = self.topology.credentials.redis_drill
        host, port = self.topology.current_master().endpoint
        return Redis(
            host=host,
            port=port,
            username=drill.username,
            password=drill.password,
            socket_timeout=30,
            protocol=2,
        )

    def flush(self) -> None:
        """Remove everything of the system before, and wait until the replicas have too."""
        with self.admin() as client:
            client.flushall()
            client.execute_command("WAIT", len(self.topology.nodes) - 1, 5000)

    def fill(self, mails: int, *arguments: float) -> None:
        """Fill our queue; `arguments` are those of `fill_ours`."""
        self.run("fill_ours.py", self.ours, str(mails), *map(str, arguments))

    def run(self, program: str, system: SystemUnderTest, *arguments: str) -> None:
        """Run one of the programs in a system's place. Raises RigError where it fails."""
        command = (system.python, str(PROGRAMS / program), *arguments)
        environment = self.environment(system, NO_RELAY)
        with RigProcess(program, command, environment, self.directory) as process:
            process.wait_for_success(FILL_TIMEOUT_S)

    @contextmanager
    def worker(self, system: SystemUnderTest, smtp_port: int) -> Iterator[RigProcess]:
        """Run one worker that mails to this port; it may still be starting."""
        with self.plan_service(system, smtp_port) as service:
            yield service.add_worker()

    @contextmanager
    def web(self, system: SystemUnderTest, smtp_port: int) -> Iterator[Service]:
        """Run a service that answers, without any worker yet."""
        with self.plan_service(system, smtp_port) as service:
            service.start(workers=0)
            yield service


@contextmanager
def running_testbed(peers_python: Path | None = PEERS_PYTHON) -> Iterator[BenchTestbed]:
    """Run the testbed; its logs are kept where something went wrong."""
    # An ordinary end, as with Ctrl-C, so that whatever was started is stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    testbed = BenchTestbed(peers_python)
    try:
        with testbed:
            yield testbed
    except Exception:
        print(f"The logs are in {testbed.directory}", file=sys.stderr)
        raise
    testbed.forget_logs()


def with_settings(system: SystemUnderTest, **settings: str) -> SystemUnderTest:
    """Return the system with more settings."""
    return replace(system, settings={**system.settings, **settings})


def our_mail_bytes() -> int:
    """Return the size of one of our mails."""
    mailer = Mailer("Verifier <verifier@localhost>", "Verifier")
    mail = mailer.render("0" * 32, "user000001@example.org", "123456", expires_in_s=600, now=time.time())
    return len(mail.payload)


def report_progress(sentence: str) -> None:
    """Print to the terminal how far the run is."""
    print(f"  {sentence}", file=sys.stderr, flush=True)
