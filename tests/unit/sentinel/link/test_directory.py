"""Whom the sentinels name as the master, and whom we believe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest

from sentinel.access import Access
from sentinel.deadline import request_deadline
from sentinel.endpoints import Endpoint
from sentinel.errors import AccessRefused, DeadlinePassed, MasterUnknown, UnknownMasterName
from sentinel.link import directory as directory_module
from sentinel.link.directory import Directory
from sentinel.local.waiting import wait_for
from tests.support.fake_redis import FakeSentinel, Hang, Raw, Refusal

OLD, NEW, THIRD = Endpoint("127.0.0.1", 7001), Endpoint("127.0.0.1", 7002), Endpoint("127.0.0.1", 7003)
# Nobody fails by it on a busy machine; what a test waits for in full is shorter.
TIMEOUT_S = 10.0

Start = Callable[..., list[FakeSentinel]]


@pytest.fixture
def start(patient: None) -> Iterator[Start]:
    """Starts a sentinel for each master that it should name."""
    with ExitStack() as stack:
        yield lambda *masters: [stack.enter_context(FakeSentinel(each)) for each in masters]


def _directory(
    sentinels: list[FakeSentinel], name: str = "mymaster", timeout_s: float = TIMEOUT_S
) -> Directory:
    return Directory(Access(tuple(each.endpoint for each in sentinels), name, sentinel_timeout_s=timeout_s))


def _took_s(work: Callable[[], object]) -> float:
    started_at = time.monotonic()
    work()
    return time.monotonic() - started_at


def test_the_sentinels_are_asked_once(start: Start) -> None:
    """What they said is believed until it proves wrong."""
    sentinels = start(OLD, OLD, OLD)
    directory = _directory(sentinels)
    assert [directory.master() for _ in range(5)] == [OLD] * 5
    assert all(each.asked("SENTINEL", "GET-MASTER-ADDR-BY-NAME") <= 1 for each in sentinels)


def test_an_invalidated_belief_has_them_asked_again(start: Start) -> None:
    """Of the believed master only: invalidating an older one comes too late."""
    sentinels = start(OLD, OLD, OLD)
    directory = _directory(sentinels)
    directory.master()
    for each in sentinels:
        each.master = NEW
    directory.invalidate(NEW)
    assert directory.master() == OLD
    directory.invalidate(OLD)
    assert directory.master() == NEW


def test_an_announcement_is_believed(start: Start) -> None:
    """Without asking anybody."""
    sentinels = start(OLD, OLD, OLD)
    directory = _directory(sentinels)
    directory.announced(NEW)
    assert directory.master() == NEW
    assert sum(each.connections for each in sentinels) == 0


@pytest.mark.parametrize("place", range(3))
def test_a_stale_minority_loses(start: Start, place: int) -> None:
    """Wherever it stands in the settings, and whether it answers first or last."""
    masters = [NEW, NEW, NEW]
    masters[place] = OLD
    directory = _directory(start(*masters))
    for _ in range(5):
        directory.invalidate(NEW)
        assert directory.master() == NEW


def test_a_stale_minority_loses_however_often_it_is_faster(start: Start) -> None:
    """That a majority did not need a sentinel's answer last time does not make it a silent one."""
    stale, fresh = start(OLD, OLD), start(NEW, NEW, NEW)
    directory = _directory([*stale, *fresh])
    for each in fresh:
        _slow_down(each, 0.05)
    for each in stale:
        each.master = NEW
    assert directory.master() == NEW
    for each in stale:
        each.master = OLD
    # The answers that were not needed have come by now, too, and nobody else asks.
    assert wait_for(lambda: all(each.asked("SENTINEL", "SENTINELS") for each in [*stale, *fresh]), 30)
    assert wait_for(lambda: not any(each._lock.locked() for each in directory._sentinels.clients()), 30)
    directory.invalidate(NEW)
    assert directory.master() == NEW


def _slow_down(sentinel: FakeSentinel, seconds: float) -> None:
    prompt = sentinel.answers

    def slowly(words: list[str]) -> object:
        time.sleep(seconds)
        return prompt(words)

    sentinel.answers = slowly


def _hold_back(sentinels: list[FakeSentinel]) -> threading.Event:
    """Have none of them answer before the event is set that is returned."""
    may_answer = threading.Event()

    def held_back(prompt: Callable[[list[str]], object], words: list[str]) -> object:
        may_answer.wait(60)
        return prompt(words)

    for each in sentinels:
        each.answers = partial(held_back, each.answers)
    return may_answer


