"""When somebody is told, of what, and how often."""

from __future__ import annotations

from verifier.alerts.book import Book, Pace, State
from verifier.alerts.catalogue import Conditions

NO_WORKER = Conditions({"NoWorker": "No worker is alive."})
UNREACHABLE = Conditions({"RedisUnreachable": "It does not answer."}, frozenset({"NoWorker"}))
NOTHING = Conditions({})


def _book(clear_s: float = 30) -> Book:
    return Book(Pace(clear_s=clear_s))


def _told(book: Book, now: float) -> list[tuple[str, State | None]]:
    """Tell what is to be told, and return it."""
    told = [(name, entry, entry.to_tell) for name, entry in book.to_tell(now)]
    for _, entry, _ in told:
        entry.told()
    return [(name, state) for name, _, state in told]


def _observed(book: Book, conditions: Conditions, begin: int, end: int) -> list[tuple[str, State | None]]:
    """Look once a second; return what was told."""
    told = []
    for now in range(begin, end):
        book.observe(conditions, now)
        told += _told(book, now)
    return told


def test_it_fires_once_and_is_over_once() -> None:
    """After it has held for a while, and when it has not held for a while."""
    book = _book()
    assert _observed(book, NO_WORKER, 0, 10) == []
    assert _observed(book, NO_WORKER, 10, 100) == [("NoWorker", State.FIRING)]
    assert _observed(book, NOTHING, 100, 130) == []
    assert _observed(book, NOTHING, 130, 200) == [("NoWorker", State.RESOLVED)]


def test_a_failover_is_over_before_anybody_is_told_that_redis_is_away() -> None:
    """It takes some six seconds."""
    book = _book()
    assert _observed(book, UNREACHABLE, 0, 12) == []
    assert _observed(book, NOTHING, 12, 100) == []


def test_what_flaps_is_told_of_ever_more_seldom() -> None:
    """Twenty seconds on, eighty off, for an hour."""
    book, told = _book(), []
    for start in range(0, 3600, 100):
        told += _observed(book, NO_WORKER, start, start + 20)
        told += _observed(book, NOTHING, start + 20, start + 100)
    assert len(told) < 8, told


def test_what_is_unknown_is_not_over() -> None:
    """Nobody knows of workers while Redis is away."""
    book = _book()
    _observed(book, NO_WORKER, 0, 11)
    assert ("NoWorker", State.RESOLVED) not in _observed(book, UNREACHABLE, 10, 300)
    assert set(book.firing()) == {"NoWorker", "RedisUnreachable"}


def test_what_is_over_before_anybody_was_told_is_not_told() -> None:
    """The webhook was asked for nothing yet."""
    book = _book(clear_s=0)
    for now in range(11):
        book.observe(NO_WORKER, now)
    book.observe(NOTHING, 11)
    assert _told(book, 12) == []


def test_who_was_told_that_it_fires_and_not_yet_that_it_is_over_is_told_nothing_when_it_comes_back() -> None:
    """To them it has never been over."""
    book = _book(clear_s=0)
    assert _observed(book, NO_WORKER, 0, 11) == [("NoWorker", State.FIRING)]
    book.observe(NOTHING, 11)
    book.observe(NO_WORKER, 12)
    assert _told(book, 12) == []
    book.observe(NOTHING, 13)
    book.observe(NOTHING, 14)
    assert _told(book, 14) == [("NoWorker", State.RESOLVED)]


def test_a_book_comes_back_from_redis_as_it_was() -> None:
    """And what is none, or of another release, is an empty one."""
    book = _book()
    _observed(book, NO_WORKER, 0, 20)
    book.master = "127.0.0.1:6379"
    assert Book.from_json(book.as_json(), book.pace) == book
    for text in ("", "[]", "no JSON", '{"entries": {"NoWorker": {"since": 1, "unknown": 2}}}'):
        assert Book.from_json(text, book.pace).entries == {}


def test_what_two_processes_know_is_told_by_one() -> None:
    """Of what both know the one that tells now will tell when it is over."""
    ours, theirs = _book(), _book()
    _observed(ours, UNREACHABLE, 0, 20)
    _observed(ours, NO_WORKER, 20, 40)
    _observed(theirs, NO_WORKER, 0, 20)
    assert set(ours.without(theirs).entries) == {"RedisUnreachable"}


def test_what_is_long_gone_begins_anew_although_nobody_forgot_it() -> None:
    """The process that told was killed a moment after the condition had ended."""
    book = _book()
    assert _observed(book, NO_WORKER, 0, 3) == []
    book.observe(NOTHING, 3)
    assert _observed(book, NO_WORKER, 20, 30) == []
    assert _observed(book, NO_WORKER, 30, 31) == [("NoWorker", State.FIRING)]
