"""From submissions and mails to counts: pure, so that it can be trusted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from verifier.drill.outcome import Counts, Moments, Series
from verifier.drill.rig.code_checks import CodeCheck
from verifier.drill.rig.mail_sink import RecordedMail
from verifier.drill.rig.open_load import Submission

BIN_S = 0.25


def count(
    submissions: Sequence[Submission],
    mails: Sequence[RecordedMail],
    moments: Moments,
    checks: Sequence[CodeCheck] = (),
) -> Counts:
    """Count what became of each submission and of each code; mails of anybody else are passed over."""
    by_recipient = _by_recipient(submissions, mails)
    accepted = [each for each in submissions if each.accepted]
    cut_off = [each for each in submissions if each.failure == "cut off"]
    refused = [each for each in submissions if not each.accepted and each.failure != "cut off"]
    followed = [each for each in accepted if moments.switch and each.ended_at >= moments.switch]
    waits = [each.waited_s for each in submissions] + [each.waited_s for each in checks]
    repeated = [found for found in by_recipient.values() if len(found) > 1]
    return Counts(
        submitted=len(submissions),
        accepted=len(accepted),
        refused=len(refused),
        unclear=sum(not (each.status == 503 and each.retry_after) for each in refused),
        cut_off=len(cut_off) + sum(each.cut_off for each in checks),
        lost=sum(each.recipient not in by_recipient for each in accepted),
        twice=len(repeated),
        differing=sum(len({(mail.message_id, mail.code) for mail in found}) > 1 for found in repeated),
        late_repeats=sum(found[0].at < moments.fault_ended < found[-1].at for found in repeated),
        checks=len(checks),
        checks_refused=sum(not each.cut_off and (each.status == 0 or each.status >= 500) for each in checks),
        checks_wrong=sum(0 < each.status < 500 and not each.valid for each in checks),
        answers=dict(Counter(each.failure or str(each.status) for each in submissions)),
        longest_wait_s=max(waits, default=0.0),
        longest_mail_delay_s=_longest_mail_delay_s(accepted, by_recipient),
        switch_s=None if moments.switch is None else moments.switch - moments.fault,
        first_accept_s=_first_after(moments.switch, (each.ended_at for each in followed)),
        first_mail_s=_first_after(
            moments.switch,
            (by_recipient[each.recipient][0].at for each in followed if each.recipient in by_recipient),
        ),
    )


def missing(submissions: Iterable[Submission], mails: Iterable[RecordedMail]) -> int:
    """Count the accepted submissions whose mail has not come yet."""
    return len({each.recipient for each in submissions if each.accepted} - {mail.recipient for mail in mails})


def series(submissions: Sequence[Submission], mails: Sequence[RecordedMail], moments: Moments) -> Series:
    """Return accepted, mailed and refused per second over time."""
    bins = max(1, int((moments.ended - moments.began) / BIN_S) + 1)
    by_recipient = _by_recipient(submissions, mails)
    return Series(
        BIN_S,
        accepted=_rates((each.ended_at for each in submissions if each.accepted), moments.began, bins),
        mailed=_rates((mail.at for found in by_recipient.values() for mail in found), moments.began, bins),
        refused=_rates((each.ended_at for each in submissions if not each.accepted), moments.began, bins),
    )


def _by_recipient(
    submissions: Iterable[Submission], mails: Iterable[RecordedMail]
) -> dict[str, list[RecordedMail]]:
    ours = {each.recipient for each in submissions}
    found: defaultdict[str, list[RecordedMail]] = defaultdict(list)
    for mail in mails:
        if mail.recipient in ours:
            found[mail.recipient].append(mail)
    return dict(found)


def _longest_mail_delay_s(
    accepted: Iterable[Submission], by_recipient: dict[str, list[RecordedMail]]
) -> float:
    mailed = (each for each in accepted if each.recipient in by_recipient)
    # A mail may overtake the answer to its own request, so a delay can be below zero.
    return max([0.0, *(by_recipient[each.recipient][0].at - each.ended_at for each in mailed)])


def _first_after(switch: float | None, times: Iterable[float]) -> float | None:
    return None if switch is None else min((at - switch for at in times), default=None)


def _rates(times: Iterable[float], began: float, bins: int) -> tuple[float, ...]:
    counted = Counter(min(bins - 1, max(0, int((at - began) / BIN_S))) for at in times)
    return tuple(counted[number] / BIN_S for number in range(bins))
