"""Warning at the start when requests give up before a failover is over. In the background: nobody waits for it."""

from __future__ import annotations

import logging
import threading

from sentinel import TRANSIENT, MasterLink, PermanentError
from verifier.settings import RedisSettings
from verifier.wiring import deadline_of

log = logging.getLogger(__name__)

# Sentinels may start after us; after five minutes `flask sentinel status` is left to say it.
TRIES = 60
TRY_EVERY_S = 5.0


def check_time_budget(
    link: MasterLink, redis: RedisSettings, every_s: float = TRY_EVERY_S
) -> threading.Thread:
    """Ask the sentinels for their times until one tells them, and log what does not fit; return the thread that does."""
    thread = threading.Thread(target=_check, args=(link, redis, every_s), name="time-budget", daemon=True)
    thread.start()
    return thread


def _check(link: MasterLink, redis: RedisSettings, every_s: float) -> None:
    pause = threading.Event()
    for _ in range(TRIES):
        try:
            overdraft = link.overdraft(deadline_of(redis))
        except (*TRANSIENT, PermanentError):
            pause.wait(every_s)
            continue
        except RuntimeError:  # this process is ending: no thread can be started any more
            return
        if overdraft is not None:
            log.warning("%s %s", *overdraft)
        return
