"""Whose queues are emptied: the systems under test in the set-ups that the benchmarks compare."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.bench.testbed import BenchTestbed
from verifier.drill.rig.systems import CELERY, DRAMATIQ, RQ, SystemUnderTest


@dataclass(frozen=True)
class SetUp:
    """One system with one kind of worker."""

    key: str
    name: str
    setup: str
    """How it runs, for the reader of the table."""
    system: SystemUnderTest
    slow: bool = False
    """Takes one mail at a time over a connection of its own; gets fewer mails, or nobody would wait for it."""

    def fill(self, testbed: BenchTestbed, mails: int) -> None:
        """Fill its queue."""
        if self.system.is_peer:
            testbed.run("fill_peer.py", self.system, self.system.name, str(mails))
        else:
            testbed.fill(mails)


def set_ups(testbed: BenchTestbed) -> list[SetUp]:
    """Return all that can run here: peers only where their virtualenv is."""
    ours = testbed.ours
    two = replace(ours, worker=(*ours.worker, "--processes", "2"))
    found = [
        SetUp("verifier", "Verifier", "flask worker", ours),
        SetUp("verifier-2", "Verifier, 2 processes", "flask worker --processes 2", two),
    ]
    return found + (_peers(testbed) if testbed.peers_python else [])


def quiet_rq(testbed: BenchTestbed, *words: str, worker_class: str = "rq.SimpleWorker") -> SystemUnderTest:
    """Return RQ with this command (`worker`, `worker-pool` and its options), which logs no jobs."""
    worker = ("rq.cli", *words, "-c", "rq_settings", "-w", worker_class, "--quiet", "mail")
    return testbed.peer(replace(RQ, worker=worker))


def _peers(testbed: BenchTestbed) -> list[SetUp]:
    celery = replace(
        CELERY, worker=("celery", "-A", "celery_app", "worker", "-c", "2", "--loglevel", "WARNING")
    )
    in_celery = "celery worker -c 2 (prefork)"
    return [
        SetUp(
            *("rq", "RQ SimpleWorker", "rq worker -w rq.SimpleWorker"),
            quiet_rq(testbed, "worker"),
            slow=True,
        ),
        SetUp(
            *("rq-pool", "RQ worker-pool of 4", "rq worker-pool -n 4 -w rq.SimpleWorker"),
            quiet_rq(testbed, "worker-pool", "-n", "4"),
            slow=True,
        ),
        SetUp("celery", "Celery -c 2", in_celery, testbed.peer(celery)),
        SetUp(
            *("celery-smtplib", "Celery -c 2, finished mail, bare smtplib", in_celery),
            testbed.peer(celery, PEER_MAIL_IS_FINISHED="1"),
        ),
        SetUp(
            *("dramatiq", "Dramatiq", "dramatiq -p 2 -t 8 (its defaults on 2 cores)"),
            testbed.peer(DRAMATIQ),
        ),
    ]
