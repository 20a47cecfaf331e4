"""Threads that write at the same moment: who talks to the master, who waits, and what each is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from redis import ConnectionPool

from sentinel import AccessRefused, DeadlinePassed, MasterMoved, TransientError, request_deadline, wait_for
from verifier.store import group_commit as module
from verifier.store.group_commit import GroupCommit
from verifier.store.scripts import Command

POOL = cast("ConnectionPool", object())
WAIT: Command = ("WAIT", 1, 500)


class Master:
    """Answers each command with itself, once it is told to."""

    def __init__(self) -> None:
        self.exchanges: list[list[Command]] = []
        self.answers = threading.Semaphore(0)
        self.error: BaseException | None = None

    def exchange(self, _: ConnectionPool, commands: list[Command]) -> list[Any]:
        """Take the place of the real one."""
        self.exchanges.append(commands)
        assert self.answers.acquire(timeout=60)
        if self.error is not None:
            raise self.error
        return [f"answer to {command[1]}" for command in commands[:-1]] + [2]


class Caller(threading.Thread):
    """Wants an answer."""

    def __init__(self, commits: GroupCommit, *names: str, within_s: float = 60.0) -> None:
        super().__init__(daemon=True)
        self._commits = commits
        self._names = names
        self._within_s = within_s
        self.replies: list[Any] = []
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Ask."""
        try:
            with request_deadline(self._within_s):
                commands: list[Command] = [("EVALSHA", name) for name in self._names]
                self.replies = self._commits.exchange(POOL, [*commands, WAIT])
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def ended(self) -> bool:
        """Wait for its end; return whether it came."""
        self.join(60)
        return not self.is_alive()


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> Iterator[Master]:
    """A master that answers when it is told to; at the end it answers whoever still waits."""
    made = Master()
    monkeypatch.setattr(module, "exchange", made.exchange)
    yield made
    made.answers.release(1000)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> GroupCommit:
    """Nobody is under way; and nobody goes without the others, unless a test says so."""
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 60.0)
    return GroupCommit()


def _queued(commits: GroupCommit, count: int) -> bool:
    return wait_for(lambda: len(commits._waiting) == count, 60)


def _first(commits: GroupCommit, master: Master, name: str = "first", within_s: float = 60.0) -> Caller:
    """Return a caller whose exchange is under way."""
    before = len(master.exchanges)
    caller = Caller(commits, name, within_s=within_s)
    assert wait_for(lambda: len(master.exchanges) > before, 60)
    return caller


def test_nobody_waits_for_somebody_else_who_is_not_there(commits: GroupCommit, master: Master) -> None:
    """Each one alone asks at once."""
    master.answers.release(2)
    for name in ("a", "b"):
        caller = Caller(commits, name)
        assert caller.ended()
        assert caller.replies == [f"answer to {name}", 2]
    assert len(master.exchanges) == 2


def test_whoever_comes_meanwhile_goes_together_with_one_confirmation(
    commits: GroupCommit, master: Master
) -> None:
    """And each gets the answers to what they asked."""
    first = _first(commits, master)
    others = []
    for number in range(5):
        others.append(Caller(commits, f"{number}", f"{number} again"))
        assert _queued(commits, number + 1)
    master.answers.release(2)
    assert first.ended()
    assert first.replies == ["answer to first", 2]
    for number, other in enumerate(others):
        assert other.ended()
        assert other.replies == [f"answer to {number}", f"answer to {number} again", 2]
    _, together = master.exchanges
    assert len(together) == 11
    assert together.count(WAIT) == 1
    assert together[-1] == WAIT


