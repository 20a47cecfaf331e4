"""Talking to one sentinel, however it answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from sentinel.access import Access, Login
from sentinel.endpoints import Endpoint
from sentinel.errors import AccessRefused, TransientError, UnknownMasterName
from sentinel.link.cooldowns import Cooldowns
from sentinel.link.sentinel_client import SentinelClient
from tests.support.fake_redis import FakeSentinel, Hang, HangUp, Raw, Refusal

MASTER, PEER = Endpoint("127.0.0.1", 7001), Endpoint("127.0.0.1", 7002)
# Nobody fails by it on a busy machine; a sentinel that hangs has a shorter one.
TIMEOUT_S = 10.0
HANG_TIMEOUT_S = 1.0


@pytest.fixture
def sentinel() -> Iterator[FakeSentinel]:
    """A sentinel that names a master."""
    with FakeSentinel(MASTER) as running:
        yield running


@pytest.fixture
def cooldowns() -> Cooldowns:
    """No endpoint has failed yet; whoever does rests for longer than a test takes on a busy machine."""
    return Cooldowns(first_s=60, cap_s=60)


@pytest.fixture
def timeout_s() -> float:
    """How long the sentinel has for an answer."""
    return TIMEOUT_S


@pytest.fixture
def client(sentinel: FakeSentinel, cooldowns: Cooldowns, timeout_s: float) -> Iterator[SentinelClient]:
    """The questions to that sentinel."""
    access = Access((sentinel.endpoint,), "mymaster", sentinel_timeout_s=timeout_s)
    made = SentinelClient(sentinel.endpoint, access, cooldowns)
    yield made
    made.close()


def test_it_names_the_master(client: SentinelClient, sentinel: FakeSentinel) -> None:
    """By the question that lags least, over one connection that is kept."""
    assert client.master() == MASTER
    assert client.master() == MASTER
    assert sentinel.asked("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster") == 2
    assert sentinel.connections == 1


def test_it_says_nothing_of_itself(client: SentinelClient, sentinel: FakeSentinel) -> None:
    """CLIENT SETINFO is no right of ours, and without a login nobody logs in."""
    client.master()
    assert sentinel.asked("CLIENT") == sentinel.asked("AUTH") == sentinel.asked("HELLO") == 0


@pytest.mark.parametrize(
    ("login", "words"),
    [(Login("us", "secret"), ("AUTH", "us", "secret")), (Login("", "secret"), ("AUTH", "secret"))],
)
def test_it_logs_in(
    sentinel: FakeSentinel, cooldowns: Cooldowns, login: Login, words: tuple[str, ...]
) -> None:
    """As a user, or with the classic password alone."""
    client = SentinelClient(sentinel.endpoint, Access((), "mymaster", sentinel_login=login), cooldowns)
    assert client.master() == MASTER
    assert sentinel.asked(*words) == 1
    client.close()


def test_it_names_its_peers(client: SentinelClient, sentinel: FakeSentinel) -> None:
    """And whether it can reach them itself: those it can't are no help."""
    sentinel.peers = [PEER]
    assert client.peers() == {PEER: True}
    sentinel.instead = [["ip", PEER.host, "port", str(PEER.port), "flags", "s_down,sentinel,disconnected"]]
    assert client.peers() == {PEER: False}


def test_it_tells_the_version_of_its_configuration(client: SentinelClient, sentinel: FakeSentinel) -> None:
    """The newest one wins where there is no majority."""
    sentinel.epoch = 7
    assert client.config_epoch() == 7


def test_an_unknown_master_name_is_told_with_the_remedy(
    client: SentinelClient, sentinel: FakeSentinel
) -> None:
    """No waiting helps."""
    sentinel.name = "othermaster"
    with pytest.raises(UnknownMasterName, match=r"watches no master named 'mymaster'.*sentinel monitor"):
        client.master()


