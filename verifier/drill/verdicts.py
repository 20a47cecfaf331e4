"""Which promises an outcome breaks: pure rules over plain numbers."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence

from verifier.drill.outcome import Breach, Outcome
from verifier.drill.promise import Promise

# The service's default deadline for a request, and a little for the machine the drill itself keeps busy.
LONGEST_WAIT_S = 10.0 + 1.5
FOLLOWED_WITHIN_S = 0.3
MOST_CPU_PERCENT = 1.0
MOST_CONNECTS_PER_S = 1.0
# The allocator takes memory in steps; what keeps growing gets past this in a quarter of a minute.
MOST_GROWTH_BYTES = 2 * 1024 * 1024
ONE_LINE_EVERY_S = 10.0


def judge(outcome: Outcome, promise: Promise) -> tuple[Breach, ...]:
    """Return every promise that this outcome breaks."""
    return (
        *_of_submissions(outcome, promise),
        *_of_mails(outcome, promise),
        *_of_checks(outcome, promise),
        *_of_times(outcome, promise),
        *_of_processes(outcome),
        *(_of_costs(outcome) if promise.costs_nothing else ()),
    )


def judge_together(outcomes: Sequence[Outcome]) -> tuple[Breach, ...]:
    """Return the promises about medians that the outcomes of one system break together."""
    accepts = [each.counts.first_accept_s for each in outcomes]
    mails = [each.counts.first_mail_s for each in outcomes]
    return (
        *_of_median("first_accept_s", "accepted request", accepts),
        *_of_median("first_mail_s", "mail", mails),
    )


def _of_submissions(outcome: Outcome, promise: Promise) -> Iterator[Breach]:
    counts = outcome.counts
    if counts.accepted == 0:
        yield Breach("accepted", "Nothing was accepted, so nothing was shown.")
    if counts.refused and promise.accepts_all:
        yield Breach("refused", f"{counts.refused} submissions were refused: {_answers(outcome)}.")
    elif counts.unclear:
        yield Breach(
            "refused", f"{counts.unclear} refusals were no 503 with Retry-After: {_answers(outcome)}."
        )
    if counts.cut_off and not promise.may_cut_off:
        yield Breach("cut_off", f"{counts.cut_off} requests were cut off.")
    if counts.longest_wait_s > LONGEST_WAIT_S:
        yield Breach("longest_wait_s", f"A request waited for {counts.longest_wait_s:.1f} s.")


def _of_mails(outcome: Outcome, promise: Promise) -> Iterator[Breach]:
    counts = outcome.counts
    if counts.lost:
        yield Breach("lost", f"{counts.lost} accepted submissions were never mailed.")
    if counts.twice and not promise.may_repeat:
        yield Breach("twice", f"{counts.twice} mails went out more than once.")
    if counts.differing:
        yield Breach("twice", f"{counts.differing} repeated mails had another Message-ID or code.")
    if counts.late_repeats and not promise.repeats_late:
        yield Breach("twice", f"{counts.late_repeats} mails went out again after the fault.")
    if outcome.owed:
        yield Breach("lost", f"In the end the service still owed mails ({outcome.owed}).")
    limit_s = promise.mails_within_s
    if limit_s is not None and counts.longest_mail_delay_s > limit_s:
        yield Breach(
            "longest_mail_delay_s",
            f"A mail went out {counts.longest_mail_delay_s:.1f} s after the yes; promised are {limit_s:.0f} s.",
        )


def _of_checks(outcome: Outcome, promise: Promise) -> Iterator[Breach]:
    counts = outcome.counts
    if counts.checks_refused and promise.checks_all:
        yield Breach("checks", f"{counts.checks_refused} checks of right codes got no answer or an error.")
    if counts.checks_wrong:
        yield Breach("checks", f"{counts.checks_wrong} right codes were not taken for right.")


def _of_times(outcome: Outcome, promise: Promise) -> Iterator[Breach]:
    counts = outcome.counts
    if promise.switches and counts.switch_s is None:
        yield Breach("switch_s", "No sentinel announced a new master.")
    elif promise.switches and counts.first_accept_s is None:
        yield Breach("first_accept_s", "Nothing was accepted after the new master was announced.")
    elif promise.switches and counts.first_mail_s is None:
        yield Breach("first_mail_s", "Nothing that was accepted after the failover was mailed.")
    limit_s = promise.alarm_within_s
    if limit_s is not None and (outcome.alarm_s is None or outcome.alarm_s > limit_s):
        alarm = (
            "No log line warned"
            if outcome.alarm_s is None
            else f"After {outcome.alarm_s:.1f} s a log line warned"
        )
        yield Breach("alarm_s", f"{alarm} the operator; promised is {limit_s:.0f} s.")


def _of_processes(outcome: Outcome) -> Iterator[Breach]:
    if outcome.worker_exits:
        yield Breach("worker_exits", f"{outcome.worker_exits} workers ended by themselves.")
    if outcome.trouble:
        yield Breach("trouble", outcome.trouble)
    if not outcome.healthy:
        yield Breach(
            "healthy", "In the end not all Redis nodes, sentinels and web workers were healthy again."
        )


def _of_costs(outcome: Outcome) -> Iterator[Breach]:
    for name, cost in outcome.costs.items():
        if cost.cpu_percent >= MOST_CPU_PERCENT:
            yield Breach("cpu", f"{name} used {cost.cpu_percent:.1f} % of a core while it waited.")
        if cost.connects_per_s > MOST_CONNECTS_PER_S:
            yield Breach("connects", f"{name} tried {cost.connects_per_s:.1f} connections a second.")
        if cost.memory_growth_bytes > MOST_GROWTH_BYTES:
            yield Breach("memory", f"{name} grew by {cost.memory_growth_bytes / 1024 / 1024:.1f} MiB.")
        if name.startswith("worker") and cost.log_lines > 1 + outcome.outage_s / ONE_LINE_EVERY_S:
            yield Breach("log_lines", f"{name} wrote {cost.log_lines} lines in {outcome.outage_s:.0f} s.")


def _of_median(figure: str, thing: str, times: Iterable[float | None]) -> Iterator[Breach]:
    known = [each for each in times if each is not None]
    if known and (median := statistics.median(known)) >= FOLLOWED_WITHIN_S:
        yield Breach(
            figure, f"From +switch-master to the first {thing} it took {median:.2f} s in the median."
        )


def _answers(outcome: Outcome) -> str:
    others = {answer: number for answer, number in outcome.counts.answers.items() if answer != "201"}
    return ", ".join(f"{number} x {answer}" for answer, number in sorted(others.items()))
