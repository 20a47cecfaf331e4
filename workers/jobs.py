"""The RQ job `deliver`, by whose dotted path any RQ worker finds it.

The project's own worker claims many deliveries at a time and calls the `Deliverer` itself; a stock RQ worker
that takes the job runs `deliver`, one delivery at a time, with the same guarantees.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from verifier.store.deliveries import Claim
from verifier.store.keyspace import job_id
from workers.container import WorkerContainer, worker_container_of
from workers.in_flight import InFlight
from workers.retry_policy import STATES_OF_REDIS

log = logging.getLogger(__name__)

EXTEND_EVERY_S = 2.0


def deliver(verification_id: str, delivery_number: int) -> str:
    """Send one mail; return the delivery's new status.

    Does nothing where the delivery is settled, superseded or in flight elsewhere.
    """
    container = worker_container_of(os.getpid())
    for claim in container.claiming.claim(1, [job_id(verification_id, delivery_number)]):
        if isinstance(claim, Claim):
            with _lease_renewed(container, claim) as in_flight:
                settlement = container.deliverer.deliver(claim, lambda: in_flight.may_send(claim))  # noqa: B023 - called in this turn
                container.settle([settlement])
            return settlement.outcome.value
    return "nothing to do"


@contextmanager
def _lease_renewed(container: WorkerContainer, claim: Claim) -> Iterator[InFlight]:
    """Renew the lease meanwhile: a relay may take minutes to answer, and nobody else may send the mail until then."""
    in_flight = InFlight(1)
    in_flight.add([claim])
    thread = threading.Thread(target=_renew, args=(container, in_flight), name="lease", daemon=True)
    thread.start()
    try:
        yield in_flight
    finally:
        in_flight.remove([claim])


def _renew(container: WorkerContainer, in_flight: InFlight) -> None:
    while not in_flight.wait_until_empty(EXTEND_EVERY_S):
        claims, asked_at = in_flight.claims(), time.monotonic()
        try:
            in_flight.renewed(claims, container.deliveries.extend(container.link.redis, claims), asked_at)
        except STATES_OF_REDIS as error:
            log.debug("The lease could not be renewed and is tried again: %s", error)
