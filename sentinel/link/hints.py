"""Announcements of a new master, each of which is only a hint until a majority of the sentinels names that master.

One sentinel may be wrong, or in wrong hands: on its word alone nobody connects anywhere. The first one to announce a
switch is a moment ahead of the others, so they are asked at once, and again and again while the hint is fresh.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from sentinel.endpoints import Endpoint
from sentinel.link.directory import Directory

log = logging.getLogger(__name__)

FRESH_FOR_S = 3.0
ASK_EVERY_S = 0.05
# However many announcements come, the sentinels have this long between two questions.
LEAST_PAUSE_S = 0.01
# The sentinels announce the same switch one after the other; following it once is enough.
FOLLOWED_FOR_S = 0.5
REPORT_EVERY_S = 60.0


class Hint(NamedTuple):
    """A master that was announced; `ends_at` by the monotonic clock, in seconds."""

    master: Endpoint
    ends_at: float


class Hints:
    """The newest hint of each sentinel, and a thread that asks about them as long as there are any."""

    def __init__(self, directory: Directory, follow: Callable[[Endpoint], None]) -> None:
        """Do nothing yet; `follow` is called with each master that a majority confirms."""
        self._directory = directory
        self._follow = follow
        self._condition = threading.Condition()
        self._fresh: dict[Endpoint, Hint] = {}
        self._added = 0
        self._followed: Hint | None = None
        self._reported_at: dict[Endpoint, float] = {}
        self._runs = False

    def add(self, sentinel: Endpoint, master: Endpoint) -> None:
        """Note that a sentinel announced this master; return at once."""
        with self._condition:
            now = time.monotonic()
            if self._followed and self._followed.master == master and now < self._followed.ends_at:
                return
            self._fresh[sentinel] = Hint(master, now + FRESH_FOR_S)
            self._added += 1
            self._condition.notify_all()
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="sentinel-hints", daemon=True).start()

    def stop(self) -> None:
        """Forget all hints."""
        with self._condition:
            self._fresh.clear()
            self._condition.notify_all()

    def _run(self) -> None:
        """Ask as long as there are fresh hints."""
        while (added := self._how_many_unless_over()) is not None:
            try:
                self._ask()
            except Exception:
                log.exception("The sentinels could not be asked about a switch; they are asked again")
            time.sleep(LEAST_PAUSE_S)
            with self._condition:
                if self._added == added and self._fresh:
                    self._condition.wait(ASK_EVERY_S)

    def _how_many_unless_over(self) -> int | None:
        with self._condition:
            now = time.monotonic()
            for sentinel, hint in list(self._fresh.items()):
                if now > hint.ends_at:
                    del self._fresh[sentinel]
                    self._report(sentinel, hint.master, now)
            self._runs = bool(self._fresh)
            return self._added if self._runs else None

    def _ask(self) -> None:
        master = self._directory.named_by_majority(ASK_EVERY_S)
        with self._condition:
            if master is None or all(hint.master != master for hint in self._fresh.values()):
                return
            self._fresh = {each: hint for each, hint in self._fresh.items() if hint.master != master}
            self._followed = Hint(master, time.monotonic() + FOLLOWED_FOR_S)
        self._follow(master)

    def _report(self, sentinel: Endpoint, master: Endpoint, now: float) -> None:
        if now >= self._reported_at.get(sentinel, 0.0):
            self._reported_at[sentinel] = now + REPORT_EVERY_S
            log.warning(
                "Sentinel %s announced %s as the new master, but no majority of the sentinels names it, so nobody "
                "connects there. Compare the sentinels with `flask sentinel status`.",
                sentinel,
                master,
            )
