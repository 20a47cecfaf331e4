"""Host names, looked up without being held up by a slow name server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sentinel.endpoints import Endpoint
from sentinel.link import resolver as resolver_module
from sentinel.link.resolver import MAX_LOOKUPS, WAIT_S, Resolver

# How long a name server hangs that is not waited for.
HANGS_S = 30.0


class NameServer:
    """Stands in for `getaddrinfo`: knows some names, and answers when it is let."""

    def __init__(self) -> None:
        self.known: dict[str, list[str]] = {"redis.example": ["10.0.0.1", "10.0.0.2"]}
        self.asked: list[str] = []
        self.answers = threading.Event()
        self.answers.set()

    def __call__(self, host: str, port: object, *_: object, **__: object) -> list[Any]:
        # Threads of other tests in this process ask for this machine.
        if host != "127.0.0.1":
            self.asked.append(host)
        self.answers.wait(HANGS_S)
        if host not in self.known:
            raise socket.gaierror(-2, "Name or service not known")
        return [(2, 1, 6, "", (address, port)) for address in self.known[host]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """The name server of this machine."""
    made = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.answers.set()


@pytest.fixture
def resolver() -> Resolver:
    """A resolver that knows nothing yet."""
    return Resolver()


def _took_s(resolver: Resolver, host: str) -> float:
    started_at = time.monotonic()
    resolver.hosts(host)
    return time.monotonic() - started_at


@pytest.mark.parametrize("address", ["10.0.0.9", "::1"])
def test_an_address_is_not_looked_up(server: NameServer, resolver: Resolver, address: str) -> None:
    """It is one already."""
    assert resolver.hosts(address) == (address,)
    assert server.asked == []


def test_a_name_is_looked_up_once(server: NameServer, resolver: Resolver) -> None:
    """Its addresses come in the order in which to try them."""
    for _ in range(3):
        assert resolver.hosts("redis.example") == ("10.0.0.1", "10.0.0.2")
    assert resolver.addresses_of(Endpoint("redis.example", 1)) == {
        Endpoint("10.0.0.1", 1),
        Endpoint("10.0.0.2", 1),
    }
    assert len(server.asked) == 1


def test_an_unknown_name_has_no_address(server: NameServer, resolver: Resolver) -> None:
    """And is asked for again the next time: it may be known by then."""
    assert resolver.hosts("new.example") == ()
    server.known["new.example"] = ["10.0.0.9"]
    assert resolver.hosts("new.example") == ("10.0.0.9",)


def _lookups() -> int:
    """Count the threads that look a name up; others come and go beside the tests."""
    return sum(thread.name.startswith("look-up-") for thread in threading.enumerate())


def test_a_hanging_name_server_is_not_waited_for(server: NameServer, resolver: Resolver) -> None:
    """Nor is it asked by one thread after the other: the answer counts whenever it comes."""
    server.answers.clear()
    before = _lookups()
    assert [WAIT_S <= _took_s(resolver, "redis.example") < HANGS_S / 2 for _ in range(3)] == [True] * 3
    assert len(server.asked) == 1
    assert _lookups() == before + 1
    server.answers.set()
    assert resolver.hosts("redis.example") == ("10.0.0.1", "10.0.0.2")


def test_names_of_others_making_are_bounded(server: NameServer, resolver: Resolver) -> None:
    """Whatever a sentinel lists, few threads look names up at a time."""
    server.answers.clear()
    resolver.prepare(Endpoint(f"host-{number}.example", 1) for number in range(50))
    assert len(server.asked) <= MAX_LOOKUPS
    assert resolver._begin("host-49.example") == (None, ())
    assert _took_s(resolver, "host-49.example") < HANGS_S / 2


def test_what_was_found_is_kept_for_a_while(
    server: NameServer, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is looked up anew; while that takes long, the former addresses count."""
    resolver.hosts("redis.example")
    monkeypatch.setattr(resolver_module, "KEPT_FOR_S", 0.0)
    server.answers.clear()
    server.known["redis.example"] = ["10.0.0.3"]
    assert _took_s(resolver, "redis.example") < HANGS_S / 2
    assert resolver.hosts("redis.example") == ("10.0.0.1", "10.0.0.2")
    server.answers.set()
    assert resolver.hosts("redis.example") == ("10.0.0.3",)
