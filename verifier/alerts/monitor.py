"""The thread that tells: in each web and worker process, and at each moment in one of them.

Which one stands in Redis as a lease, beside what is known of the alerts, so that both outlive a process and a failover.
While Redis can't be written to, nobody can take the lease: whoever held it last goes on, by what it remembers.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time

from sentinel import TRANSIENT, Backpressure, MasterLink, PermanentError
from verifier.alerts.book import Book, Pace
from verifier.alerts.canary import Canary
from verifier.alerts.catalogue import Conditions, conditions_of
from verifier.alerts.courier import Courier
from verifier.readiness import Limits, Lookout, judge
from verifier.store.alerts import Telling, give_way, take_turn

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
LEASE_STEP_S = 1.0
# While something is being told, the result is looked for this often.
COURIER_EVERY_S = 0.1
WIND_UP_S = 2.0
# Who does not reach the webhook leaves it to others for so long; where there are none, it goes on then.
STAND_BACK_S = 10.0
# For so long after an outage a process that did not tell before leaves it to the one that did.
AFTER_OUTAGE_S = 8.0


class Monitor:
    """The thread; `start` it after forks."""

    def __init__(
        self,
        link: MasterLink,
        lookout: Lookout,
        limits: Limits,
        courier: Courier,
        canary: Canary | None = None,
        *,
        pace: Pace | None = None,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """Do nothing yet."""
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._link = link
        self._lookout = lookout
        self._limits = limits
        self._courier = courier
        self._canary = canary
        self._look_every_s = look_every_s
        self._book = Book(pace or Pace())
        self._tells = False
        self._stands_back_until = 0.0
        self._waits_until = 0.0
        self._ahead_s = 0.0
        """By how much Redis's clock was ahead of this machine's monotonic one, when it was last heard of."""
        self._heard = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End it, and let another process tell at once; wait at most `timeout_s` seconds."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began_at = time.monotonic()
            try:
                self._round()
            except Exception:
                log.exception("The alerts could not be looked after because of an error; it is tried again.")
            self._wait_until(began_at + self._look_every_s)
        self._courier.wind_up(self._book, self._now(), WIND_UP_S)
        if self._tells:
            self._give_way()

    def _wait_until(self, until: float) -> None:
        """Wait for the next round; what is being told goes on meanwhile."""
        while (left_s := until - time.monotonic()) > 0:
            if self._stopping.wait(min(left_s, COURIER_EVERY_S) if self._courier.is_busy else left_s):
                return
            if self._courier.is_busy:
                self._tell()

    def _tell(self) -> None:
        """Go on telling; who was told is written down at once, since the next to tell would repeat it."""
        if self._courier.step(self._book, self._now()) and self._tells:
            self._take_turn()

    def _round(self) -> None:
        if self._courier.fails and not self._courier.is_busy:
            self._stand_back()
        telling = self._take_turn() if time.monotonic() >= self._stands_back_until else None
        if telling is not None:
            self._follow(telling)
        if self._tells:
            self._look(has_redis=telling is not None)
        elif self._book.entries:
            # What this process alone told while Redis was away: with Redis back it is over.
            self._book.observe(Conditions({}), self._now())
        self._tell()

    def _stand_back(self) -> None:
        """Let another process try: perhaps only this one does not reach the webhook."""
        self._courier.start_anew()
        if self._tells and self._give_way():
            self._tells, self._book = False, Book(self._book.pace)
            self._stands_back_until = time.monotonic() + STAND_BACK_S

    def _take_turn(self) -> Telling | None:
        """Return who tells; None while Redis does not take that step."""
        known = self._book.as_json() if self._tells else ""
        # After an outage whoever told last goes first, since it alone knows what was told meanwhile.
        may_begin = self._tells or time.monotonic() >= self._waits_until
        try:
            return self._link.run(
                lambda client: take_turn(client, self.name, known, may_begin=may_begin), LEASE_STEP_S
            )
        except (*TRANSIENT, PermanentError, Backpressure):
            self._waits_until = time.monotonic() + AFTER_OUTAGE_S
            return None

    def _follow(self, telling: Telling) -> None:
        """Begin to tell, go on, or leave it to whoever does."""
        self._ahead_s, self._heard = telling.now - time.monotonic(), True
        tells = telling.teller == self.name
        if tells == self._tells:
            return
        known = Book.from_json(telling.known, self._book.pace)
        own = self._book.without(known)
        if tells:
            known.entries |= own.entries
            self._book = known
        else:
            self._book = own
        self._tells = tells

    def _look(self, *, has_redis: bool) -> None:
        look = self._lookout.look()
        now = self._now()
        if self._canary is not None and has_redis and look.facts is not None:
            self._canary.step(now)
        self._book.observe(conditions_of(look, judge(look, self._limits), self._book.master), now)
        if look.master is not None:
            self._book.master = str(look.master)

    def _now(self) -> float:
        return self._ahead_s + time.monotonic() if self._heard else time.time()

    def _give_way(self) -> bool:
        """Leave what is known to the next; return False where Redis does not take that."""
        if self._take_turn() is None:  # the last that was told must be known to the next
            return False
        try:
            self._link.run(lambda client: give_way(client, self.name), LEASE_STEP_S)
        except (*TRANSIENT, PermanentError, Backpressure) as error:
            log.debug("The turn to tell of alerts ends by itself: %s", error)
        return True
