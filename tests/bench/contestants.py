"""Who competes in emptying a queue: how its queue is filled and how its worker is started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tests.bench.peers.surroundings import FINISHED_VARIABLE, QUEUE
from tests.bench.processes import Child
from tests.bench.stage import Testbed

FILL_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class SystemUnderTest:
    """A queue and its workers."""

    key: str
    name: str
    setup: str
    """How it runs, for the reader of the table."""
    fill: Callable[[Testbed, int], None]
    worker: Callable[[Testbed, int], tuple[list[str], dict[str, str]]]
    """Its command and environment, for a relay at this port."""
    is_peer: bool = True
    slow: bool = False
    """Takes one mail at a time over a connection of its own; gets fewer mails, or nobody would wait for it."""

    def start_worker(self, testbed: Testbed, smtp_port: int) -> Child:
        """Give its worker, to be entered."""
        command, environment = self.worker(testbed, smtp_port)
        return Child(f"worker of {self.key}", command, environment, testbed.room)


def contestants(testbed: Testbed) -> list[SystemUnderTest]:
    """Give everybody who can compete here: peers only where their virtualenv is, `--processes` where it exists."""
    found = [_ours("verifier", "Verifier", "flask worker")]
    if _has_processes_option(testbed):
        found.append(
            _ours("verifier-2", "Verifier, 2 processes", "flask worker --processes 2", "--processes", "2")
        )
    return found + (_peers() if testbed.peers_python else [])


def fill_ours(testbed: Testbed, mails: int, *arguments: float, **settings: str) -> None:
    """Fill our queue."""
    command = testbed.our_module("tests.bench.filling", str(mails), *map(str, arguments))
    with Child("filling", command, testbed.ours(25, **settings), testbed.room) as child:
        child.wait_for_success(FILL_TIMEOUT_S)


def _ours(key: str, name: str, setup: str, *options: str) -> SystemUnderTest:
    return SystemUnderTest(
        key,
        name,
        setup,
        fill=fill_ours,
        worker=lambda testbed, port: (testbed.our_command("worker", *options), testbed.ours(port)),
        is_peer=False,
    )


@cache
def _has_processes_option(testbed: Testbed) -> bool:
    command = testbed.our_command("worker", "--help")
    with Child("worker-help", command, testbed.ours(25), testbed.room) as child:
        child.wait_for_success(30)
        return "--processes" in child.said()


def _peers() -> list[SystemUnderTest]:
    rq = ("-c", "tests.bench.peers.rq_settings", "-w", "rq.SimpleWorker", "--quiet", QUEUE)
    celery = ("celery", "-A", "tests.bench.peers.celery_app", "worker", "-c", "2", "--loglevel", "WARNING")
    dramatiq = ("dramatiq", "tests.bench.peers.dramatiq_app", "-p", "2", "-t", "8")
    in_celery = "celery worker -c 2 (prefork)"
    return [
        _peer("rq", "RQ SimpleWorker", "rq worker -w rq.SimpleWorker", ("rq.cli", "worker", *rq), slow=True),
        _peer(
            *("rq-pool", "RQ worker-pool of 4", "rq worker-pool -n 4 -w rq.SimpleWorker"),
            ("rq.cli", "worker-pool", "-n", "4", *rq),
            slow=True,
        ),
        _peer("celery", "Celery -c 2", in_celery, celery),
        _peer("celery-smtplib", "Celery -c 2, finished mail, bare smtplib", in_celery, celery, finished=True),
        _peer("dramatiq", "Dramatiq", "dramatiq -p 2 -t 8 (its defaults on 2 cores)", dramatiq),
    ]


def _peer(
    key: str, name: str, setup: str, command: tuple[str, ...], *, slow: bool = False, finished: bool = False
) -> SystemUnderTest:
    more = {FINISHED_VARIABLE: "1"} if finished else {}
    return SystemUnderTest(
        key,
        name,
        setup,
        fill=lambda testbed, mails: _fill_peer(testbed, key.partition("-")[0], mails),
        worker=lambda testbed, port: (testbed.peer_command(*command), testbed.peers(port) | more),
        slow=slow,
    )


def _fill_peer(testbed: Testbed, library: str, mails: int) -> None:
    command = testbed.peer_command("tests.bench.peers.fill", library, str(mails))
    with Child("filling", command, testbed.peers(25), testbed.room) as child:
        child.wait_for_success(FILL_TIMEOUT_S)
