"""Fixtures shared by all tests."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from flask import Flask

from sentinel import LocalOptions, LocalTopology, Login
from tests.support.clock import Clock
from verifier import create_app
from verifier.container import Container, install, make_container
from verifier.domain.keys import KeyRing
from verifier.domain.rules import Rules
from verifier.settings import RedisSettings, Settings

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
def clock(container: Container) -> Iterator[Clock]:
    """The clock of the apps' service, which the test moves."""
    clock = Clock(time.time())
    container.service.clock, before = clock, container.service.clock
    yield clock
    container.service.clock = before
