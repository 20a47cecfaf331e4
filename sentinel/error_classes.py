"""Which error means what: drop the socket and ask Sentinel again, hold back, or alert the operator.

Redis starts an error with a word in capitals (https://redis.io/docs/latest/develop/reference/protocol-spec/,
"Simple errors"). Some of these words redis-py turns into exceptions of its own without the word, some it
passes on as they are, and Redis 6.2 wraps the errors of a script's commands into a sentence. Everything
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


class ErrorKind(Enum):
    """What an error means for the connection and for the caller."""

    MOVED = "not the master, or no longer"
    NOT_READY = "the master, but not ready"
    UNREACHABLE = "no answer"
    FULL = "no room"
    REFUSED = "not allowed"
    ANSWER = "a plain answer to this one command"


_WORDS: dict[str, ErrorKind] = {
    # A write reached a replica.
    "READONLY": ErrorKind.MOVED,
    # A blocked pop on a master that has just become a replica.
    "UNBLOCKED": ErrorKind.MOVED,
    # A replica that lost its master and has replica-serve-stale-data no.
    "MASTERDOWN": ErrorKind.MOVED,
    # The dataset is being read from disk after a restart.
    "LOADING": ErrorKind.NOT_READY,
    # Fewer replicas than min-replicas-to-write: a master cut off, or one that waits for its replicas.
    "NOREPLICAS": ErrorKind.NOT_READY,
    # A script runs for longer than lua-time-limit.
    "BUSY": ErrorKind.NOT_READY,
    # Redis could not save to disk and is set to stop writing then: the disk is full or broken.
    "MISCONF": ErrorKind.FULL,
    "OOM": ErrorKind.FULL,
    "NOAUTH": ErrorKind.REFUSED,
    "WRONGPASS": ErrorKind.REFUSED,
    "NOPERM": ErrorKind.REFUSED,
    # Protected mode.
    "DENIED": ErrorKind.REFUSED,
}

_CLASSES: tuple[tuple[type[Exception], ErrorKind], ...] = (
    (ReadOnlyError, ErrorKind.MOVED),
    (MasterDownError, ErrorKind.MOVED),
    (BusyLoadingError, ErrorKind.NOT_READY),
    (OutOfMemoryError, ErrorKind.FULL),
    (NoPermissionError, ErrorKind.REFUSED),
    (AuthorizationError, ErrorKind.REFUSED),
    (AuthenticationError, ErrorKind.REFUSED),
    (MaxConnectionsError, ErrorKind.NOT_READY),
    # What answers there speaks another protocol.
    (InvalidResponse, ErrorKind.UNREACHABLE),
)

_SENTENCES: tuple[tuple[str, ErrorKind], ...] = (
    # WAIT, where a master becomes a replica between a write and its confirmation.
    ("WAIT cannot be used with replica", ErrorKind.MOVED),
    ("max number of clients reached", ErrorKind.NOT_READY),
    ("invalid password", ErrorKind.REFUSED),
    ("without any password configured", ErrorKind.REFUSED),
    ("no password is set", ErrorKind.REFUSED),
    # TLS 1.3 tells whoever shows no certificate, or a wrong one, only after the handshake.
    ("alert certificate required", ErrorKind.REFUSED),
    ("alert unknown ca", ErrorKind.REFUSED),
    ("alert bad certificate", ErrorKind.REFUSED),
    ("alert certificate expired", ErrorKind.REFUSED),
    ("alert certificate unknown", ErrorKind.REFUSED),
    # A script may do what its user may: 6.2 and 7.0, then newer ones.
    ("user executing the script can't", ErrorKind.REFUSED),
    ("ACL failure in script", ErrorKind.REFUSED),
)

# Redis 6.2 in a script: "ERR Error running script (call to f_...): @user_script:3: -READONLY You can't ...".
# Redis 7 at EXEC: "EXECABORT Transaction discarded because of: NOREPLICAS Not enough ...".
_WITHIN = re.compile(r"(?:@user_script.*?|discarded because of: )-?\b(" + "|".join(_WORDS) + r")\b")


def kind_of(error: Exception) -> ErrorKind:
    """Return the kind of an error from redis-py or from the socket."""
    for error_class, kind in _CLASSES:
        if isinstance(error, error_class):
            return kind
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError):
        return _kind_of_text(str(error)) or ErrorKind.UNREACHABLE
    return _kind_of_text(str(error)) or ErrorKind.ANSWER


def _kind_of_text(text: str) -> ErrorKind | None:
    word = text.split(" ", 1)[0]
    if word in _WORDS:
        return _WORDS[word]
    if within := _WITHIN.search(text):
        return _WORDS[within[1]]
    return next((kind for part, kind in _SENTENCES if part in text), None)


def drops_socket(kind: ErrorKind) -> bool:
    """Return whether the connection must not be used again.

    A refusal ends a pipeline in redis-py before its other answers are read: the next user of the socket would
    take them for their own.
    """
    return kind not in {ErrorKind.FULL, ErrorKind.ANSWER}


def translate(error: Exception, endpoint: Endpoint) -> Exception:
    """Return the exception whose type carries the decision; `error` itself where there is none to take."""
    if isinstance(error, TransientError | Backpressure | PermanentError):
        return error
    reason = sentence(error)
    match kind_of(error):
        case ErrorKind.MOVED:
            translated: Exception = MasterMoved(f"{endpoint} is not the master any more: {reason}")
        case ErrorKind.NOT_READY:
            translated = MasterNotReady(f"{endpoint} is not ready: {reason}")
        case ErrorKind.UNREACHABLE:
            translated = TransientError(f"{endpoint} does not answer: {reason}")
        case ErrorKind.FULL:
            translated = Backpressure(f"{endpoint} accepts no writes: {reason}")
        case ErrorKind.REFUSED:
            translated = AccessRefused(f"{endpoint} refuses us: {reason} {remedy(str(error))}")
        case ErrorKind.ANSWER:
            translated = error
    return translated


def sentence(error: Exception) -> str:
    """Return the text of an error with one full stop at its end."""
    return f"{str(error).rstrip('. ') or type(error).__name__}."


_REMEDIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("noperm", "no permission", "executing the script", "acl failure"),
        "Give the user this right in the ACL file, then ACL LOAD or restart the node.",
    ),
    (
        ("alert certificate required",),
        "It demands a client certificate: name one and its key in the TLS settings.",
    ),
    (
        ("[ssl:",),
        "It does not accept our client certificate: renew it, or have it signed by an authority that it trusts.",
    ),
    (("protected mode",), "Set a password or an ACL user on the node, or bind it to a private address."),
    (
        ("without any password", "no password is set"),
        "It has no password: clear the password setting for it.",
    ),
)


def remedy(text: str) -> str:
    """Return what an operator should do about a refusal."""
    lowered = text.lower()
    for signs, what_to_do in _REMEDIES:
        if any(sign in lowered for sign in signs):
            return what_to_do
    return "Check the user name and the password settings for it."
