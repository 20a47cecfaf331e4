"""What can go wrong between us and the master. The type carries the decision.

A `TransientError` passes by itself: drop the socket, find the master again, try again. A `Backpressure`
passes when Redis has room again: keep the socket, stop taking on work. A `PermanentError` stays until an
operator acts, and its message says what to do.
"""

from __future__ import annotations

import redis


class TransientError(redis.ConnectionError):
    """The master moved, is not ready or can't be reached; it is worth trying again."""


class MasterMoved(TransientError):
    """The node answered as something that is not, or no longer, the master."""


class RogueMaster(MasterMoved):
    """The master that Sentinel names was made a replica of a node that nobody knows."""


class MasterNotReady(TransientError):
    """The node is the master but can't take the command just now."""


class MasterUnknown(TransientError):
    """No sentinel names a master that can be reached."""


class NotAcknowledged(TransientError):
    """The master wrote, but too few replicas confirmed in time that they have it too."""


class CircuitOpen(TransientError):
    """Redis has been away for so long that nobody is kept waiting for it."""


class DeadlinePassed(TransientError):
    """The time of the request is up; it says nothing of Redis, and trying again is safe."""


class Backpressure(redis.ResponseError):
    """Redis takes no more writes because its memory or its disk is full."""


class PermanentError(redis.RedisError):
    """Waiting does not help; the message says what to change."""


class AccessRefused(PermanentError):
    """The login is wrong, or the user lacks a right."""


class TlsRefused(PermanentError):
    """The other side's certificate is not the one it should be, or one of the two speaks no TLS."""


class TlsFilesWrong(PermanentError):
    """A file of the TLS settings can't be used."""


class UnknownMasterName(PermanentError):
    """The sentinels know no master of this name."""


# What a caller may try again after. redis-py's TimeoutError is no ConnectionError.
TRANSIENT = (redis.ConnectionError, redis.TimeoutError)
