"""Commands and their replies at once, as scripts are run: on a plain socket, and the way that TLS goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hiredis import pack_command
from redis import ResponseError
from redis.exceptions import NoScriptError

from sentinel.deadline import request_deadline
from sentinel.errors import AccessRefused, Backpressure, DeadlinePassed, MasterMoved, TransientError
from sentinel.link import connections as connections_module
from sentinel.link import master_pool as pool_module
from sentinel.link.connections import MasterConnection
from sentinel.link.master_link import MasterLink
from sentinel.local.waiting import wait_for
from tests.support.fake_redis import Hang, HangUp, Raw, Refusal

pytestmark = pytest.mark.usefixtures("patient")

if TYPE_CHECKING:
    from tests.unit.sentinel.conftest import World

LONG_S = 60.0
GET, PING = pack_command(("GET", "a")), pack_command(("PING",))


@pytest.fixture(params=["plain", "as with TLS"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "plain":
        monkeypatch.setattr(connections_module, "is_possible_on", lambda _: False)


@contextmanager
def lent(link: MasterLink) -> Iterator[MasterConnection]:
    """Lend a connection of the link."""
    pool = link.redis.connection_pool
    connection: Any = pool.get_connection()
    try:
        yield connection
    finally:
        pool.release(connection)


def ask(link: MasterLink, *commands: bytes) -> list[Any]:
    """Exchange these on a connection of the link."""
    with lent(link) as connection:
        return connection.exchange(b"".join(commands), len(commands))


def test_replies_come_in_the_order_of_the_commands(link: MasterLink, world: World) -> None:
    """On the one connection that there is."""
    world.master.said["GET"] = "x" * 200_000
    for _ in range(3):
        assert ask(link, GET, PING) == [b"x" * 200_000, b"PONG"]
    assert world.master.connections == 1


def test_plain_errors_stand_among_the_replies(link: MasterLink, world: World) -> None:
    """So that the replies to the other commands count."""
    world.master.said["GET"] = Refusal("NOSCRIPT No matching script. Please use EVAL.")
    error, pong = ask(link, GET, PING)
    assert isinstance(error, NoScriptError)
    assert pong == b"PONG"
    world.master.said["GET"] = Refusal("WRONGTYPE Operation against a key holding the wrong kind of value")
    assert type(ask(link, GET)[0]) is ResponseError
    assert world.master.connections == 1


@pytest.mark.parametrize(
    ("answer", "error_class"),
    [
        ("READONLY You can't write against a read only replica.", MasterMoved),
        ("NOPERM this user has no permissions to run the 'get' command", AccessRefused),
    ],
)
def test_what_means_not_your_master_is_typed_and_drops_the_socket(
    link: MasterLink, world: World, answer: str, error_class: type[Exception]
) -> None:
    """What was answered before stands: whose it is need not try again."""
    world.master.said["GET"] = Refusal(answer)
    first, error, last = ask(link, PING, GET, PING)
    assert first == last == b"PONG"
    assert isinstance(error, error_class)
    assert wait_for(lambda: world.master.open_connections == 0, 30)
    world.fail_over()
    assert ask(link, PING) == [b"PONG"]


def test_a_full_redis_says_so_to_whom_it_refuses(link: MasterLink, world: World) -> None:
    """And keeps its socket."""
    world.master.said["GET"] = Refusal("OOM command not allowed when used memory > 'maxmemory'.")
    error, pong = ask(link, GET, PING)
    assert isinstance(error, Backpressure)
    assert pong == b"PONG"
    assert ask(link, PING) == [b"PONG"]
    assert world.master.connections == 1


@pytest.mark.parametrize(
    "instead", [HangUp(), Raw(b"what?\r\n"), Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")], ids=repr
)
def test_a_broken_answer_is_transient(link: MasterLink, world: World, instead: Any) -> None:
    """The socket is dropped, and the sentinels are asked again."""
    world.master.said["GET"] = instead
    with pytest.raises(TransientError):
        ask(link, GET)
    world.fail_over()
    assert ask(link, PING) == [b"PONG"]


def test_nobody_gets_the_reply_of_somebody_who_gave_up(
    make_link: Callable[..., MasterLink], world: World
) -> None:
    """What still comes is nobody's."""
    late = threading.Event()

    def after_a_while(_: list[str]) -> str:
        late.wait(30)
        return "somebody's value"

    link = make_link(node_timeout_s=0.5)
    world.master.said["GET"] = after_a_while
    began_at = time.monotonic()
    with pytest.raises(TransientError, match="does not answer"):
        ask(link, GET)
    assert time.monotonic() - began_at >= 0.5
    late.set()
    assert wait_for(lambda: _answers(link), 30)