@pytest.mark.parametrize(
    "text",
    [
        "NOAUTH Authentication required.",
        "NOPERM this user has no permissions to run the 'sentinel' command",
        "WRONGPASS invalid username-password pair or user is disabled.",
    ],
)
def test_a_refusal_is_told_with_the_remedy(client: SentinelClient, sentinel: FakeSentinel, text: str) -> None:
    """And with the sentinel's address."""
    sentinel.instead = Refusal(text)
    with pytest.raises(AccessRefused, match=rf"Sentinel {sentinel.endpoint} refuses us: .*(Check|Give)"):
        client.master()


RUBBISH: list[Any] = [
    "OK",
    "hello",
    1,
    [],
    ["127.0.0.1"],
    ["127.0.0.1", "x"],
    ["127.0.0.1", "0"],
    ["127.0.0.1", "65536"],
    ["127.0.0.1", "-1"],
    ["", "6379"],
    [None, None],
    [["127.0.0.1"], ["6379"]],
    ["127.0.0.1", "6379", "x"],
    Refusal("ERR unknown command 'SENTINEL'"),
    Refusal("BUSY Redis is busy"),
    HangUp(),
    Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    Raw(b"\xff\xfe\r\n"),
    Raw(b"$-5\r\n"),
    Raw(b"*x\r\n"),
    Raw(b"$3\r\n\xff\xff\xff\r\n"),
    Raw(b"\r\n"),
]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=repr)
def test_rubbish_is_no_answer(client: SentinelClient, sentinel: FakeSentinel, rubbish: Any) -> None:
    """It is a transient error, and the sentinel is left alone for a moment."""
    sentinel.instead = rubbish
    with pytest.raises(TransientError, match=f"Sentinel {sentinel.endpoint}"):
        client.master()
    with pytest.raises(TransientError, match="The next attempt is in"):
        client._cooldowns.admit(sentinel.endpoint)


@pytest.mark.parametrize("rubbish", [*RUBBISH, [1], [[1, 2, 3]], [["ip"]], [[[], []]], None], ids=repr)
@pytest.mark.parametrize("question", ["peers", "replicas", "config_epoch"])
def test_rubbish_breaks_no_other_question_either(
    client: SentinelClient, sentinel: FakeSentinel, rubbish: Any, question: str
) -> None:
    """It is empty or a transient error, never a mistake of ours."""
    sentinel.instead = rubbish
    try:
        answer = getattr(client, question)()
    except TransientError:
        return
    assert not answer


@pytest.mark.parametrize("timeout_s", [HANG_TIMEOUT_S])
def test_a_hung_sentinel_costs_its_timeout_and_not_twice_in_a_row(
    client: SentinelClient, sentinel: FakeSentinel
) -> None:
    """After it, it is left alone for a moment."""
    sentinel.instead = Hang()
    started_at = time.monotonic()
    with pytest.raises(TransientError):
        client.master()
    assert time.monotonic() - started_at >= HANG_TIMEOUT_S
    with pytest.raises(TransientError, match="The next attempt is in"):
        client.master()
    assert sentinel.connections == sentinel.asked("SENTINEL") == 1


@pytest.mark.parametrize("timeout_s", [HANG_TIMEOUT_S])
def test_a_sentinel_that_hangs_later_costs_its_timeout_once(
    client: SentinelClient, sentinel: FakeSentinel
) -> None:
    """Also on a connection that was kept: a timeout there is no sign of an idle connection that was closed."""
    client.master()
    sentinel.instead = Hang()
    with pytest.raises(TransientError):
        client.master()
    assert sentinel.connections == 1
    assert sentinel.asked("SENTINEL") == 2


def test_an_idle_connection_that_was_closed_is_opened_again(
    client: SentinelClient, sentinel: FakeSentinel
) -> None:
    """Without an error: it says nothing of the sentinel."""
    client.master()
    sentinel.hang_up_on_all()
    assert client.master() == MASTER
    assert sentinel.connections == 2


def test_a_dead_sentinel_is_told_at_once(client: SentinelClient, sentinel: FakeSentinel) -> None:
    """Connection refused."""
    sentinel.stop_listening()
    started_at = time.monotonic()
    with pytest.raises(TransientError, match=str(sentinel.endpoint)):
        client.master()
    assert time.monotonic() - started_at < TIMEOUT_S / 2
