"""Topologies as tests want them, and what is told of them when a test fails."""

from __future__ import annotations

import hashlib

from sentinel import LocalOptions, LocalTopology, Login
from tests.support.limits import ROOMY
from verifier.domain.keys import KeyRing
from verifier.domain.rules import Rules
from verifier.settings import RedisSettings, Settings

# Sentinel tries a failover that failed (a split vote, a replica that looked down for a moment) again after twice
# its failover-timeout; on a busy machine that happens.
FAILOVER_WITHIN_S = 90

QUICK = LocalOptions(down_after_ms=1000, failover_timeout_ms=3000, superuser=True)
"""Times that are shorter than the shipped ones, so that many failovers fit into a run of the tests."""

LINES_TOLD = 40


def logs_of(topology: LocalTopology) -> list[tuple[str, str]]:
    """Return the name and the end of the log of each process."""
    told = []
    for process in topology.processes:
        lines = process.log.read_text(errors="replace").splitlines() if process.log.exists() else []
        told.append((f"{process.name} at {process.endpoint}", "\n".join(lines[-LINES_TOLD:])))
    return told


def settings_on(topology: LocalTopology) -> Settings:
    """Return the settings that lead an app to a topology, with small rules and no relay behind them."""
    environment = topology.environment()
    return Settings(
        name="Example",
        api_open=True,
        keys=KeyRing("test", {"test": hashlib.sha256(b"a secret of the tests").hexdigest().encode()}),
        rules=Rules(max_check_attempts=3, max_sends=3),
        limits=ROOMY,
        retention_s=60,
        max_owed_mails=1000,
        redis=RedisSettings(
            sentinels=topology.sentinels,
            master_name=topology.master_name,
            login=Login(environment["VERIFIER_REDIS_USERNAME"], environment["VERIFIER_REDIS_PASSWORD"]),
            sentinel_login=Login(
                environment["VERIFIER_SENTINEL_USERNAME"], environment["VERIFIER_SENTINEL_PASSWORD"]
            ),
        ),
    )
