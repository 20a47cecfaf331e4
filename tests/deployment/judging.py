"""From what was sent and what was mailed to a verdict: pure, so that it can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from verifier.drill import counting
from verifier.drill.outcome import Moments
from verifier.drill.rig.mail_sink import RecordedMail
from verifier.drill.rig.open_load import Submission

DOWN_AFTER_S = 4.0
"""As sentinel/config/start-sentinel.sh ships it; a test holds the two together."""
OUTAGE_LIMIT_S = DOWN_AFTER_S + 2.5
"""Sentinel pings once a second, and asks a promoted replica for its role once a second: up to a second each, and the
vote, the attachment of a replica and the app have half a second."""
LONGEST_REQUEST_S = 10.0 + 4.0
"""A request that stood in line for a thread has its own deadline from then on. What ends the line is the circuit breaker,
ten seconds after the first failure, and a silent master is noticed only after the three seconds that a reply may take;
then all are refused at once by a machine that also runs the load."""


@dataclass(frozen=True)
class Promise:
    """What a row must keep, beside the two that hold always: nothing accepted is lost, no request hangs."""

    accepts_all: bool = True
    """False: what cannot be accepted within the deadline is refused, with 503 and Retry-After."""
    web_goes_away: bool = False
    """Whether the web app's own container is down for a while, so that connections are refused and cut off."""
    may_repeat: bool = False
    """Whether a mail may go out twice, with the same code and Message-ID."""
    outage_limit_s: float | None = None


@dataclass(frozen=True)
class Result:
    """What one row came to; times in seconds."""

    row: str
    story: str
    submitted: int
    accepted: int
    refused: int
    """Answered with anything but 201, or not within the client's own limit."""
    unclear: int
    """Of those, the ones that were no 503 with Retry-After."""
    away: int
    """Connections that were refused, cut off or left alone, because the web app's container did not run."""
    lost: int
    twice: int
    differing: int
    """Of those mailed twice, the ones with another code or Message-ID."""
    outage_s: float
    longest_s: float
    """Of those that were answered, or should have been."""
    answers: dict[str, int]
    breaches: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    """What was seen beside, and what of the machine itself may have spoilt the row."""

    @property
    def ok(self) -> bool:
        """Return whether every promise was kept."""
        return not self.breaches


@dataclass(frozen=True)
class Observations:
    """What the row's fault itself looked at; each sentence of `broken` is a breach."""

    broken: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Evidence:
    """What was sent, what was mailed, what was seen beside; `began` is when the load did, in monotonic seconds."""

    submissions: Sequence[Submission]
    mails: Sequence[RecordedMail]
    began: float
    observed: Observations


def judge(row: str, story: str, promise: Promise, evidence: Evidence) -> Result:
    """Count and judge one row."""
    submissions, mails, began = evidence.submissions, evidence.mails, evidence.began
    # Not when the last answer came: somebody may wait for one long after.
    ended = max((each.due_at for each in submissions), default=began)
    counts = counting.count(submissions, mails, Moments(began, began, (), ended, ended))
    away = [each for each in submissions if _is_away(each, promise)]
    refused = [each for each in submissions if not each.accepted and not _is_away(each, promise)]
    unclear = [each for each in refused if not (each.status == 503 and each.retry_after)]
    waits = [each.waited_s for each in submissions if not _is_away(each, promise)]
    result = Result(
        row=row,
        story=story,
        submitted=counts.submitted,
        accepted=counts.accepted,
        refused=len(refused),
        unclear=len(unclear),
        away=len(away),
        lost=counts.lost,
        twice=counts.twice,
        differing=counts.differing,
        outage_s=longest_gap_s(submissions, began, ended),
        longest_s=max(waits, default=0.0),
        answers=counts.answers,
        remarks=tuple(evidence.observed.remarks),
    )
    breaches = (*_breaches(result, promise), *evidence.observed.broken)
    return replace(result, breaches=breaches)


def longest_gap_s(submissions: Iterable[Submission], began: float, ended: float) -> float:
    """Return the longest time in which nothing was accepted, from the load's beginning to its end."""
    accepts = sorted(each.ended_at for each in submissions if each.accepted)
    moments = [began, *accepts, ended]
    return max((later - earlier for earlier, later in pairwise(moments)), default=0.0)


def _is_away(submission: Submission, promise: Promise) -> bool:
    """Return whether nobody was there: refused, cut off, or, where the container went away, never answered, or answered
    by the proxy in its place.

    Nobody resets the connections of a container that is killed, so a client waits for as long as it will.
    """
    failure = submission.failure
    if failure == "no answer in time":
        return promise.web_goes_away
    if submission.proxy_status:
        return promise.web_goes_away and submission.status == 503
    return failure == "cut off" or failure.startswith("Connection") or "Connect call failed" in failure


def _breaches(result: Result, promise: Promise) -> Iterator[str]:
    if not result.accepted:
        yield "Nothing was accepted, so nothing was shown."
    if result.lost:
        yield f"{result.lost} accepted submissions were never mailed."
    if result.twice and not promise.may_repeat:
        yield f"{result.twice} mails went out twice."
    if result.differing:
        yield f"{result.differing} repeated mails had another code or Message-ID."
    if result.refused and promise.accepts_all:
        yield f"{result.refused} submissions were refused: {_others(result)}."
    elif result.unclear:
        yield f"{result.unclear} refusals were no 503 with Retry-After: {_others(result)}."
    if result.away and not promise.web_goes_away:
        yield f"{result.away} connections were refused or cut off: {_others(result)}."
    if result.longest_s > LONGEST_REQUEST_S:
        yield f"A request took {result.longest_s:.1f} s."
    if promise.outage_limit_s is not None and result.outage_s > promise.outage_limit_s:
        yield f"Nothing was accepted for {result.outage_s:.1f} s; promised are {promise.outage_limit_s:.0f} s."


def must_not_be_repeated(result: Result) -> bool:
    """Return whether a red row stays red, whatever the machine did: mails were lost, doubled or changed."""
    return bool(result.lost or result.twice or result.differing)


def _others(result: Result) -> str:
    return ", ".join(
        f"{number} x {answer}" for answer, number in sorted(result.answers.items()) if answer != "201"
    )
