"""The maintenance thread: renews leases, recovers what is due, wakes what waited for a relay, closes idle connections
to relays, says how the worker fares, keeps the history of the master, and writes its pulse.

Each of these is done for itself: one that fails keeps none of the others from being done.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sentinel import TRANSIENT
from verifier.logs import ThrottledLog
from verifier.store.facts import RelayReport, WorkerReport, say_goodbye, send_heartbeat
from verifier.store.history.historian import Historian
from verifier.store.history.repair_turns import BY_WORKER, RepairTurns
from verifier.store.keyspace import Queue
from verifier.store.ops import series
from verifier.wiring import access_of_operators
from workers.container import WorkerContainer
from workers.in_flight import InFlight
from workers.recovery import Recovery
from workers.retry_policy import STATES_OF_REDIS
from workers.settler import Throughput
from workers.smtp.relay_state import Recovered

if TYPE_CHECKING:
    from sentinel import Endpoint, RepairResult, SelfRepair

log = logging.getLogger(__name__)
throttled_log = ThrottledLog(log, every_s=60.0)

RECOVER_EVERY_S = 1.0
EXTEND_EVERY_S = 2.0
ANNOUNCE_EVERY_S = 5.0
# After a start or an outage recovery waits for the length of a lease; longer than this it should not take.
RECOVERY_DUE_AFTER_S = 20.0


class Maintenance:
    """One thread; `announce` writes the worker's own record for RQ's tools and reads whether work is suspended."""

    def __init__(
        self,
        container: WorkerContainer,
        in_flight: InFlight,
        name: str,
        announce: Callable[[], None],
        *,
        sent: Callable[[], int] = int,
        tally: series.Tally | None = None,
    ) -> None:
        """Take the worker's `name`; `announce` raises what Redis may raise, `sent` counts the mails sent so far, and `tally`
        all that becomes of mails.
        """
        self._container = container
        self._in_flight = in_flight
        self._name = name
        self._announce = announce
        self._throughput = Throughput(sent)
        self._tally = tally or series.Tally()
        self._recovery = Recovery(container.deliveries, container.writing)
        self._historian = Historian(container.link)
        self._turns = RepairTurns(container.link, name)
        self._self_repair: SelfRepair | None = None
        self._recovered: Recovered | None = None
        self._cannot_reclaim_since = time.monotonic()
        self._extended_at = time.monotonic()
        self._announced_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._self_repair = self._make_self_repair()
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Wait at most `timeout_s` seconds for the thread: it ends when the worker stops and nothing is in flight."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._container.retry_policy.stopping:
            self._beat()
            self._round()
            self._container.retry_policy.pause_until_moved(RECOVER_EVERY_S)
        while not self._in_flight.wait_until_empty(EXTEND_EVERY_S):
            self._beat()
            self._do("Renewing the leases", self._extend)
        self._do("Writing the minute's figures", self._count)
        self._do("Saying goodbye", lambda: say_goodbye(self._container.link.redis, self._name))

    def _beat(self) -> None:
        policy = self._container.retry_policy
        self._do("Noting how the worker fares for the metrics", self._note_metrics)
        try:
            policy.pulse.write(waiting=policy.outage.is_on())
        except OSError as error:
            throttled_log.log(logging.WARNING, "The pulse for the health check can't be written: %s", error)

    def _note_metrics(self) -> None:
        self._container.metrics.look(
            relays=self._container.relays.conditions(),
            in_flight=len(self._in_flight),
            waiting=self._container.retry_policy.outage.is_on(),
        )

    def _round(self) -> None:
        # First, since it is the one thing here that can be done while Redis is away.
        self._container.relays.close_idle()
        now = time.monotonic()
        if now - self._extended_at >= EXTEND_EVERY_S:
            self._do("Renewing the leases", self._extend)
            self._do("Writing the minute's figures", self._count)
        self._do("Recovery", self._recover)
        self._do("Writing the history of the master", self._historian.run)
        if (repair := self._self_repair) is not None:
            self._do(
                "Looking after a master that was led away", lambda: repair.look(self._container.link.rogue)
            )
            self._do("Looking whose turn it would be to repair", self._turns.refresh)
        if now - self._announced_at >= ANNOUNCE_EVERY_S:
            self._announced_at = now
            self._do("Writing the worker's record for RQ", self._announce)

    def _make_self_repair(self) -> SelfRepair | None:
        redis = self._container.settings.redis
        if not redis.repair_rogue_master:
            return None
        # Imported when it is first asked for: the others carry nothing of it.
        from sentinel import SelfRepair  # noqa: PLC0415

        return SelfRepair(
            access_of_operators(redis),
            rank=self._turns.rank,
            repaired_lately=self._turns.repaired_lately,
            done=self._repaired,
        )

    def _repaired(self, result: RepairResult, follows: Endpoint) -> None:
        self._container.link.events.repaired(result.node, follows, f"{BY_WORKER}{self._name}")

    def _do(self, what: str, step: Callable[[], None]) -> None:
        try:
            step()
        except TRANSIENT as error:
            # The loops that send mails wait meanwhile, and say so where it is more than a failover.
            log.debug("%s did not work and is tried again: %s", what, error)
        except STATES_OF_REDIS as error:
            throttled_log.log(logging.WARNING, "%s did not work and is tried again: %s", what, error)
        except Exception:
            # A mistake of ours; without this thread leases would run out one by one.
            log.exception("%s failed because of an error in the worker; it is tried again.", what)

    def _extend(self) -> None:
        claims, asked_at = self._in_flight.claims(), time.monotonic()
        client = self._container.link.redis
        try:
            if claims:
                self._in_flight.renewed(claims, self._container.deliveries.extend(client, claims), asked_at)
            send_heartbeat(client, self._report())
        except STATES_OF_REDIS as error:
            self._container.writing.failed()
            self._container.retry_policy.outage.failed(error)
            raise
        self._container.writing.worked()
        self._container.retry_policy.outage.worked()
        self._container.retry_policy.pulse.heard()
        self._extended_at = asked_at

    def _count(self) -> None:
        self._tally.write(self._container.link.redis, Queue(self._container.settings.queue), self._name)

    def _recover(self) -> None:
        client = self._container.link.redis
        # Kept until it works: a relay says once that it is back, and Redis may be away just then.
        self._recovered = self._container.relays.take_recovered() or self._recovered
        if self._recovered is not None:
            self._recovery.wake(client, one=self._recovered is Recovered.PROBED)
            self._recovered = None
        self._tally.add(series.REQUEUED, self._recovery.run(client))

    def _report(self) -> WorkerReport:
        conditions = self._container.relays.conditions()
        failures = [trouble for _, trouble in conditions if trouble]
        return WorkerReport(
            self._name,
            (*(each.sentence for each in failures), *self._troubles()),
            self._throughput.last_minute(),
            tuple(each.sentence for each in failures if each.refuses_us),
            tuple(RelayReport(name, trouble.sentence if trouble else "") for name, trouble in conditions),
        )

    def _troubles(self) -> list[str]:
        """Return what keeps this worker from its work, apart from relays."""
        troubles = self._container.deliverer.troubles()
        now = time.monotonic()
        if self._recovery.may_reclaim():
            self._cannot_reclaim_since = now
        elif now - self._cannot_reclaim_since > RECOVERY_DUE_AFTER_S:
            troubles.append(
                "The mails of a worker that died are not taken over, because writing to Redis keeps failing: "
                "read this worker's log."
            )
        if self._container.suspended.is_set():
            troubles.append("Work is suspended: run `rq resume -c verifier.cli.rq_config`.")
        return troubles
