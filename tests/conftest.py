"""Fixtures shared by all tests."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator

import hypothesis
import pytest
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from sentinel import LocalTopology
from tests.support.api.conforming import ConformingClient
from tests.support.clock import RedisTime
from tests.support.topologies import QUICK, logs_of, settings_on
from verifier import create_app
from verifier.container import Container, install, make_container
from verifier.settings import Settings

# A shell that runs the tests in the background has them ignore Ctrl-C, and what they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more of what else the machine does than of the code.
hypothesis.settings.register_profile(
    "no-deadline", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("no-deadline")


class CompiledTemplates(BytecodeCache):
    """What templates were compiled to, for all apps of a process: each test makes its own app, of the same templates."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket where the template was compiled before; it looks itself whether the source is the same."""
        if compiled := self._compiled.get(bucket.key):
            bucket.bytecode_from_string(compiled)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        self._compiled[bucket.key] = bucket.bytecode_to_string()


Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": CompiledTemplates()}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside a failure what the processes of its topology said: Sentinel tells why it did not fail over."""
    report = yield
    if report.failed:
        used = vars(item).get("funcargs", {}).values()
        for topology in (each for each in used if isinstance(each, LocalTopology)):
            report.sections.extend(logs_of(topology))
            break
    return report


@pytest.fixture(scope="session")
def topology() -> Iterator[LocalTopology]:
    """One embedded topology for the whole session; a test that disturbs it calls `heal` afterwards."""
    with LocalTopology(QUICK) as running:
        yield running


@pytest.fixture(scope="session")
def settings(topology: LocalTopology) -> Settings:
    """The settings that lead an app to the shared topology, with small rules and no relay behind them."""
    return settings_on(topology)


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
    made.test_client_class = ConformingClient
    install(made, container)
    return made


@pytest.fixture
def clock(container: Container, topology: LocalTopology) -> RedisTime:
    """Redis's clock, and a way to let time pass."""
    return RedisTime(container, topology)
