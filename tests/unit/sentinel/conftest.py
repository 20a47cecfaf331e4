"""A small world for links: three fake sentinels, and fake nodes they may name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sentinel.access import Access
from sentinel.link import sentinel_client as sentinel_client_module
from sentinel.link.master_link import MasterLink
from tests.support.fake_redis import FakeNode, FakeSentinel

# Nobody fails by these limits on a busy machine; tests that wait for one to pass have shorter ones of their own.
TIMEOUT_S = 3.0
# What is waited for comes within milliseconds, unless the machine is very busy.
SOON_S = 30.0


class World:
    """Two nodes, the first of which is the master, and three sentinels that name it."""

    def __init__(self, stack: ExitStack) -> None:
        self.master, self.other = stack.enter_context(FakeNode()), stack.enter_context(FakeNode("slave"))
        self.other.follows = self.master.endpoint
        self.sentinels = [stack.enter_context(FakeSentinel(self.master.endpoint)) for _ in range(3)]

    def access(self, **more: Any) -> Access:
        """Return the way to the sentinels, with the usual limits unless others are given."""
        limits = dict.fromkeys(("sentinel_timeout_s", "node_connect_timeout_s", "node_timeout_s"), TIMEOUT_S)
        return Access(
            more.pop("sentinels", tuple(each.endpoint for each in self.sentinels)),
            "mymaster",
            **{**limits, **more},
        )

    def fail_over(self) -> None:
        """Make the other node the master; the old one follows it, and all sentinels know."""
        self.master, self.other = self.other, self.master
        self.master.role, self.other.role, self.other.follows = "master", "slave", self.master.endpoint
        for each in self.sentinels:
            each.master = self.master.endpoint


@pytest.fixture
def world() -> Iterator[World]:
    """Everything up."""
    with ExitStack() as stack:
        yield World(stack)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has a question waits for its turn, however long an answer takes on a busy machine."""
    monkeypatch.setattr(sentinel_client_module, "WAIT_FOR_TURN_S", TIMEOUT_S)


@pytest.fixture
def make_link(world: World) -> Iterator[Callable[..., MasterLink]]:
    """Makes links into that world, without a watcher unless asked for; they are closed at the end."""
    made: list[MasterLink] = []

    def make(*, watch: bool = False, deadline_s: float = SOON_S, **access: Any) -> MasterLink:
        made.append(MasterLink(world.access(**access), deadline_s=deadline_s, watch=watch))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def link(make_link: Callable[..., MasterLink]) -> MasterLink:
    """A link without a watcher."""
    return make_link()
