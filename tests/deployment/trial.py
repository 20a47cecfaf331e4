"""One row: all is whole, load, the fault, load until all is whole again, the last mail, the verdict."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sentinel import wait_for
from tests.deployment import topology
from tests.deployment.deployment import Deployment
from tests.deployment.judging import Evidence, Observations, Promise, Result, judge
from verifier.drill import counting
from verifier.drill.rig.mail_sink import RecordedMail
from verifier.drill.rig.open_load import CLIENT_TIMEOUT_S, OpenLoad

BEFORE_S = 2.0
AFTER_S = 2.0
LAST_MAIL_WITHIN_S = 60.0
# A repeat that is still on its way would come within this time.
REPEATS_WITHIN_S = 1.0


@dataclass
class Trial:
    """What a fault may touch, and what it notes."""

    deployment: Deployment
    load: OpenLoad
    loop: asyncio.AbstractEventLoop
    observed: Observations
    master: str
    """The service that is the master before the fault."""

    def wait(self, duration_s: float) -> None:
        """Let time pass under load."""
        time.sleep(duration_s)

    def await_new_master(self, timeout_s: float = 45.0) -> str:
        """Wait until another node is the master and return its service; what was waited for in vain is a breach."""
        found: list[str] = []

        def moved() -> bool:
            try:
                now = topology.master_of(self.deployment)
            except LookupError:
                return False
            found[:] = [now]
            return now != self.master

        if not wait_for(moved, timeout_s, 0.3):
            self.observed.broken.append(f"No other node became the master within {timeout_s:.0f} s.")
        return found[0] if found else self.master


@dataclass(frozen=True)
class Row:
    """A fault with its name, its story and its promise."""

    name: str
    story: str
    promise: Promise
    inject: Callable[[Trial], None]
    wants_tls: bool = False
    """Whether it is about TLS, so that it has to be on; once it is, it stays on."""


def run_row(
    deployment: Deployment, loop: asyncio.AbstractEventLoop, row: Row, rate: float
) -> tuple[Result, tuple[str, ...]]:
    """Run one row; return the result, and the stalls of the machine that the sentinels noted."""
    observed = Observations()
    if row.wants_tls and not deployment.tls:
        deployment.bring_up_with_tls()
    if trouble := topology.await_whole(deployment):
        observed.broken.append(f"All was not whole before it began: {', '.join(trouble)}.")
    first_mail = len(deployment.relay.mails())
    load = OpenLoad(deployment.port, f"{row.name}-{secrets.token_hex(3)}", rate)
    trial = Trial(deployment, load, loop, observed, topology.master_of(deployment))
    began = time.monotonic()
    running = asyncio.run_coroutine_threadsafe(load.run(), loop)
    try:
        time.sleep(BEFORE_S)
        fault_at = datetime.now(UTC)
        row.inject(trial)
        if trouble := topology.await_whole(deployment):
            observed.broken.append(f"All was not whole in the end: {', '.join(trouble)}.")
        time.sleep(AFTER_S)
    finally:
        load.stop()
    wait_for(running.done, CLIENT_TIMEOUT_S + 5)

    def mails() -> list[RecordedMail]:
        return deployment.relay.mails()[first_mail:]

    wait_for(lambda: counting.missing(load.submissions, mails()) == 0, LAST_MAIL_WITHIN_S, 0.2)
    time.sleep(REPEATS_WITHIN_S)
    logs = topology.read_logs(deployment, fault_at)
    if logs.switched_at is not None:
        after_s = (logs.switched_at - fault_at).total_seconds()
        observed.remarks.append(
            f"Sentinel announced a new master {after_s:.1f} s after the fault was ordered."
        )
    evidence = Evidence(load.submissions, mails(), began, observed)
    return judge(row.name, row.story, row.promise, evidence), logs.stalls
