"""Which error means what: drop the socket and ask Sentinel again, hold back, or tell the operator.

Redis starts an error with a word in capitals (https://redis.io/docs/latest/develop/reference/protocol-spec/,
"Simple errors"). Some of these words redis-py turns into exceptions of its own without the word, some it
hands on as they are, and Redis 6.2 wraps the errors of a script's commands into a sentence. Everything
here is pure: an exception and an endpoint come in, an exception with the decision in its type goes out.
"""

from __future__ import annotations

import re
from enum import Enum

import redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    InvalidResponse,
    MasterDownError,
    MaxConnectionsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
)

from sentinel.endpoints import Endpoint
from sentinel.errors import (
    AccessRefused,
    Backpressure,
    MasterMoved,
    MasterNotReady,
    PermanentError,
    TransientError,
)


class Meaning(Enum):
    """What an error means to us."""

    MOVED = "not the master, or no longer"
    NOT_READY = "the master, but not ready"
    UNREACHABLE = "no answer"
    FULL = "no room"
    REFUSED = "not allowed"
    ANSWER = "a plain answer to this one command"


_WORDS: dict[str, Meaning] = {
    # A write reached a replica.
    "READONLY": Meaning.MOVED,
    # A blocked pop on a master that has just become a replica.
    "UNBLOCKED": Meaning.MOVED,
    # A replica that lost its master and has replica-serve-stale-data no.
    "MASTERDOWN": Meaning.MOVED,
    # The dataset is being read from disk after a restart.
    "LOADING": Meaning.NOT_READY,
    # Fewer replicas than min-replicas-to-write: a master cut off, or one that waits for its replicas.
    "NOREPLICAS": Meaning.NOT_READY,
    # A script runs for longer than lua-time-limit.
    "BUSY": Meaning.NOT_READY,
    # Redis could not save to disk and is told to stop writing then: the disk is full or broken.
    "MISCONF": Meaning.FULL,
    "OOM": Meaning.FULL,
    "NOAUTH": Meaning.REFUSED,
    "WRONGPASS": Meaning.REFUSED,
    "NOPERM": Meaning.REFUSED,
    # Protected mode.
    "DENIED": Meaning.REFUSED,
}

_CLASSES: tuple[tuple[type[Exception], Meaning], ...] = (
    (ReadOnlyError, Meaning.MOVED),
    (MasterDownError, Meaning.MOVED),
    (BusyLoadingError, Meaning.NOT_READY),
    (OutOfMemoryError, Meaning.FULL),
    (NoPermissionError, Meaning.REFUSED),
    (AuthorizationError, Meaning.REFUSED),
    (AuthenticationError, Meaning.REFUSED),
    (MaxConnectionsError, Meaning.NOT_READY),
    # What answers there speaks another protocol.
    (InvalidResponse, Meaning.UNREACHABLE),
)

_SENTENCES: tuple[tuple[str, Meaning], ...] = (
    ("max number of clients reached", Meaning.NOT_READY),
    ("invalid password", Meaning.REFUSED),
    ("without any password configured", Meaning.REFUSED),
    ("no password is set", Meaning.REFUSED),
    # A script may do what its user may: 6.2 and 7.0, then newer ones.
    ("user executing the script can't", Meaning.REFUSED),
    ("ACL failure in script", Meaning.REFUSED),
)

# Redis 6.2 in a script: "ERR Error running script (call to f_...): @user_script:3: -READONLY You can't ...".
# Redis 7 at EXEC: "EXECABORT Transaction discarded because of: NOREPLICAS Not enough ...".
_WITHIN = re.compile(r"(?:@user_script.*?|discarded because of: )-?\b(" + "|".join(_WORDS) + r")\b")


def meaning_of(error: Exception) -> Meaning:
    """Tell what an error from redis-py or from the socket means."""
    for error_class, meaning in _CLASSES:
        if isinstance(error, error_class):
            return meaning
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError):
        return _meaning_of_text(str(error)) or Meaning.UNREACHABLE
    return _meaning_of_text(str(error)) or Meaning.ANSWER


def _meaning_of_text(text: str) -> Meaning | None:
    word = text.split(" ", 1)[0]
    if word in _WORDS:
        return _WORDS[word]
    if within := _WITHIN.search(text):
        return _WORDS[within[1]]
    return next((meaning for part, meaning in _SENTENCES if part in text), None)


def drops_socket(meaning: Meaning) -> bool:
    """Tell whether the connection must not be used again.

    A refusal ends a pipeline in redis-py before its other answers are read: the next user of the socket would
    take them for their own.
    """
    return meaning not in {Meaning.FULL, Meaning.ANSWER}


def translate(error: Exception, endpoint: Endpoint) -> Exception:
    """Give the exception whose type carries the decision; `error` itself where there is none to take."""
    if isinstance(error, TransientError | Backpressure | PermanentError):
        return error
    said = sentence(error)
    match meaning_of(error):
        case Meaning.MOVED:
            translated: Exception = MasterMoved(f"{endpoint} is not the master any more: {said}")
        case Meaning.NOT_READY:
            translated = MasterNotReady(f"{endpoint} is not ready: {said}")
        case Meaning.UNREACHABLE:
            translated = TransientError(f"{endpoint} does not answer: {said}")
        case Meaning.FULL:
            translated = Backpressure(f"{endpoint} takes no writes: {said}")
        case Meaning.REFUSED:
            translated = AccessRefused(f"{endpoint} refuses us: {said} {remedy(str(error))}")
        case Meaning.ANSWER:
            translated = error
    return translated


def sentence(error: Exception) -> str:
    """Give the text of an error with one full stop at its end."""
    return f"{str(error).rstrip('. ') or type(error).__name__}."


def remedy(text: str) -> str:
    """Say what an operator should do about a refusal."""
    lowered = text.lower()
    if any(sign in lowered for sign in ("noperm", "no permission", "executing the script", "acl failure")):
        return "Give the user this right in the ACL file, then ACL LOAD or restart the node."
    if "protected mode" in lowered:
        return "Set a password or an ACL user on the node, or bind it to a private address."
    if "without any password" in lowered or "no password is set" in lowered:
        return "It has no password: clear the password setting for it."
    return "Check the user name and the password settings for it."
