"""The check at the start: it waits for the sentinels, says what does not fit once, and never raises."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from sentinel import AccessRefused, MasterLink, RequestDeadline, TransientError
from verifier import time_check
from verifier.settings import RedisSettings
from verifier.time_check import check_time_budget


class Link:
    """A link whose sentinels answer so, one answer a question; the last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[RequestDeadline] = []

    def overdraft(self, deadline: RequestDeadline) -> Any:
        self.asked.append(deadline)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def _check(link: Any) -> None:
    checked: MasterLink = link
    thread = check_time_budget(checked, RedisSettings(request_deadline_s=7), every_s=0)
    thread.join(20)
    assert not thread.is_alive()
    assert thread.daemon


def test_it_waits_for_the_sentinels_and_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    """They may start later, or refuse us for a while."""
    link = Link(TransientError("x"), AccessRefused("x"), ("Too slow.", "Be faster."))
    with caplog.at_level(logging.WARNING):
        _check(link)
    assert caplog.messages == ["Too slow. Be faster."]
    assert link.asked == [RequestDeadline(7, "VERIFIER_REQUEST_DEADLINE")] * 3


def test_nothing_is_said_when_all_fits(caplog: pytest.LogCaptureFixture) -> None:
    """Nor asked again."""
    link = Link(None)
    _check(link)
    assert caplog.messages == []
    assert len(link.asked) == 1


def test_it_gives_up_when_no_sentinel_ever_tells(caplog: pytest.LogCaptureFixture) -> None:
    """Who looks after an outage has other worries, and the status command says it, too."""
    link = Link(TransientError("x"))
    _check(link)
    assert len(link.asked) == time_check.TRIES
    assert caplog.messages == []