def test_without_a_majority_the_newest_configuration_wins(start: Start) -> None:
    """As with two sentinels that disagree."""
    older, newer = start(OLD, NEW)
    older.epoch, newer.epoch = 4, 5
    older.replicas, newer.replicas = [NEW], [OLD]
    directory = _directory([older, newer])
    assert directory.master() == NEW
    older.epoch = 6
    directory.invalidate(NEW)
    assert directory.master() == OLD


def test_one_sentinel_is_enough(start: Start) -> None:
    """Where the others are dead."""
    dead, alive, gone = start(OLD, NEW, OLD)
    dead.stop_listening()
    gone.stop_listening()
    directory = _directory([dead, alive, gone])
    assert _took_s(directory.master) < TIMEOUT_S / 2
    assert directory.master() == NEW


def test_a_hung_first_sentinel_delays_no_majority(start: Start) -> None:
    """The others are asked at the same time."""
    hung, *others = start(OLD, NEW, NEW)
    hung.instead = Hang()
    directory = _directory([hung, *others])
    assert _took_s(directory.master) < TIMEOUT_S / 2
    assert directory.master() == NEW


def test_a_hung_sentinel_costs_its_timeout_once(start: Start) -> None:
    """Where there is no majority without it; from then on it is not waited for."""
    hung, alive = start(OLD, NEW)
    hung.instead = Hang()
    timeout_s = 2.5
    directory = _directory([hung, alive], timeout_s=timeout_s)
    assert timeout_s * 0.9 <= _took_s(directory.master) < 2 * timeout_s
    for _ in range(4):
        directory.invalidate(NEW)
        assert _took_s(directory.master) < timeout_s * 0.8
        time.sleep(0.12)  # a rest may be over by then


def test_a_master_that_the_others_do_not_know_is_nobodys_choice(start: Start) -> None:
    """One of two sentinels can't make one up, whatever version its configuration is said to have."""
    honest, rogue = start(OLD, THIRD)
    honest.replicas, rogue.replicas = [NEW], [NEW, OLD]
    rogue.epoch = 99
    assert _directory([honest, rogue]).master() == OLD


def test_sentinels_that_disagree_about_strangers_name_nobody(start: Start) -> None:
    """It is said who names whom, and tried again later."""
    one, other = start(OLD, THIRD)
    with pytest.raises(MasterUnknown, match=f"do not agree.*{one.endpoint} names {OLD}"):
        _directory([one, other]).master()


def test_a_hung_sentinel_that_recovers_counts_again(start: Start) -> None:
    """As soon as it has answered once."""
    hung, alive = start(NEW, OLD)
    hung.epoch = 9
    hung.replicas, alive.replicas = [OLD], [NEW]
    hung.instead = Hang()
    directory = _directory([hung, alive], timeout_s=1.0)
    assert directory.master() == OLD
    hung.instead = ...

    def believes_the_newer() -> bool:
        directory.invalidate(OLD)
        return _names(directory, NEW)

    assert wait_for(believes_the_newer, 30, interval_s=0.1)


@pytest.mark.parametrize(
    "rubbish", ["hello", 1, [], None, ["x", "y"], Raw(b"HTTP/1.1 400\r\n"), Refusal("ERR what?")], ids=repr
)
def test_a_sentinel_that_answers_rubbish_is_outvoted(start: Start, rubbish: object) -> None:
    """By a single one that makes sense."""
    mad, sane = start(OLD, NEW)
    mad.instead = rubbish
    assert _directory([mad, sane]).master() == NEW


def test_when_nobody_answers_the_master_is_unknown(start: Start) -> None:
    """A transient error that names each sentinel's reason."""
    dead, hung = start(OLD, OLD)
    dead.stop_listening()
    hung.instead = Hang()
    directory = _directory([dead, hung], timeout_s=0.5)
    with pytest.raises(MasterUnknown, match="No sentinel names a master of 'mymaster'") as error:
        directory.master()
    assert str(dead.endpoint) in str(error.value)
    assert str(hung.endpoint) in str(error.value)


def test_a_wrong_master_name_is_told_with_the_remedy(start: Start) -> None:
    """Not as an outage that one could wait for."""
    with pytest.raises(UnknownMasterName, match="sentinel monitor"):
        _directory(start(OLD, OLD, OLD), "mymistake").master()


