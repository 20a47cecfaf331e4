"""What an embedded topology is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """How many of what, and Sentinel's times in its own unit, milliseconds."""

    replicas: int = 2
    sentinels: int = 3
    down_after_ms: int | None = None
    """None: the value that is shipped, in `config/start-sentinel.sh`; so is that of `failover_timeout_ms`."""
    failover_timeout_ms: int | None = None
    maxmemory: str = "128mb"
    min_replicas_to_write: int = 1
    acl: bool = True
    """False: a plain Sentinel deployment without users and passwords."""
    superuser: bool = False
    """True: the user `drill` may do everything on the data nodes. For tests and drills only."""
    redis_server: Path | None = None
    """None: as `binary.find_redis_server` finds it."""
    directory: Path | None = None
    """Where configuration, data and logs are kept after the end; None: a temporary one, removed on stop."""
    master_name: str = "verifier"
    hostname: str | None = None
    """A name of 127.0.0.1 that all use for each other, as containers use names; None: they use addresses."""

    tls: bool = False
    """True: all speak TLS, with an authority and certificates that `make-secrets.sh` makes by openssl."""
    tls_auth_clients: Literal["yes", "no", "optional"] = "optional"
    """yes: whoever shows no certificate is refused."""

    def __post_init__(self) -> None:
        """Check that the options could work.

        Raises:
            ValueError: one could not; the message says which.
        """
        if self.replicas < 0 or self.sentinels < 1:
            raise ValueError("A topology needs at least one sentinel and no negative number of replicas.")
        if self.min_replicas_to_write > self.replicas:
            raise ValueError(
                f"min_replicas_to_write={self.min_replicas_to_write} with {self.replicas} replicas would refuse "
                "every write: lower it or add replicas."
            )
        if self.superuser and not self.acl:
            raise ValueError("superuser=True needs acl=True: with acl=False every client is a superuser.")

    def times(self) -> dict[str, str]:
        """Return the environment of a sentinel that differs from what is shipped, in milliseconds."""
        times = {
            "SENTINEL_DOWN_AFTER_MS": self.down_after_ms,
            "SENTINEL_FAILOVER_TIMEOUT_MS": self.failover_timeout_ms,
        }
        return {name: str(value) for name, value in times.items() if value is not None}

    @property
    def quorum(self) -> int:
        """The majority of the sentinels."""
        return self.sentinels // 2 + 1
