"""What becomes of submissions, counted."""

from __future__ import annotations

import pytest

from verifier.drill.counting import count, missing, series
from verifier.drill.outcome import Moments
from verifier.drill.rig.code_checks import CodeCheck
from verifier.drill.rig.mail_sink import RecordedMail
from verifier.drill.rig.open_load import Submission

MOMENTS = Moments(began=0.0, fault=1.0, switches=(2.0,), fault_ended=3.0, ended=4.0)


def submission(
    name: str, *, due: float = 0.0, ended: float = 0.5, status: int = 201, **more: str
) -> Submission:
    return Submission(name, due, ended, status, **more)


def mail(name: str, at: float = 0.6, message_id: str = "<1@x>", code: str = "123456") -> RecordedMail:
    return RecordedMail(at, name, message_id, code)


def test_accepted_and_mailed_is_all_there_is_to_say() -> None:
    """A submission that was accepted and mailed once is neither lost nor repeated."""
    counted = count([submission("a")], [mail("a")], MOMENTS)
    assert (counted.accepted, counted.refused, counted.lost, counted.twice) == (1, 0, 0, 0)


def test_accepted_without_a_mail_is_lost() -> None:
    """Only accepted submissions can be lost, and mails of anybody else do not count."""
    submissions = [submission("a"), submission("b", status=503)]
    assert count(submissions, [mail("somebody else")], MOMENTS).lost == 1
    assert missing(submissions, [mail("somebody else")]) == 1


def test_refusals_are_clear_or_unclear() -> None:
    """A 503 with Retry-After is clear; one without, any other status and silence are not."""
    submissions = [
        submission("a", status=503, retry_after="2"),
        submission("b", status=503),
        submission("c", status=500),
        submission("d", status=0, failure="no answer in time"),
    ]
    counted = count(submissions, [], MOMENTS)
    assert (counted.refused, counted.unclear, counted.cut_off) == (4, 3, 0)
    assert counted.answers == {"503": 2, "500": 1, "no answer in time": 1}


def test_cut_off_requests_are_counted_on_their_own() -> None:
    """A reset request is no refusal, and a mail it may have caused breaks nothing."""
    counted = count([submission("a", status=0, failure="cut off")], [mail("a")], MOMENTS)
    assert (counted.cut_off, counted.refused, counted.lost) == (1, 0, 0)


@pytest.mark.parametrize(
    ("second", "differing"),
    [(mail("a"), 0), (mail("a", message_id="<2@x>"), 1), (mail("a", code="654321"), 1)],
)
def test_repeats_must_be_the_same_mail(second: RecordedMail, differing: int) -> None:
    """A repeat is counted, and counted again where its Message-ID or code is another."""
    counted = count([submission("a")], [mail("a"), second], MOMENTS)
    assert (counted.twice, counted.differing) == (1, differing)


def test_waiting_counts_from_the_schedule() -> None:
    """Who started late because everybody was stuck has waited too."""
    assert count([submission("a", due=0.5, ended=3.0)], [], MOMENTS).longest_wait_s == 2.5


def test_mail_delay_counts_from_the_yes_to_the_first_mail() -> None:
    """A repeat later on does not make the mail late, and a mail before the answer is not early."""
    assert (
        count([submission("a", ended=0.5)], [mail("a", 0.75), mail("a", 9.0)], MOMENTS).longest_mail_delay_s
        == 0.25
    )
    assert count([submission("a", ended=0.5)], [mail("a", 0.4)], MOMENTS).longest_mail_delay_s == 0.0


def test_times_after_the_switch() -> None:
    """What was accepted before the switch does not count as following it, even when mailed after it."""
    submissions = [submission("a", ended=1.9), submission("b", ended=2.25), submission("c", ended=2.5)]
    mails = [mail("a", 2.1), mail("b", 2.75), mail("c", 2.6)]
    counted = count(submissions, mails, MOMENTS)
    assert (counted.switch_s, counted.first_accept_s) == (1.0, 0.25)
    assert counted.first_mail_s == pytest.approx(0.6)


def test_without_a_switch_there_are_no_times_after_it() -> None:
    """A fault that moves no master has none of the three durations."""
    still = Moments(began=0.0, fault=1.0, switches=(), fault_ended=3.0, ended=4.0)
    counted = count([submission("a")], [mail("a")], still)
    assert (counted.switch_s, counted.first_accept_s, counted.first_mail_s) == (None, None, None)


def test_series_adds_up_to_the_counts() -> None:
    """Each answer and each mail is in the bin of its time; rates times the width give the number again."""
    submissions = [
        submission("a", ended=0.1),
        submission("b", ended=3.9),
        submission("c", ended=1.0, status=503),
    ]
    found = series(submissions, [mail("a", 0.3), mail("b", 9.9)], MOMENTS)
    assert found.accepted[0] == found.accepted[15] == 4.0
    assert sum(found.refused) * found.bin_s == 1
    assert (found.mailed[1], found.mailed[-1]) == (4.0, 4.0)


def test_marks_name_every_failover() -> None:
    """A failover after the failover shows, since it explains what people got."""
    twice = Moments(began=10.0, fault=11.0, switches=(12.0, 14.0), fault_ended=13.0, ended=20.0)
    assert twice.marks() == {"fault": 1.0, "fault_ended": 3.0, "+switch-master": 2.0, "+switch-master 2": 4.0}


def test_late_repeats_are_those_after_the_fault() -> None:
    """A mail that went out before the fault's end and again after it; whoever repeats during the fault is not late."""
    submissions = [submission("a"), submission("b"), submission("c")]
    mails = [mail("a", 1.5), mail("a", 3.5), mail("b", 1.5), mail("b", 2.5), mail("c", 3.1), mail("c", 3.2)]
    counted = count(submissions, mails, MOMENTS)
    assert (counted.twice, counted.late_repeats) == (3, 1)


def test_checks_are_taken_refused_wrong_or_cut_off() -> None:
    """Errors and silence are refusals, any other answer than yes is wrong, and each wait counts."""
    checks = [
        CodeCheck(200, valid=True, waited_s=0.1),
        CodeCheck(503, valid=False, waited_s=4.0),
        CodeCheck(0, valid=False, waited_s=0.1),
        CodeCheck(200, valid=False, waited_s=0.1),
        CodeCheck(410, valid=False, waited_s=0.1),
        CodeCheck(0, valid=False, waited_s=0.1, cut_off=True),
    ]
    counted = count([submission("a")], [mail("a")], MOMENTS, checks)
    assert (counted.checks, counted.checks_refused, counted.checks_wrong, counted.cut_off) == (6, 2, 2, 1)
    assert counted.longest_wait_s == 4.0
