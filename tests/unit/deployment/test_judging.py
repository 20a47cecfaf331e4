"""The verdicts of `make deployment-test`: each promise, kept and broken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.deployment.judging import (
    DOWN_AFTER_S,
    LONGEST_REQUEST_S,
    OUTAGE_LIMIT_S,
    Evidence,
    Observations,
    Promise,
    Result,
    judge,
    longest_gap_s,
    must_not_be_repeated,
)
from verifier.drill.rig.mail_sink import RecordedMail
from verifier.drill.rig.open_load import Submission

ROOT = Path(__file__).resolve().parents[3]
FAILOVER = Promise(outage_limit_s=OUTAGE_LIMIT_S)


def _sent(number: int, status: int = 201, **changes: object) -> Submission:
    """Return the submission of second `number`, answered half a second later."""
    submission = Submission(f"row-{number}@example.org", float(number), number + 0.5, status)
    return replace(submission, **changes)  # type: ignore[arg-type]


def _mailed(*submissions: Submission) -> list[RecordedMail]:
    return [
        RecordedMail(each.ended_at, each.recipient, f"<{each.recipient}>", "123456") for each in submissions
    ]


def _judge(
    submissions: Sequence[Submission],
    mails: Sequence[RecordedMail] | None = None,
    promise: Promise = FAILOVER,
    observed: Observations | None = None,
) -> Result:
    found = _mailed(*[each for each in submissions if each.accepted]) if mails is None else mails
    return judge("kill", "A story.", promise, Evidence(submissions, found, 0.0, observed or Observations()))


def test_a_row_in_which_all_was_accepted_and_mailed_is_kept() -> None:
    """And its figures are those of the load."""
    result = _judge([_sent(number) for number in range(10)])
    assert result.ok
    assert (result.submitted, result.accepted, result.refused, result.lost, result.twice) == (10, 10, 0, 0, 0)
    assert (result.outage_s, result.longest_s) == (1.0, 0.5)


def test_a_row_in_which_nothing_was_accepted_is_broken() -> None:
    """It would show nothing."""
    assert not _judge([], promise=Promise(accepts_all=False)).ok


def test_a_lost_mail_breaks_every_row() -> None:
    """Whatever else the row may do."""
    sent = [_sent(1), _sent(2)]
    lenient = Promise(accepts_all=False, web_goes_away=True, may_repeat=True)
    result = _judge(sent, _mailed(sent[0]), lenient)
    assert result.breaches == ("1 accepted submissions were never mailed.",)
    assert must_not_be_repeated(result)


def test_a_repeated_mail_breaks_a_row_unless_a_worker_was_killed() -> None:
    """And then only when code and Message-ID are the same."""
    sent = [_sent(1)]
    twice = _mailed(*sent, *sent)
    assert _judge(sent, twice).breaches == ("1 mails went out twice.",)
    kept = _judge(sent, twice, Promise(may_repeat=True))
    assert kept.ok
    assert kept.twice == 1
    other = [twice[0], replace(twice[1], code="654321")]
    assert not _judge(sent, other, Promise(may_repeat=True)).ok


def test_a_refusal_breaks_a_row_that_accepts_all() -> None:
    """A row that may refuse is broken by a refusal without Retry-After, or by one that is no 503."""
    clear = [_sent(1), _sent(2, 503, retry_after="5")]
    assert _judge(clear).breaches == ("1 submissions were refused: 1 x 503.",)
    assert _judge(clear, promise=Promise(accepts_all=False)).ok
    for unclear in (_sent(2, 503), _sent(2, 500, retry_after="5"), _sent(2, 0, failure="no answer in time")):
        assert not _judge([_sent(1), unclear], promise=Promise(accepts_all=False)).ok


@pytest.mark.parametrize(
    "failure", ["cut off", "ConnectionRefusedError: [Errno 111]", "OSError: [Errno 113] Connect call failed"]
)
def test_a_connection_that_nobody_answers_is_counted_on_its_own(failure: str) -> None:
    """It breaks every row in which the web app's container goes on running."""
    sent = [_sent(1), _sent(2, 0, failure=failure)]
    result = _judge(sent, promise=Promise(web_goes_away=True))
    assert result.ok
    assert (result.away, result.refused) == (1, 0)
    assert not _judge(sent).ok


def test_a_request_that_a_killed_container_left_alone_is_counted_with_those_cut_off() -> None:
    """Nobody resets its connections; in any other row it is a request that hung."""
    alone = _sent(2, 0, failure="no answer in time", ended_at=22.0)
    result = _judge([_sent(1), alone], promise=Promise(web_goes_away=True))
    assert result.ok
    assert (result.away, result.refused, result.longest_s) == (1, 0, 0.5)
    assert not _judge([_sent(1), alone], promise=Promise(accepts_all=False)).ok


def test_a_request_that_hangs_breaks_every_row() -> None:
    """Counted from when it was due, not from when it was sent."""
    late = _sent(1, ended_at=1 + LONGEST_REQUEST_S + 0.1)
    assert _judge([late], promise=Promise(accepts_all=False)).breaches == (
        f"A request took {LONGEST_REQUEST_S + 0.1:.1f} s.",
    )


def test_an_outage_is_the_longest_time_without_a_yes() -> None:
    """From the load's beginning to its end, so that one that never ends counts, too."""
    assert longest_gap_s([_sent(1), _sent(8), _sent(9)], 0.0, 9.5) == 7.0
    assert longest_gap_s([_sent(1)], 0.0, 20.0) == 18.5
    assert longest_gap_s([_sent(9)], 0.0, 9.5) == 9.5
    late = _sent(2, 0, failure="cut off", ended_at=22.0)
    assert _judge([_sent(1), late], promise=Promise(web_goes_away=True)).outage_s == 1.5
    assert _judge([_sent(1), _sent(7), _sent(8)]).ok
    assert not _judge([_sent(1), _sent(8), _sent(9)]).ok


def test_what_a_fault_saw_itself_breaks_the_row() -> None:
    """A /readyz that stays green, for one; a remark does not."""
    assert _judge([_sent(1)], observed=Observations(remarks=["seen"])).ok
    result = _judge([_sent(1)], observed=Observations(broken=["/readyz stayed green."]))
    assert result.breaches == ("/readyz stayed green.",)
    assert not must_not_be_repeated(result)


def test_the_budget_is_that_of_the_shipped_value() -> None:
    """down-after as the start script has it."""
    script = (ROOT / "sentinel/config/start-sentinel.sh").read_text()
    found = re.search(r"SENTINEL_DOWN_AFTER_MS:=(\d+)", script)
    assert found is not None
    assert int(found[1]) / 1000 == DOWN_AFTER_S
