"""Judging a typed password: as often as the limit of the client's network allows, also while Redis is away."""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Callable

from sentinel import TRANSIENT, Backpressure, MasterLink, PermanentError
from verifier.domain.errors import LimitReached
from verifier.logs import ThrottledLog
from verifier.settings import Settings
from verifier.store.limits import LOGINS, Counter, Counting
from verifier.store.ops.logins import count_login

log = logging.getLogger(__name__)
throttled_log = ThrottledLog(log, every_s=60.0)

# Nobody who logs in waits for Redis for longer, in seconds: in an outage operators need the page most.
_COUNT_FOR_S = 2.0
# While Redis is away each process counts for itself, for so many networks at the most.
_AWAY_TRIES, _AWAY_WITHIN_S, _AWAY_NETWORKS = 5, 600.0, 1000


class Passwords:
    """Safe for threads."""

    def __init__(
        self, settings: Settings, link: Callable[[], MasterLink], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._digest = _digest(settings.ops_password)
        self._counting = Counting(settings.limits, settings.keys)
        self._link = link
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: dict[str, list[float]] = {}

    def is_right(self, typed: str, client_ip: str) -> bool:
        """Return whether it opens the page.

        Raises:
            LimitReached: it was tried too often from this network; nothing was judged.
        """
        counter = self._counting.logins(client_ip)
        try:
            self._link().run(lambda client: count_login(client, counter), deadline_s=_COUNT_FOR_S)
        except (*TRANSIENT, PermanentError, Backpressure):
            self._count_here(counter)
        is_right = hmac.compare_digest(_digest(typed), self._digest)
        if is_right:
            log.info("Somebody logged in at the operators' page, from %s.", client_ip or "an unknown address")
        else:
            throttled_log.log(
                logging.WARNING,
                "A wrong password was typed at the operators' page, from %s",
                client_ip or "an unknown address",
            )
        return is_right

    def _count_here(self, counter: Counter) -> None:
        now = self._clock()
        with self._lock:
            recent = {
                key: kept
                for key, times in self._tries.items()
                if (kept := [at for at in times if now - at < _AWAY_WITHIN_S])
            }
            mine = recent.setdefault(counter.key, [])
            if len(mine) >= _AWAY_TRIES or len(recent) > _AWAY_NETWORKS:
                raise LimitReached(LOGINS, _AWAY_WITHIN_S - (now - mine[0] if mine else 0.0))
            mine.append(now)
            self._tries = recent


def _digest(password: str) -> bytes:
    """Return texts of one length, so that comparing tells nothing of it either."""
    return hashlib.sha256(password.strip().encode()).digest()
