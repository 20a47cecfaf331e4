"""The time that a request has left."""

from __future__ import annotations

import contextvars
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sentinel.deadline import bounded_s, remaining_s, request_deadline


def test_without_a_deadline_nothing_is_bounded() -> None:
    """Workers' loops have none."""
    assert remaining_s() is None
    assert bounded_s(3) == 3


def test_a_deadline_bounds_what_is_inside() -> None:
    """And ends with its block, also by an exception."""
    with request_deadline(200):
        assert 100 < bounded_s(300) <= 200
        assert bounded_s(50) == 50
    with pytest.raises(ZeroDivisionError), request_deadline(200):
        bounded_s(1 / 0)
    assert remaining_s() is None


@pytest.mark.parametrize(("outer_s", "inner_s"), [(100, 500), (500, 100)])
def test_the_earlier_of_two_counts(outer_s: float, inner_s: float) -> None:
    """A request's deadline is spent once, whatever it is divided into."""
    with request_deadline(outer_s):
        with request_deadline(inner_s):
            assert 50 < bounded_s(1000) <= 100
        assert outer_s - 50 < bounded_s(1000) <= outer_s


def test_past_it_nothing_is_left() -> None:
    """Never less than nothing."""
    with request_deadline(0.01):
        time.sleep(0.02)
        assert remaining_s() == 0


def test_each_request_has_its_own() -> None:
    """Threads start without one, unless they are given the context."""
    with request_deadline(1), ThreadPoolExecutor(1) as pool:
        assert pool.submit(remaining_s).result() is None
        assert pool.submit(contextvars.copy_context().run, remaining_s).result() is not None
