"""Connections that follow the master, against nodes and sentinels that do as they are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import NoScriptError, ResponseError

from sentinel.access import Login
from sentinel.deadline import request_deadline
from sentinel.errors import (
    AccessRefused,
    Backpressure,
    DeadlinePassed,
    MasterMoved,
    MasterNotReady,
    TransientError,
    UnknownMasterName,
)
from sentinel.link import connections as connections_module
from sentinel.link.connections import MasterConnection
from sentinel.link.master_link import MasterLink
from sentinel.local.waiting import wait_for
from tests.support.fake_redis import Hang, HangUp, Raw, Refusal

pytestmark = pytest.mark.usefixtures("patient")

if TYPE_CHECKING:
    from tests.unit.sentinel.conftest import World


LONG_S = 60.0
SOON_S = 30.0


def test_a_connection_asks_the_sentinels_and_then_the_node(link: MasterLink, world: World) -> None:
    """Where the master is, and whether it is one."""
    assert link.redis.ping()
    assert world.master.asked("ROLE") == 1
    assert world.other.connections == 0


def test_connections_are_kept(link: MasterLink, world: World) -> None:
    """A command costs one round trip."""
    for _ in range(5):
        link.redis.ping()
    assert world.master.connections == 1
    assert world.master.asked("ROLE") == 1


def test_it_logs_in_and_says_nothing_of_itself(make_link: Callable[..., MasterLink], world: World) -> None:
    """CLIENT SETINFO is no right of ours."""
    make_link(node_login=Login("app", "secret")).redis.ping()
    assert world.master.asked("AUTH", "app", "secret") == 1
    assert world.master.asked("CLIENT") == world.master.asked("HELLO") == 0


def test_a_replica_is_refused(link: MasterLink, world: World) -> None:
    """Whatever Sentinel says: nothing but ROLE is ever sent to it."""
    for each in world.sentinels:
        each.master = world.other.endpoint
    with pytest.raises(MasterMoved, match=str(world.other.endpoint)):
        link.redis.set("a", "b")
    assert world.other.asked("SET") == 0


def test_a_node_that_does_not_know_its_role_is_refused(link: MasterLink, world: World) -> None:
    """A sentinel, or something else that speaks the protocol."""
    world.master.said["ROLE"] = ["sentinel", []]
    with pytest.raises(TransientError, match="no role"):
        link.redis.ping()


def test_a_user_who_may_not_ask_for_the_role_is_told_so(link: MasterLink, world: World) -> None:
    """With the right that is missing."""
    world.master.said["ROLE"] = Refusal("NOPERM this user has no permissions to run the 'role' command")
    with pytest.raises(AccessRefused, match=r"\+role"):
        link.redis.ping()


@pytest.mark.parametrize(
    ("answer", "error_class"),
    [
        ("READONLY You can't write against a read only replica.", MasterMoved),
        ("UNBLOCKED force unblock from blocking operation, instance state changed", MasterMoved),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", MasterMoved),
        ("LOADING Redis is loading the dataset in memory", MasterNotReady),
        ("NOREPLICAS Not enough good replicas to write.", MasterNotReady),
        ("NOPERM this user has no permissions to run the 'set' command", AccessRefused),
        ("NOAUTH Authentication required.", AccessRefused),
    ],
)
def test_an_answer_that_means_not_your_master_drops_the_socket(
    link: MasterLink, world: World, answer: str, error_class: type[Exception]
) -> None:
    """It comes back typed, and the next command asks the sentinels again."""
    world.master.said["SET"] = Refusal(answer)
    with pytest.raises(error_class):
        link.redis.set("a", "b")
    assert wait_for(lambda: world.master.open_connections == 0, 30)
    world.fail_over()
    assert link.redis.set("a", "b")
    assert world.master.asked("SET") == 1


@pytest.mark.parametrize(
    "answer",
    ["OOM command not allowed when used memory > 'maxmemory'.", "MISCONF Errors writing to the AOF file"],
)
def test_a_full_redis_keeps_its_socket(link: MasterLink, world: World, answer: str) -> None:
    """It is the master still, and reconnecting would make no room."""
    world.master.said["SET"] = Refusal(answer)
    with pytest.raises(Backpressure):
        link.redis.set("a", "b")
    assert link.redis.ping()
    assert world.master.connections == 1


@pytest.mark.parametrize(
    ("answer", "error_class"),
    [
        ("NOSCRIPT No matching script. Please use EVAL.", NoScriptError),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", ResponseError),
    ],
)
def test_a_plain_answer_is_the_callers(
    link: MasterLink, world: World, answer: str, error_class: type[Exception]
) -> None:
    """As redis-py makes it, on a socket that stays."""
    world.master.said["SET"] = Refusal(answer)
    with pytest.raises(error_class) as error:
        link.redis.set("a", "b")
    assert not isinstance(error.value, TransientError | Backpressure)
    assert link.redis.ping()
    assert world.master.connections == 1


@pytest.mark.parametrize(
    "instead", [HangUp(), Raw(b"what?\r\n"), Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")], ids=repr
)
def test_a_broken_answer_is_transient(link: MasterLink, world: World, instead: Any) -> None:
    """The socket is dropped and the sentinels are asked again."""
    world.master.said["SET"] = instead
    with pytest.raises(TransientError):
        link.redis.set("a", "b")
    world.fail_over()
    assert link.redis.set("a", "b")


def test_a_hung_master_is_given_up_after_the_time_limit(
    make_link: Callable[..., MasterLink], world: World
) -> None:
    """And left behind."""
    link = make_link(node_timeout_s=0.5)
    world.master.said["SET"] = Hang()
    started_at = time.monotonic()
    with pytest.raises(TransientError, match="does not answer"):
        link.redis.set("a", "b")
    assert 0.5 <= time.monotonic() - started_at < 15
    world.fail_over()
    assert link.redis.set("a", "b")


def test_a_dropped_connection_never_goes_back_by_itself(link: MasterLink, world: World) -> None:
    """redis-py reconnects to the old address when it finds the socket gone; ours goes where the master is."""
    link.redis.ping()
    old = world.master
    world.fail_over()
    old.hang_up_on_all()
    for _ in range(200):
        try:
            link.redis.set("a", "b")
            break
        except TransientError:
            time.sleep(0.02)
    assert world.master.asked("SET") == 1
    assert old.asked("SET") == 0


def test_no_answer_is_taken_for_another_ones(link: MasterLink, world: World) -> None:
    """A refusal ends a pipeline early; what was still to come must not be read by the next user of the socket."""
    late = threading.Event()

    def after_a_while(_: list[str]) -> int:
        late.wait(30)
        return 1

    world.master.said["EVALSHA"] = Refusal("NOPERM this user has no permissions to run the 'evalsha' command")
    world.master.said["WAIT"] = after_a_while
    world.master.said["GET"] = "somebody's value"
    with link.redis.pipeline(transaction=False) as pipeline:
        pipeline.evalsha("0" * 40, 0)
        pipeline.wait(1, 100)
        with pytest.raises(AccessRefused):
            pipeline.execute(raise_on_error=False)
    threading.Timer(0.1, late.set).start()
    value: Any = None
    for _ in range(100):
        try:
            value = link.redis.get("a")
            break
        except TransientError:
            time.sleep(0.02)
    assert value == b"somebody's value"


def test_a_master_that_can_not_be_reached_is_left_alone_for_a_moment(link: MasterLink, world: World) -> None:
    """However many want it: an outage costs few connection attempts."""
    world.master.said["ROLE"] = HangUp()
    attempts_until = time.monotonic() + 1
    while time.monotonic() < attempts_until:
        with pytest.raises(TransientError):
            link.redis.ping()
    assert 2 <= world.master.connections <= 8


def test_a_wrong_master_name_is_told_at_once(link: MasterLink, world: World) -> None:
    """It is not tried again and again."""
    for each in world.sentinels:
        each.name = "othermaster"
    started_at = time.monotonic()
    with pytest.raises(UnknownMasterName):
        link.run(lambda client: client.ping())
    assert time.monotonic() - started_at < SOON_S / 2


def test_a_refused_login_is_told_at_once(make_link: Callable[..., MasterLink], world: World) -> None:
    """With the remedy."""
    world.master.said["AUTH"] = Refusal("WRONGPASS invalid username-password pair or user is disabled.")
    link = make_link(node_login=Login("app", "wrong"))
    with pytest.raises(AccessRefused, match="password settings"):
        link.run(lambda client: client.ping())


def test_hanging_up_wakes_whoever_waits(link: MasterLink, world: World) -> None:
    """A blocking command on the old master does not sleep through the failover."""
    world.master.said["BLMOVE"] = Hang()
    blocking = link.client(timeout_s=120)
    errors: list[Exception] = []

    def block() -> None:
        try:
            blocking.blmove("a", "a", 100)
        except TransientError as error:
            errors.append(error)

    waiting = threading.Thread(target=block)
    waiting.start()
    assert wait_for(lambda: world.master.asked("BLMOVE") == 1, 30)
    world.fail_over()
    link.master_moved(world.master.endpoint)
    waiting.join(30)
    assert not waiting.is_alive()
    assert len(errors) == 1


def test_connections_to_the_master_itself_are_left_alone(link: MasterLink, world: World) -> None:
    """When an announcement says nothing new."""
    link.redis.ping()
    link.master_moved(world.master.endpoint)
    link.redis.ping()
    assert world.master.connections == 1


def test_a_connection_that_was_being_opened_while_the_master_moved_is_not_used(
    link: MasterLink, world: World
) -> None:
    """The hang-up could not see it yet; the old master still says that it is one, and takes writes."""
    old, slow, moved = world.master, threading.Event(), threading.Event()
    link.directory.master()
    opened = MasterConnection._connect  # type: ignore[attr-defined]

    def connect(self: MasterConnection) -> Any:
        sock = opened(self)
        if self.port == old.endpoint.port:
            slow.set()
            moved.wait(60)
        return sock

    errors: list[Exception] = []

    def write() -> None:
        try:
            link.redis.set("a", "b")
        except TransientError as error:
            errors.append(error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MasterConnection, "_connect", connect)
        writer = threading.Thread(target=write)
        writer.start()
        assert slow.wait(30)
        link.master_moved(world.other.endpoint)
        moved.set()
        writer.join(30)
    assert old.asked("SET") == 0
    assert "moved away" in str(errors[0])


@pytest.fixture
def unhurried(make_link: Callable[..., MasterLink], monkeypatch: pytest.MonkeyPatch) -> MasterLink:
    """A link that waits for a node for much longer than a request of these tests, and blames none before."""
    monkeypatch.setattr(connections_module, "FAIR_TIME_S", LONG_S)
    return make_link(node_timeout_s=LONG_S, node_connect_timeout_s=LONG_S)


def test_a_command_ends_with_the_requests_time(unhurried: MasterLink, world: World) -> None:
    """However long the socket may wait otherwise."""
    unhurried.redis.ping()
    world.master.said["GET"] = Hang()
    started_at = time.monotonic()
    with pytest.raises(DeadlinePassed, match=str(world.master.endpoint)), request_deadline(0.5):
        unhurried.redis.get("a")
    assert time.monotonic() - started_at < LONG_S / 2


def test_a_pipeline_spends_the_time_once(unhurried: MasterLink, world: World) -> None:
    """Not once for each reply."""
    unhurried.redis.ping()
    world.master.said["GET"] = _after_s(0.4)
    started_at = time.monotonic()
    with unhurried.redis.pipeline(transaction=False) as pipeline:
        for _ in range(50):
            pipeline.get("a")
        with pytest.raises(TransientError), request_deadline(0.5):
            pipeline.execute()
    # The replies take 20 s in all, and each by itself has time enough.
    assert 0.5 <= time.monotonic() - started_at < 10


def _after_s(seconds: float) -> Callable[[list[str]], str]:
    def answer(_: list[str]) -> str:
        time.sleep(seconds)
        return "late"

    return answer


def test_connecting_ends_with_the_requests_time(unhurried: MasterLink, world: World) -> None:
    """The handshake included; the node is not to blame, so the next one may try at once."""
    world.master.said["ROLE"] = Hang()
    started_at = time.monotonic()
    with pytest.raises(DeadlinePassed), request_deadline(0.5):
        unhurried.redis.get("a")
    assert time.monotonic() - started_at < LONG_S / 2
    del world.master.said["ROLE"]
    assert unhurried.redis.ping()


def test_past_its_deadline_a_request_sends_nothing(link: MasterLink, world: World) -> None:
    """And connects to nobody."""
    with pytest.raises(DeadlinePassed), request_deadline(0):
        link.redis.get("a")
    assert world.master.connections == 0
    link.redis.ping()
    with pytest.raises(DeadlinePassed), request_deadline(0):
        link.redis.get("a")
    assert world.master.asked("GET") == 0


def test_after_a_request_the_usual_time_limit_counts_again(unhurried: MasterLink, world: World) -> None:
    """On the same socket, which others use without a deadline."""
    with request_deadline(1.5):
        unhurried.redis.ping()
    world.master.said["GET"] = _after_s(1.6)
    assert unhurried.redis.get("a") == b"late"
    assert world.master.connections == 1


def test_a_node_that_had_its_time_is_given_up(link: MasterLink, world: World) -> None:
    """Also where the request's deadline ended it: a hung master must be left by those with short deadlines, too."""
    link.redis.ping()
    old = world.master
    old.said["GET"] = Hang()
    with pytest.raises(TransientError), request_deadline(1.5):
        link.redis.get("a")
    world.fail_over()
    assert link.redis.set("a", "b")
    assert old.asked("SET") == 0
