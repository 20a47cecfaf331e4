"""Fill a peer's queue: `python -m fill rq|celery|dramatiq MAILS`."""

from __future__ import annotations

import sys
from importlib import import_module

from rq import Queue

BATCH = 500


def fill_rq(addresses: list[str]) -> None:
    """Queue with RQ's own bulk call."""
    queue = import_module("rq_app").queue
    for start in range(0, len(addresses), BATCH):
        batch = addresses[start : start + BATCH]
        queue.enqueue_many([Queue.prepare_data("jobs.send", (address,)) for address in batch])


def fill_celery(addresses: list[str]) -> None:
    """Queue one by one, as Celery does."""
    send = import_module("celery_app").send
    for address in addresses:
        send.delay(address)


def fill_dramatiq(addresses: list[str]) -> None:
    """Queue one by one, as Dramatiq does."""
    send = import_module("dramatiq_app").send
    for address in addresses:
        send.send(address)


def main() -> None:
    """Fill the queue that the command line names."""
    fill = {"rq": fill_rq, "celery": fill_celery, "dramatiq": fill_dramatiq}[sys.argv[1]]
    fill([f"user{number:06d}@example.org" for number in range(int(sys.argv[2]))])


if __name__ == "__main__":
    main()