def test_a_refused_login_is_told_with_the_remedy(start: Start) -> None:
    """The same."""
    sentinels = start(OLD, OLD, OLD)
    for each in sentinels:
        each.instead = Refusal("WRONGPASS invalid username-password pair or user is disabled.")
    with pytest.raises(AccessRefused, match="password settings"):
        _directory(sentinels).master()


def test_a_refusal_is_no_verdict_while_others_are_only_away(start: Start) -> None:
    """One sentinel with a wrong configuration must not stop those who could wait for the others."""
    refusing, dead = start(OLD, OLD)
    refusing.instead = Refusal("NOAUTH Authentication required.")
    dead.stop_listening()
    with pytest.raises(MasterUnknown, match="refuses us"):
        _directory([refusing, dead]).master()


def test_other_sentinels_are_learnt(start: Start) -> None:
    """One in the settings is enough to start from; the others then help when it is gone."""
    known, other, third = start(OLD, NEW, NEW)
    known.peers = [other.endpoint, third.endpoint]
    directory = _directory([known])
    assert directory.master() == OLD
    assert wait_for(lambda: len(directory.sentinels()) == 3, 30)
    assert directory.sentinels() == (known.endpoint, other.endpoint, third.endpoint)
    known.stop_listening()
    directory.invalidate(OLD)
    assert directory.master() == NEW


def test_a_master_that_was_just_replaced_is_not_believed_in(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even while all sentinels still name it, since it takes writes that will be lost; later they count again."""
    directory = _directory(start(OLD, OLD, OLD))
    directory.master()
    directory.announced(NEW)
    assert all(_asked_anew(directory) == NEW for _ in range(5))
    monkeypatch.setattr(directory_module, "REPLACED_FOR_S", 0.0)
    assert _asked_anew(directory) == OLD


def test_a_majority_for_a_third_node_outranks_an_announcement(start: Start) -> None:
    """The next failover may have come meanwhile."""
    sentinels = start(OLD, OLD, OLD)
    directory = _directory(sentinels)
    directory.master()
    directory.announced(NEW)
    for each in sentinels[:2]:
        each.master = THIRD
    assert _asked_anew(directory) == THIRD


def _asked_anew(directory: Directory) -> Endpoint:
    for each in (OLD, NEW, THIRD):
        directory.invalidate(each)
    return directory.master()


def test_an_announcement_that_no_sentinel_confirms_is_dropped(start: Start) -> None:
    """Once it proved wrong."""
    directory = _directory(start(OLD, OLD, OLD))
    directory.announced(THIRD)
    assert directory.master() == THIRD
    directory.invalidate(THIRD)
    assert directory.master() == OLD


def test_many_who_ask_at_the_same_time_are_answered_by_one_question(start: Start) -> None:
    """A lost master does not become a storm on the sentinels."""
    sentinels = start(OLD, OLD, OLD)
    for each in sentinels:
        _slow_down(each, 0.05)
    directory = _directory(sentinels)
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda _: directory.master(), range(20))) == {OLD}
    assert all(each.asked("SENTINEL", "GET-MASTER-ADDR-BY-NAME") == 1 for each in sentinels)


def test_an_older_answer_does_not_replace_a_newer_announcement(start: Start) -> None:
    """The switch was announced while the sentinels were being asked: what they say is from before it."""
    sentinels = start(OLD, OLD, OLD)
    may_answer = _hold_back(sentinels)
    directory = _directory(sentinels)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(directory.master)
        assert wait_for(lambda: all(each.asked("SENTINEL") for each in sentinels), 30)
        directory.announced(NEW)
        may_answer.set()
        assert asked.result(30) == NEW
    assert directory.master() == NEW


def test_asking_ends_with_the_requests_time(start: Start) -> None:
    """However long the sentinels would take; whoever has more time is not harmed."""
    sentinels = start(OLD, OLD, OLD)
    may_answer = _hold_back(sentinels)
    directory = _directory(sentinels)
    started_at = time.monotonic()
    with pytest.raises(DeadlinePassed), request_deadline(0.1):
        directory.master()
    assert time.monotonic() - started_at < TIMEOUT_S / 2
    may_answer.set()
    assert wait_for(lambda: _names(directory, OLD), 30)


def _names(directory: Directory, master: Endpoint) -> bool:
    try:
        return directory.master() == master
    except MasterUnknown:
        return False
