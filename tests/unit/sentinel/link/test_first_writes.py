"""What a process may write before its watcher knows whether a failover is under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from sentinel.link import failover_signal as signal_module
from sentinel.link.failover_signal import HOLD_LIMIT_S, FailoverSignal
from sentinel.link.master_link import MasterLink
from sentinel.local.waiting import wait_for
from tests.support.fake_redis import Hang
from tests.support.links import subscribed_to

if TYPE_CHECKING:
    from tests.unit.sentinel.conftest import World


SOON_S = 30.0


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds that end only when somebody ends them."""
    monkeypatch.setattr(signal_module, "HOLD_LIMIT_S", 10 * SOON_S)


def _in_the_middle_of_a_failover(world: World) -> None:
    """Have one sentinel say, when it is asked about the master, that it leads one."""
    leader = world.sentinels[1]
    answers = leader.answers

    def answer(words: list[str]) -> object:
        reply = answers(words)
        return (
            [*reply, "flags", "master,failover_in_progress"] if words[:2] == ["SENTINEL", "MASTER"] else reply
        )  # type: ignore[misc]

    leader.answers = answer


def _write(link: MasterLink) -> tuple[threading.Thread, threading.Event]:
    done = threading.Event()
    writer = threading.Thread(target=lambda: (link.redis.set("a", "b"), done.set()))
    writer.start()
    return writer, done


def test_first_write_waits_for_a_failover_that_began_before(
    make_link: Callable[..., MasterLink], world: World, endless: None
) -> None:
    """The choice of a replica was announced before anybody here listened: the old master must not be written to."""
    _in_the_middle_of_a_failover(world)
    link = make_link(watch=True)
    writer, done = _write(link)
    assert wait_for(lambda: len(subscribed_to(link)) == 3, SOON_S)
    assert not done.wait(0.2)
    old = world.master.endpoint
    world.fail_over()
    new = world.master.endpoint
    world.sentinels[1].publish("+switch-master", f"mymaster {old.host} {old.port} {new.host} {new.port}")
    assert done.wait(SOON_S)
    writer.join(SOON_S)
    assert (world.master.asked("SET"), world.other.asked("SET")) == (1, 0)


def test_first_write_goes_out_as_soon_as_all_were_asked(
    make_link: Callable[..., MasterLink], world: World, endless: None
) -> None:
    """Without a failover nobody waits for longer than the questions take."""
    link = make_link(watch=True)
    started_at = time.monotonic()
    assert link.run(lambda client: client.set("a", "b"), deadline_s=SOON_S)
    assert time.monotonic() - started_at < SOON_S
    assert len(subscribed_to(link)) == 3


def test_silent_sentinels_hold_up_the_first_write_only_so_long(
    make_link: Callable[..., MasterLink], world: World
) -> None:
    """A hold is bounded, whatever the sentinels do."""
    for each in world.sentinels[:2]:
        each.instead = Hang()
    link = make_link(watch=True, sentinel_timeout_s=1.0)
    started_at = time.monotonic()
    assert link.run(lambda client: client.set("a", "b"), deadline_s=2 * SOON_S)
    assert time.monotonic() - started_at < HOLD_LIMIT_S + SOON_S


def test_asking_again_ends_no_hold(endless: None, make_link: Callable[..., MasterLink], world: World) -> None:
    """A sentinel that comes back in the middle of a failover still names the old master."""
    link = make_link(watch=True)
    link.run(lambda client: client.set("a", "b"))
    link.failover_signal.hold()
    link.look_again()
    assert link.failover_signal._held_until > time.monotonic()


def test_a_hold_can_be_ended_without_a_change() -> None:
    """Whoever waits goes on, and no retry is woken."""
    signal = FailoverSignal()
    signal.hold()
    signal.release()
    assert signal._held_until == 0
    signal.wait_while_held()
    assert signal.count() == 0


def test_waking_without_a_change_keeps_the_hold() -> None:
    """There may be a reason to try again while a replica is being promoted."""
    signal = FailoverSignal()
    signal.hold()
    signal.announce(ends_hold=False)
    assert signal._held_until > time.monotonic()
    assert signal.count() == 1
