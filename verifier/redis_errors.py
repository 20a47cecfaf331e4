"""What people are told when Redis lets a request down; operators find the error of the link in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sentinel import TRANSIENT, Backpressure, CircuitOpen, PermanentError, request_deadline
from verifier.domain.errors import LimitReached, ServiceUnavailable
from verifier.domain.words import words
from verifier.loglines import about
from verifier.logs import ThrottledLog
from verifier.store.records import MalformedRecord

log = logging.getLogger(__name__)
throttled_log = ThrottledLog(log)
refusals_log = ThrottledLog(log, every_s=60)

RETRY_AFTER_S = 5


@contextmanager
def redis_within(deadline_s: float, verification_id: str = "") -> Iterator[None]:
    """Let all that is asked of Redis here take so long in all; raise the sentence for people in place of an error.

    Operators find the error of the link in the log, under the verification.

    Raises:
        ServiceUnavailable: it can't be reached, has no room, or refuses us. The sentence claims nothing that an earlier
            command of the same request may have made untrue.
    """
    with about(verification_id=verification_id), _errors_for_people(), request_deadline(deadline_s):
        yield


@contextmanager
def _errors_for_people() -> Iterator[None]:
    try:
        yield
    except LimitReached as error:
        refusals_log.log(logging.WARNING, "Somebody was refused by the limit %s.", error.limit)
        raise
    except Backpressure as error:
        throttled_log.log(logging.ERROR, "Redis has no room, so nothing is taken on: %s", error)
        raise ServiceUnavailable(
            words("The service's database has no room at the moment. Trying again in a few seconds is safe."),
            RETRY_AFTER_S,
        ) from error
    except CircuitOpen as error:
        raise ServiceUnavailable(
            words(
                "The service can't reach its database at the moment. Trying again in a few seconds is safe."
            ),
            RETRY_AFTER_S,
        ) from error
    except (*TRANSIENT, PermanentError, MalformedRecord) as error:
        if isinstance(error, PermanentError):
            throttled_log.log(logging.ERROR, "Redis can't be used: %s", error)
        else:
            throttled_log.log(logging.WARNING, "A request was given up: %s", error)
        raise ServiceUnavailable(
            words(
                "The service can't reach its database at the moment, so we don't know yet whether this was done. "
                "Trying again in a few seconds is safe."
            ),
            RETRY_AFTER_S,
        ) from error
