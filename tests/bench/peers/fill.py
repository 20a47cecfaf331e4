"""Fill a peer's queue: `python -m tests.bench.peers.fill rq|celery|dramatiq MAILS`."""

from __future__ import annotations

import sys

from tests.bench.peers import surroundings

BATCH = 500


def fill_rq(addresses: list[str]) -> None:
    """Queue with RQ's own bulk call."""
    from rq import Queue  # noqa: PLC0415 - only what is asked for is loaded

    queue = Queue(surroundings.QUEUE, connection=surroundings.redis_client(surroundings.read()))
    for start in range(0, len(addresses), BATCH):
        queue.enqueue_many(
            [
                Queue.prepare_data("tests.bench.peers.jobs.send", (address,))
                for address in addresses[start : start + BATCH]
            ]
        )


def fill_celery(addresses: list[str]) -> None:
    """Queue one by one, as Celery does."""
    from tests.bench.peers.celery_app import send  # noqa: PLC0415 - only what is asked for is loaded

    for address in addresses:
        send.delay(address)


def fill_dramatiq(addresses: list[str]) -> None:
    """Queue one by one, as Dramatiq does."""
    from tests.bench.peers.dramatiq_app import send  # noqa: PLC0415 - only what is asked for is loaded

    for address in addresses:
        send.send(address)


def main() -> None:
    """Fill the queue."""
    fill = {"rq": fill_rq, "celery": fill_celery, "dramatiq": fill_dramatiq}[sys.argv[1]]
    fill([f"user{number:06d}@example.org" for number in range(int(sys.argv[2]))])


if __name__ == "__main__":
    main()