def _answers(link: MasterLink) -> bool:
    """Return whether a ping is answered; by nothing else than a pong in any case."""
    try:
        reply = ask(link, PING)
    except TransientError:
        return False
    assert reply == [b"PONG"]
    return True


def test_all_replies_together_end_with_the_requests_time(
    make_link: Callable[..., MasterLink], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not each of them."""
    monkeypatch.setattr(connections_module, "FAIR_TIME_S", LONG_S)
    link = make_link(node_timeout_s=LONG_S, node_connect_timeout_s=LONG_S)
    ask(link, PING)

    def slowly(_: list[str]) -> str:
        time.sleep(0.3)
        return "value"

    world.master.said["GET"] = slowly
    began_at = time.monotonic()
    with pytest.raises(DeadlinePassed), request_deadline(0.5):
        ask(link, *[GET] * 50)
    assert time.monotonic() - began_at < 10


def test_a_socket_is_used_both_ways_in_turns(make_link: Callable[..., MasterLink], world: World) -> None:
    """Whichever limit was set before, the one that holds is that of the moment."""
    link = make_link(node_timeout_s=0.5)
    for _ in range(2):
        assert ask(link, PING) == [b"PONG"]
        assert link.redis.ping()
    assert world.master.connections == 1
    world.master.said["GET"] = Hang()
    with pytest.raises(TransientError, match="does not answer"):
        link.redis.get("a")
    with pytest.raises(TransientError, match="does not answer"):
        ask(link, GET)


def test_hanging_up_wakes_whoever_waits(make_link: Callable[..., MasterLink], world: World) -> None:
    """A script on the old master does not sleep through the failover."""
    link = make_link(node_timeout_s=LONG_S)
    world.master.said["GET"] = Hang()
    errors: list[Exception] = []

    def wait() -> None:
        try:
            ask(link, GET)
        except TransientError as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert wait_for(lambda: world.master.asked("GET") == 1, 30)
    world.fail_over()
    link.master_moved(world.master.endpoint)
    waiting.join(30)
    assert not waiting.is_alive()
    assert len(errors) == 1


def test_an_idle_connection_that_was_closed_is_opened_anew(
    link: MasterLink, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's request fails for it; nor does one that was hung up on a moment ago."""
    monkeypatch.setattr(pool_module, "FRESH_FOR_S", 0.0)
    ask(link, PING)
    world.master.hang_up_on_all()
    assert wait_for(lambda: world.master.open_connections == 0, 30)
    assert ask(link, PING) == [b"PONG"]
    monkeypatch.setattr(pool_module, "FRESH_FOR_S", LONG_S)
    with lent(link) as connection:
        pass
    connection.hang_up()
    assert ask(link, PING) == [b"PONG"]
    assert world.master.connections == 3


def test_nobody_gets_the_reply_of_somebody_who_was_stopped(
    link: MasterLink, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal, say, between a command and its reply: redis-py lends such a connection on, however fresh it is."""
    monkeypatch.setattr(pool_module, "FRESH_FOR_S", LONG_S)
    world.master.said["GET"] = "somebody's value"
    ask(link, PING)
    with lent(link) as connection:
        connection.send_command("GET", "a")
        assert wait_for(connection.can_read, 30)
    assert ask(link, PING) == [b"PONG"]
    assert link.redis.ping() is True
