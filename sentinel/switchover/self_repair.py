"""Giving a master its role back without an operator: only where somebody opted in, in turns, and once.

What is done, and under which conditions, is the repair's (`repair`). Here is decided when: there is no place for a lock,
since the master takes no writes then, so each process waits for its turn, and looks at everybody again before it gives
the order. Whoever takes the role away again after that has a reason, or means harm: that is for people.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from redis import RedisError

from sentinel.access import Access
from sentinel.endpoints import Endpoint
from sentinel.switchover.repair import NothingToRepair, RepairError, RepairResult, repair

log = logging.getLogger(__name__)

# For the sentinels to begin a failover of their own, which the repair would stand aside for.
FIRST_TURN_AFTER_S = 1.0
# The order and its proof take about a second.
TURN_S = 6.0
AGAIN_AFTER_S = 3600.0
REPORT_EVERY_S = 60.0


class SelfRepair:
    """One process's share of it; call `look` each second from one thread."""

    def __init__(
        self,
        access: Access,
        *,
        rank: Callable[[], int],
        repaired_lately: Callable[[], bool],
        done: Callable[[RepairResult, Endpoint], None],
        repair: Callable[[Access], RepairResult] = repair,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Do nothing yet.

        Args:
            access: the sentinels and nodes, with a login that may give the order.
            rank: how many processes have their turn before this one.
            repaired_lately: whether anybody gave the order within the last hour.
            done: is called with the result, and whom the master followed until then.
            repair: gives the order.
            clock: tells the time, in seconds.
        """
        self._access = access
        self._rank = rank
        self._repaired_lately = repaired_lately
        self._done = done
        self._repair = repair
        self._clock = clock
        self._since: float | None = None
        self._next_at = 0.0
        self._repaired_at: float | None = None
        self._reported_at: dict[str, float] = {}
        self._thread: threading.Thread | None = None

    def look(self, rogue: tuple[Endpoint, Endpoint] | None) -> None:
        """Begin the repair where it is time to; `rogue` is the master that was led away, and whom it follows."""
        now = self._clock()
        if rogue is None:
            self._since = None
            return
        if self._since is None:
            self._since = now
            self._next_at = now + FIRST_TURN_AFTER_S + self._rank() * TURN_S
        if now < self._next_at or (self._thread is not None and self._thread.is_alive()):
            return
        self._next_at = now + TURN_S
        if self._has_repaired(now):
            self._report(
                f"The master {rogue[0]} follows {rogue[1]} again, within an hour after it was given its role back by itself. Find out "
                "who gives it REPLICAOF, then run `flask sentinel repair`."
            )
            return
        # Not in the caller's thread: to prove it may take some seconds, in which leases are to be renewed.
        self._thread = threading.Thread(target=self._run, args=(rogue[1],), name="self-repair", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait for a repair that is under way."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _has_repaired(self, now: float) -> bool:
        ours = self._repaired_at is not None and now - self._repaired_at < AGAIN_AFTER_S
        return ours or self._repaired_lately()

    def _run(self, follows: Endpoint) -> None:
        try:
            result = self._repair(self._access)
        except NothingToRepair:
            return
        except (RepairError, RedisError) as error:
            self._report(f"The master is not given its role back by itself: {error}")
            return
        except Exception:
            log.exception("Giving the master its role back failed because of an error; it is tried again.")
            return
        self._repaired_at = self._clock()
        proof = "took a write" if result.proved else "has taken no write yet: look at `flask sentinel status`"
        log.error(
            "%s, which somebody had made a replica of %s, was given its role back by itself and %s. Find out who gave it "
            "REPLICAOF.",
            result.node,
            follows,
            proof,
        )
        self._done(result, follows)

    def _report(self, sentence: str) -> None:
        now = self._clock()
        if now - self._reported_at.get(sentence, -REPORT_EVERY_S) >= REPORT_EVERY_S:
            self._reported_at = {sentence: now}
            log.error("%s", sentence)
