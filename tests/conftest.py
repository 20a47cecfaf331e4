"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from sentinel import LocalOptions, LocalTopology, Login
from verifier import create_app
from verifier.container import Container, install, make_container
from verifier.domain.keys import KeyRing
from verifier.domain.rules import Rules
from verifier.settings import RedisSettings, Settings
from verifier.store import keyspace

# Run side by side, each folder of these in one process: they share a set-up that takes seconds.
TOGETHER = ("chaos", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share an expensive set-up in one process."""
    for item in items:
        for folder in TOGETHER:
            if folder in item.path.parts:
                item.add_marker(pytest.mark.xdist_group(folder))


@pytest.fixture(scope="session")
def topology() -> Iterator[LocalTopology]:
    """One embedded topology for the whole session; a test that disturbs it calls `heal` afterwards."""
    with LocalTopology(LocalOptions(down_after_ms=1000, superuser=True)) as running:
        yield running


@pytest.fixture(scope="session")
def settings(topology: LocalTopology) -> Settings:
    """The settings that lead an app to the shared topology, with small rules and no relay behind them."""
    environment = topology.environment()
    return Settings(
        name="Example",
        keys=KeyRing("test", {"test": b"a secret of the tests, long enough"}),
        rules=Rules(max_check_attempts=3, max_sends=3),
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


@pytest.fixture(scope="session")
def container(settings: Settings) -> Iterator[Container]:
    """The container of all apps of the session: one link, since each has a thread for every sentinel."""
    made = make_container(settings)
    yield made
    made.link.close()


@pytest.fixture
def app(settings: Settings, container: Container) -> Flask:
    """An app on the shared topology; nobody works for its mails."""
    made = create_app(settings)
    install(made, container)
    return made


@pytest.fixture
def clock(container: Container, topology: LocalTopology) -> Clock:
    """Redis's clock, and a way to let time pass."""
    return Clock(container, topology)


class Clock:
    """Time passes for all verifications at once, since Redis's own clock can't be moved."""

    def __init__(self, container: Container, topology: LocalTopology) -> None:
        self._container = container
        self._topology = topology

    @property
    def now(self) -> float:
        """The time by Redis's clock."""
        return self._container.service.clock()

    def move(self, seconds: float) -> None:
        """Let time have passed since whatever happened so far."""
        with self._topology.admin(self._topology.current_master()) as client:
            for key in client.scan_iter(f"{keyspace.RECORD_PREFIX}*"):
                for name in ("created_at", "expires_at", "queued_at", "last_sent_at"):
                    before: Any = client.hget(key, name)
                    if before is not None:
                        client.hset(key, name, f"{float(before) - seconds:.3f}")
