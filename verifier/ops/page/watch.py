"""Looking again and again while somebody is there, in a thread of its own; what was seen last is kept.

Many may ask: it is looked once. A look that fails leaves what was seen before, with the reason.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from redis import RedisError

log = logging.getLogger(__name__)

Value = TypeVar("Value")

# Nobody there for so long, in seconds: the thread ends.
KEEP_ON_S = 20.0
# A look that is older than this is waited for, in seconds, when somebody comes.
FRESH_S = 3.0
_SHORTEST_PAUSE_S = 0.1


class Blind(Exception):
    """Nothing could be seen; the message says why."""


@dataclass(frozen=True)
class Seen(Generic[Value]):
    """What was seen last; times are of the monotonic clock, in seconds."""

    value: Value | None = None
    at: float | None = None
    """When that look began."""
    trouble: str = ""
    """Why the newest look saw nothing; empty where it did."""
    number: int = 0
    """How many looks there were."""

    def age_s(self, now: float) -> float | None:
        """Return how old it is; None where nothing was ever seen."""
        return None if self.at is None else max(0.0, now - self.at)


class Watch(Generic[Value]):
    """One thing that is looked at; safe for threads."""

    def __init__(
        self,
        name: str,
        look: Callable[[], Value],
        every_s: Callable[[Value | None], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what looks, and how many seconds after a look with this result the next one begins.

        `look` raises RedisError or Blind where it sees nothing.
        """
        self._name = name
        self._look = look
        self._every_s = every_s
        self._clock = clock
        self._changed = threading.Condition()
        self._seen: Seen[Value] = Seen()
        self._looked_at = float("-inf")
        self._wanted_until = float("-inf")
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()

    def wanted(self) -> None:
        """Note that somebody is there, and look from now on."""
        with self._changed:
            self._wanted_until = self._clock() + KEEP_ON_S
            self._ending.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"watch-{self._name}", daemon=True)
                self._thread.start()

    def seen(self, wait_s: float = 0.0) -> Seen[Value]:
        """Return what was seen last; after a while without anybody wait for a new look, at most for so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._clock() - self._looked_at <= FRESH_S, wait_s)
            return self._seen

    def end(self, timeout_s: float) -> None:
        """Look no more, and wait for the thread at most so many seconds; the next one who comes begins anew."""
        with self._changed:
            self._wanted_until, thread = float("-inf"), self._thread
            self._ending.set()
        if thread is not None:
            thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            began_at = self._clock()
            self._note(self._look_once(), began_at)
            with self._changed:
                if self._clock() > self._wanted_until:
                    self._thread = None
                    return
            due_at = began_at + self._every_s(self._seen.value)
            self._ending.wait(max(_SHORTEST_PAUSE_S, due_at - self._clock()))

    def _look_once(self) -> Value | str:
        try:
            return self._look()
        except (RedisError, Blind) as error:
            return str(error)
        except Exception:
            # A mistake of ours; the page says so and goes on. No thread can be started any more while the process ends.
            if not threading.main_thread().is_alive():
                return "This process ends."
            log.exception("Looking at the %s failed because of an error in the operators' page.", self._name)
            return f"Looking at the {self._name} failed because of an error: see the log of the web app."

    def _note(self, found: Value | str, began_at: float) -> None:
        with self._changed:
            before = self._seen
            if isinstance(found, str):
                self._seen = Seen(before.value, before.at, found, before.number + 1)
            else:
                self._seen = Seen(found, began_at, "", before.number + 1)
            self._looked_at = self._clock()
            self._changed.notify_all()
