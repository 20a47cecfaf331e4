"""The RQ job, by its name `workers.jobs.deliver`.

The project's own worker claims many deliveries at a time and calls the `Deliverer` itself; any other RQ worker that
finds the job runs this, with the same guarantees.
"""

from __future__ import annotations

import os

from verifier.store.deliveries import Claim
from verifier.store.keyspace import job_id
from workers.container import worker_container_of


def deliver(verification_id: str, delivery_number: int) -> str:
    """Send one mail, as an RQ job; return what became of it.

    Does nothing where the delivery is settled, superseded or in flight elsewhere.
    """
    container = worker_container_of(os.getpid())
    name = job_id(verification_id, delivery_number)
    for claim in container.claiming.claim(1, [name]):
        if isinstance(claim, Claim):
            settlement = container.deliverer.deliver(claim)
            container.settle([settlement])
            return settlement.outcome.value
    return "nothing to do"
