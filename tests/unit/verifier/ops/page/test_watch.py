"""Looking while somebody is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from sentinel import TransientError, wait_for
from verifier.ops.page import watch as watch_module
from verifier.ops.page.watch import Seen, Watch

SOON_S = 30.0


@pytest.fixture
def make() -> Iterator[Callable[..., Watch[int]]]:
    """Make watches whose threads end with the test."""
    made: list[Watch[int]] = []

    def making(look: Callable[[], int]) -> Watch[int]:
        made.append(Watch("test", look, lambda _: 0.0))
        return made[-1]

    yield making
    for each in made:
        each.end(SOON_S)
        assert each._thread is None


def test_nobody_there_nothing_is_looked_at(make: Callable[..., Watch[int]]) -> None:
    """And whoever asks is told that nothing was seen."""
    looked: list[int] = []
    watch = make(lambda: looked.append(1) or 1)  # type: ignore[func-returns-value]
    assert watch.seen() == Seen()
    assert looked == []


def test_the_first_to_come_waits_for_a_look_and_all_share_it(make: Callable[..., Watch[int]]) -> None:
    """Fifty walls cost no more than one: there is one thread, and it looks at its own pace."""
    watch = make(lambda: 7)
    for _ in range(50):
        watch.wanted()
    seen = watch.seen(SOON_S)
    assert (seen.value, seen.trouble) == (7, "")
    assert [each.name for each in threading.enumerate()].count("watch-test") == 1


def test_a_look_that_fails_leaves_what_was_seen(make: Callable[..., Watch[int]]) -> None:
    """With the reason, and the age of the last one that worked."""
    answers = [1, 2]

    def look() -> int:
        if not answers:
            raise TransientError("Redis is away.")
        return answers.pop()

    watch = make(look)
    watch.wanted()
    assert wait_for(lambda: bool(watch.seen().trouble), SOON_S)
    seen = watch.seen()
    assert (seen.value, seen.trouble) == (1, "Redis is away.")
    assert seen.at is not None
    assert seen.age_s(seen.at + 5) == 5


def test_a_mistake_of_ours_ends_nothing(
    make: Callable[..., Watch[int]], caplog: pytest.LogCaptureFixture
) -> None:
    """The page says so, and goes on looking."""
    answers: list[Exception | int] = [5, ValueError("a mistake")]

    def look() -> int:
        answer = answers.pop() if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    watch = make(look)
    watch.wanted()
    assert wait_for(lambda: watch.seen().value == 5, SOON_S)
    assert "Looking at the test failed" in caplog.text


def test_the_thread_ends_when_nobody_is_there_any_more(
    make: Callable[..., Watch[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And begins anew with the next one."""
    monkeypatch.setattr(watch_module, "KEEP_ON_S", 0.0)
    watch = make(lambda: 1)
    watch.wanted()
    assert wait_for(lambda: watch._thread is None, SOON_S)
    before = watch.seen().number
    watch.wanted()
    assert wait_for(lambda: watch.seen().number > before, SOON_S)
