"""Fixtures of the integration tests: the topology healthy and empty, and what works on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis import Redis, ResponseError

from sentinel import LocalTopology, MasterLink, wait_for
from tests.support.sink import MailSink
from tests.support.stores import Store
from verifier.settings import Settings
from verifier.store.deliveries import Deliveries
from verifier.wiring import deliveries_of, link_of


@pytest.fixture
def master(topology: LocalTopology) -> Iterator[Redis]:
    """The superuser's client on the master of the shared topology, which is healthy and empty."""
    with topology.admin(topology.heal()) as client:
        # A replica that was disturbed before counts for writes again once the master has heard of it.
        assert wait_for(lambda: _is_emptied(client), 60)
        yield client


def _is_emptied(client: Redis) -> bool:
    try:
        return bool(client.flushall())
    except ResponseError as error:
        if not str(error).startswith("NOREPLICAS"):
            raise
        return False


@pytest.fixture
def link(settings: Settings, master: Redis) -> Iterator[MasterLink]:
    """A link to the master as the app has it."""
    made = link_of(settings)
    yield made
    made.close()


@pytest.fixture
def store(settings: Settings, link: MasterLink) -> Store:
    """The store behind the link, and shortcuts for tests."""
    return Store(link, settings)


@pytest.fixture
def deliveries(settings: Settings) -> Deliveries:
    """The workers' steps."""
    return deliveries_of(settings)


@pytest.fixture
def sink() -> Iterator[MailSink]:
    """A relay on loopback that keeps what it gets."""
    with MailSink() as running:
        yield running


@pytest.fixture
def mailing(settings: Settings, sink: MailSink, master: Redis) -> Settings:
    """The settings of the shared topology, with the sink as the relay."""
    relay = replace(settings.mail.relays[0], port=sink.port)
    return replace(settings, mail=replace(settings.mail, relays=(relay,), connections=4))


@pytest.fixture
def now() -> float:
    """This moment."""
    return time.time()
