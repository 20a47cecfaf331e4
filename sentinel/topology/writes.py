"""One small write, as the app does them: the only way to know that a master takes writes.

INFO shows a full memory and a disk error, and nothing else that stops writes: a CLIENT PAUSE, too few replicas and a
login that lost its rights show when something is written. The write is one key that expires within a minute.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum

import redis
from redis import RedisError
from redis.exceptions import OutOfMemoryError

from sentinel.access import WriteProbe
from sentinel.endpoints import Endpoint
from sentinel.error_classes import ErrorKind, kind_of
from sentinel.protocol import number_in
from sentinel.tls import Tls
from sentinel.topology.node_commands import NodeCommands

# A busy machine may take this long; a hold (CLIENT PAUSE) usually lasts longer.
ANSWER_WITHIN_S = 2.0
ACKNOWLEDGE_WITHIN_MS = 1000
LIVES_MS = 60_000


class Refusal(StrEnum):
    """Why a write was not taken."""

    MEMORY = "memory"
    DISK = "disk"
    REPLICAS = "replicas"
    HELD = "held"
    NOT_READY = "not ready"
    ACCESS = "access"
    ROLE = "role"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class WriteAnswer:
    """What came of one write on a node: nothing refused it, or why not, in a name and in Redis's words."""

    node: Endpoint
    took_s: float
    """How long it took, confirmation by replicas included."""
    refusal: Refusal | None = None
    error: str | None = None
    anonymous: bool = False
    """The app's login is not in the settings here, so a refusal says nothing of the app."""
    needed: int = 0
    acknowledged: int | None = None
    """How many replicas confirmed it within a second; None where nobody needs one or it was not taken."""

    @property
    def taken(self) -> bool:
        """Return whether it counts: it was written, and as many replicas as the app needs have it."""
        return self.refusal is None and (self.acknowledged is None or self.acknowledged >= self.needed)


def try_write(node: Endpoint, probe: WriteProbe, tls: Tls | None = None) -> WriteAnswer:
    """Write once; takes up to three seconds, and raises nothing for what Redis answers."""
    began_at = time.monotonic()
    answers, acknowledged, refusal, error = False, None, None, None
    with NodeCommands(probe.login, timeout_s=ANSWER_WITHIN_S, tls=tls) as commands:
        try:
            # No PING: that is refused on a disk error, too.
            commands.ask(node, "ROLE")
            answers = True
            commands.ask(node, "SET", probe.key, "1", "PX", str(LIVES_MS))
            if probe.replicas:
                reply = commands.ask(node, "WAIT", str(probe.replicas), str(ACKNOWLEDGE_WITHIN_MS))
                acknowledged = number_in(reply)
        except RedisError as raised:
            refusal, error = _refusal_in(raised, answers=answers), str(raised)
    return WriteAnswer(
        node,
        time.monotonic() - began_at,
        refusal,
        error,
        anonymous=not probe.login.username and not probe.login.password,
        needed=probe.replicas,
        acknowledged=acknowledged,
    )


def _refusal_in(error: RedisError, *, answers: bool) -> Refusal:
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    if isinstance(cause, redis.TimeoutError) and answers:
        return Refusal.HELD
    kind, words = kind_of(cause), str(cause)
    if kind is ErrorKind.FULL:
        return (
            Refusal.MEMORY if isinstance(cause, OutOfMemoryError) or words.startswith("OOM") else Refusal.DISK
        )
    if kind is ErrorKind.NOT_READY and "NOREPLICAS" in words:
        return Refusal.REPLICAS
    return _BY_KIND.get(kind, Refusal.NOT_READY)


_BY_KIND = {
    ErrorKind.MOVED: Refusal.ROLE,
    ErrorKind.REFUSED: Refusal.ACCESS,
    ErrorKind.UNREACHABLE: Refusal.SILENT,
}
