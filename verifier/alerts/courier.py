"""The POST under way, and those after it: one at a time, in a thread of its own, so that nobody ever waits for it.

What is not taken is tried again after 2 s, doubling to a minute, ten times within a quarter of an hour, and then given up.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass, field

from verifier.alerts.book import Book, State
from verifier.alerts.catalogue import ALERTS
from verifier.alerts.webhook import payload_of, post
from verifier.logs import ThrottledLog

log = logging.getLogger(__name__)

MOST_TRIES = 10
LONGEST_S = 900.0
# A process may be in a network without a way out, as web is in compose.yaml.
ANOTHER_MAY_AFTER = 3
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 60.0
# An answer that comes byte by byte outlasts the limit of each; then this attempt is over, and its thread left alone.
ATTEMPT_S = 15.0


@dataclass
class _Attempt:
    name: str
    state: State
    decided_at: float
    began_at: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)
    failure: str | None = None


class Courier:
    """Used by one thread."""

    def __init__(self, url: str, service: str, *, first_pause_s: float = FIRST_PAUSE_S) -> None:
        """Tell nobody yet; without a URL nobody ever is."""
        self._url = url
        self._service = service
        self._first_pause_s = first_pause_s
        self._attempt: _Attempt | None = None
        self._hanging: threading.Thread | None = None
        self._failed_in_a_row = 0
        self._failures = ThrottledLog(log, every_s=60.0)

    @property
    def fails(self) -> bool:
        """Return whether so many attempts in a row failed that another process may have more luck."""
        return self._failed_in_a_row >= ANOTHER_MAY_AFTER

    def start_anew(self) -> None:
        """Forget the failures so far."""
        self._failed_in_a_row = 0

    @property
    def is_busy(self) -> bool:
        """Return whether an attempt is under way."""
        return self._attempt is not None

    def step(self, book: Book, now: float) -> bool:
        """See what became of the attempt under way, and begin the next; return at once whether somebody was told."""
        if not self._url:
            for _, entry in book.to_tell(now):
                entry.told()
            return False
        attempt = self._attempt
        if attempt is not None and not self._finish(attempt, book, now):
            return False
        for name, entry in book.to_tell(now):
            self._begin(
                name,
                entry.to_tell or State.FIRING,
                entry.decided_at,
                payload_of(ALERTS[name], entry, self._service),
            )
            break
        return attempt is not None and attempt.failure is None

    def wind_up(self, book: Book, now: float, within_s: float) -> None:
        """Wait for the attempt under way, so that nobody tells the same once more; begin no other."""
        if self._attempt is not None:
            self._attempt.done.wait(within_s)
            self._finish(self._attempt, book, now)

    def _begin(self, name: str, state: State, decided_at: float, body: dict[str, str]) -> None:
        attempt = self._attempt = _Attempt(name, state, decided_at)

        def work() -> None:
            try:
                attempt.failure = post(self._url, body)
            except Exception as error:  # noqa: BLE001 - a mistake of ours must be told, too, and never with the URL
                attempt.failure = f"it could not be posted ({type(error).__name__})"
            attempt.done.set()

        if self._hanging is not None and self._hanging.is_alive():
            attempt.failure = "its answer to the last one has not ended yet"
            attempt.done.set()
            return
        self._hanging = threading.Thread(target=work, name="alert-courier", daemon=True)
        self._hanging.start()

    def _finish(self, attempt: _Attempt, book: Book, now: float) -> bool:
        """Note the result in the book; return whether there is one."""
        if not attempt.done.is_set():
            if time.monotonic() - attempt.began_at < ATTEMPT_S:
                return False
            attempt.failure = "its answer did not end in time"
        self._attempt = None
        entry = book.entries.get(attempt.name)
        is_current = (
            entry is not None and entry.to_tell is attempt.state and entry.decided_at == attempt.decided_at
        )
        self._failed_in_a_row = 0 if attempt.failure is None else self._failed_in_a_row + 1
        if attempt.failure is None:
            if entry is not None and is_current:
                entry.told()
            return True
        if entry is None or not is_current:
            return True
        entry.tries += 1
        pause_s = min(LONGEST_PAUSE_S, self._first_pause_s * 2 ** (entry.tries - 1))
        entry.try_at = now + pause_s * random.uniform(0.75, 1.25)
        if entry.tries >= MOST_TRIES or now - entry.decided_at > LONGEST_S:
            entry.give_up()
            log.error(
                "The alert %s (%s) was not told, and is given up: %s.",
                attempt.name,
                attempt.state,
                attempt.failure,
            )
        else:
            self._failures.log(
                logging.WARNING,
                "The webhook of VERIFIER_ALERT_WEBHOOK did not take the alert %s (%s), which is tried again: %s.",
                attempt.name,
                attempt.state,
                attempt.failure,
            )
        return True
