"""The RQ job `deliver`, by whose dotted path any RQ worker finds it.

The project's own worker claims many deliveries at a time and calls the `Deliverer` itself; a stock RQ worker
that takes the job runs `deliver`, one delivery at a time, with the same guarantees.
"""

from __future__ import annotations

import os

from verifier.store.deliveries import Claim
from verifier.store.keyspace import job_id
from workers.container import worker_container_of


def deliver(verification_id: str, delivery_number: int) -> str:
    """Send one mail; return the delivery's new status.

    Does nothing where the delivery is settled, superseded or in flight elsewhere.
    """
    container = worker_container_of(os.getpid())
    for claim in container.claiming.claim(1, [job_id(verification_id, delivery_number)]):
        if isinstance(claim, Claim):
            settlement = container.deliverer.deliver(claim)
            container.settle([settlement])
            return settlement.outcome.value
    return "nothing to do"