def test_only_so_many_go_together(
    commits: GroupCommit, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go next."""
    monkeypatch.setattr(module, "MOST_TOGETHER", 2)
    callers = [_first(commits, master)]
    for number in range(5):
        callers.append(Caller(commits, f"{number}"))
        assert _queued(commits, number + 1)
    master.answers.release(10)
    assert all(caller.ended() and caller.replies for caller in callers)
    assert [len(each) - 1 for each in master.exchanges] == [1, 2, 2, 1]


@pytest.mark.parametrize("error", [TransientError("gone"), AccessRefused("no right")], ids=repr)
def test_what_the_connection_finds_is_told_to_all_and_the_next_try_goes_on(
    commits: GroupCommit, master: Master, error: Exception
) -> None:
    """To each an exception of their own: threads must not share a traceback."""
    first = _first(commits, master)
    others = [Caller(commits, "a"), Caller(commits, "b")]
    assert _queued(commits, 2)
    master.answers.release()
    assert first.ended()
    assert wait_for(lambda: len(master.exchanges) == 2, 60)
    master.error = error
    master.answers.release()
    assert all(other.ended() for other in others)
    told = [other.error for other in others]
    assert all(type(each) is type(error) and str(each) == str(error) for each in told)
    assert told[0] is not told[1]
    master.error = None
    master.answers.release()
    again = Caller(commits, "again")
    assert again.ended()
    assert again.replies == ["answer to again", 2]


def test_an_error_in_place_of_the_confirmation_is_an_exception_of_each_threads_own(
    commits: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The master became a replica while all waited for theirs: threads that raise one exception write into each other's."""
    is_first, others_wait = threading.Event(), threading.Event()

    def exchange(_: ConnectionPool, commands: list[Command]) -> list[Any]:
        if not is_first.is_set():
            is_first.set()
            assert others_wait.wait(60)
        return [command[1] for command in commands[:-1]] + [MasterMoved("UNBLOCKED")]

    monkeypatch.setattr(module, "exchange", exchange)
    first = Caller(commits, "first")
    assert is_first.wait(60)
    others = [Caller(commits, "a"), Caller(commits, "b")]
    assert _queued(commits, 2)
    others_wait.set()
    assert first.ended()
    assert all(other.ended() for other in others)
    told = [other.replies[-1] for other in others]
    assert all(type(each) is MasterMoved and str(each) == "UNBLOCKED" for each in told)
    assert told[0] is not told[1]


@pytest.mark.parametrize("error", [DeadlinePassed("my time is up"), SystemExit(1)], ids=repr)
def test_what_befalls_one_thread_alone_lets_the_others_try_again(
    commits: GroupCommit, master: Master, error: BaseException
) -> None:
    """Its time, or its end, is not theirs."""
    first = _first(commits, master)
    leading = Caller(commits, "leading")
    assert _queued(commits, 1)
    other = Caller(commits, "other")
    assert _queued(commits, 2)
    master.answers.release()
    assert first.ended()
    assert wait_for(lambda: len(master.exchanges) == 2, 60)
    master.error = error
    master.answers.release()
    assert leading.ended()
    assert other.ended()
    assert leading.error is error
    assert type(other.error) is TransientError


def test_a_request_whose_time_is_up_waits_no_more(commits: GroupCommit, master: Master) -> None:
    """What it wanted is not sent any more, and the others go on."""
    first = _first(commits, master)
    late = Caller(commits, "late", within_s=0.2)
    assert _queued(commits, 1)
    assert late.ended()
    assert isinstance(late.error, DeadlinePassed)
    other = Caller(commits, "other")
    assert _queued(commits, 1)
    master.answers.release(2)
    assert first.ended()
    assert other.ended()
    assert other.replies
    assert [command[1] for commands in master.exchanges for command in commands[:-1]] == ["first", "other"]


def test_a_request_whose_time_is_up_while_it_is_under_way_leaves_the_others_alone(
    commits: GroupCommit, master: Master
) -> None:
    """Its answer comes to nobody."""
    first = _first(commits, master)
    leading = Caller(commits, "leading")
    assert _queued(commits, 1)
    late = Caller(commits, "late", within_s=1.0)
    assert _queued(commits, 2)
    master.answers.release()
    assert first.ended()
    assert wait_for(lambda: len(master.exchanges) == 2, 60)
    assert late.ended()
    assert isinstance(late.error, DeadlinePassed)
    master.answers.release(2)
    assert leading.ended()
    assert leading.replies == ["answer to leading", 2]
    again = Caller(commits, "again")
    assert again.ended()
    assert again.replies


def test_whoever_gives_up_when_it_is_their_turn_passes_it_on(commits: GroupCommit, master: Master) -> None:
    """Or all would wait for somebody who has gone."""
    first = _first(commits, master)
    turn = module._Turn([("EVALSHA", "gone"), WAIT])
    with commits._lock:
        commits._waiting.append(turn)
    other = Caller(commits, "other")
    assert _queued(commits, 2)
    master.answers.release()
    assert first.ended()
    assert turn.leads
    commits._give_up(turn)
    master.answers.release()
    assert other.ended()
    assert other.replies == ["answer to other", 2]


def test_nobody_waits_for_long_for_an_exchange_that_does_not_end(
    commits: GroupCommit, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has waited goes, takes along whoever waits as well, and all is as before in the end."""
    first = _first(commits, master)
    second = Caller(commits, "second")
    assert _queued(commits, 1)
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 0.05)
    third = Caller(commits, "third")
    assert wait_for(lambda: len(master.exchanges) == 2, 60)
    assert commits._under_way == 2
    assert [command[1] for command in master.exchanges[1][:-1]] == ["third", "second"]
    master.answers.release(2)
    assert all(each.ended() and each.replies for each in (first, second, third))
    assert commits._under_way == 0
    master.answers.release()
    again = Caller(commits, "again")
    assert again.ended()
    assert again.replies
    assert commits._under_way == 0


@pytest.mark.parametrize("longest_wait_s", [60.0, 0.002])
def test_many_threads_are_all_answered(
    commits: GroupCommit, monkeypatch: pytest.MonkeyPatch, longest_wait_s: float
) -> None:
    """Each with their own, whatever fails and whoever has no time left."""
    monkeypatch.setattr(module, "LONGEST_WAIT_S", longest_wait_s)
    lock, number = threading.Lock(), [0]

    def exchange(_: ConnectionPool, commands: list[Command]) -> list[Any]:
        with lock:
            number[0] += 1
            fails = number[0] % 7 == 0
        time.sleep(0.001)
        if fails:
            raise TransientError("gone")
        return [command[1] for command in commands[:-1]] + [2]

    monkeypatch.setattr(module, "exchange", exchange)
    wrong: list[Any] = []
    answered = [0] * 16

    def ask(who: int) -> None:
        for each in range(200):
            name = f"{who}-{each}"
            try:
                with request_deadline(0.004 if each % 5 == 0 else 60):
                    replies = commits.exchange(POOL, [("EVALSHA", name), WAIT])
            except (TransientError, DeadlinePassed):
                continue
            if replies != [name, 2]:
                wrong.append((name, replies))
            answered[who] += 1

    threads = [threading.Thread(target=ask, args=(who,), daemon=True) for who in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert min(answered) > 50
    assert commits._under_way == 0
    assert number[0] < 3200
