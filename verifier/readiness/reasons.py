"""Whether mail goes out, and if not, why: pure, a look in and a verdict out.

What the link or Redis said is passed on word by word; a code tells programs which kind it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from sentinel import PermanentError, Refusal, RogueMaster, UnknownMasterName, WriteAnswer
from verifier.readiness.lookout import Look
from verifier.settings import Settings
from verifier.store.facts import Facts

# Redis refuses new work from nine tenths of its memory on (verifier/store/verifications.py).
FULL_SHARE = 0.9


@dataclass(frozen=True)
class Limits:
    """From when on something is wrong; in seconds."""

    oldest_owed_s: float = 120.0
    """A mail may be owed for this long: a relay that puts off an unknown sender (greylisting) takes minutes, too."""
    no_success_s: float = 30.0
    """While mails are owed, one should go out within this time."""
    replicas: int = 0
    """So many replicas must have a write before it counts."""
    canary_s: float | None = None
    """The last canary should have gone out within this time; None where none is sent."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return those of the settings."""
        return cls(
            settings.oldest_owed_limit_s,
            settings.no_success_limit_s,
            settings.redis.replicas_to_acknowledge,
            settings.alerts.canary_late_s,
        )


@dataclass(frozen=True)
class Reason:
    """One thing that is wrong: a name for programs, and for operators what it is and what to do."""

    code: str
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """The reasons why mail does not go out as it should, and what does not stop it yet but will."""

    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()

    @property
    def status(self) -> str:
        """Return it as a word: failing, warning or ok."""
        if self.reasons:
            return "failing"
        return "warning" if self.warnings else "ok"


def judge(look: Look, limits: Limits) -> Verdict:
    """Return what is wrong; each code stands in it once, but for what workers say."""
    if look.facts is None:
        reasons = [_failure_of(look)]
    else:
        checks = (_no_replica, _no_worker, _trouble_of_workers, _no_success, _too_old, _full, _canary)
        reasons = [reason for check in checks for reason in check(look.facts, limits)]
        reasons += [each for each in _write(look.write) if each.code not in {said.code for said in reasons}]
    return Verdict(tuple(reasons), tuple(_quorum(look)))


# What the link says where an error was passed on as text: through a cooldown, or while the circuit is open.
_SIGNS = (
    ("was made a replica of", "rogue_master"),
    (" refuses us: ", "access_refused"),
    ("watches no master named", "unknown_master_name"),
    ("OOM ", "redis_full"),
    ("MISCONF ", "disk_error"),
)


def _failure_of(look: Look) -> Reason:
    """Return why Redis told nothing; where the master answers but holds writes, that is the reason."""
    if look.write is not None and look.write.refusal in {Refusal.HELD, Refusal.ACCESS}:
        return next(_write(look.write))
    error = look.failure
    if isinstance(error, RogueMaster):
        code = "rogue_master"
    elif isinstance(error, UnknownMasterName):
        code = "unknown_master_name"
    else:
        code = next((code for sign, code in _SIGNS if sign in str(error)), "no_master")
    permanent = isinstance(error, PermanentError)
    beginning = (
        "Redis can't be used until an operator acts"
        if permanent
        else "Redis can't be reached through Sentinel"
    )
    return Reason(code, f"{beginning}: {error}")


_CODES = {
    Refusal.MEMORY: "redis_full",
    Refusal.DISK: "disk_error",
    Refusal.REPLICAS: "no_replica",
    Refusal.HELD: "writes_held",
    Refusal.ACCESS: "access_refused",
    Refusal.SILENT: "no_master",
}
_REMEDIES = {
    Refusal.MEMORY: "Raise its maxmemory, or find out what fills it.",
    Refusal.DISK: "Make room on its disk, or make its data directory writable again.",
    Refusal.REPLICAS: "Bring replicas back, or lower min-replicas-to-write.",
    Refusal.HELD: "Somebody does a switchover, or forgot CLIENT UNPAUSE.",
}


def _write(write: WriteAnswer | None) -> Iterator[Reason]:
    """Say whether the master takes writes now."""
    if write is None or write.taken:
        return
    if write.refusal is None:
        yield Reason(
            "writes_not_confirmed",
            f"The master {write.node} took a write, but {write.acknowledged or 0} of the {write.needed} replicas that must "
            "have it confirmed it within a second: look at `flask sentinel status`.",
        )
        return
    words = (write.error or "no reason is known").rstrip(". ")
    if write.refusal is Refusal.HELD:
        words = f"{write.node} answers, but a write gets no answer: writes are held (CLIENT PAUSE)"
    remedy = _REMEDIES.get(write.refusal, "Look at `flask sentinel status`.")
    yield Reason(
        _CODES.get(write.refusal, "master_not_ready"), f"The master takes no writes: {words}. {remedy}"
    )


def _no_replica(facts: Facts, limits: Limits) -> Iterator[Reason]:
    if facts.replicas < limits.replicas:
        yield Reason(
            "no_replica",
            f"{facts.replicas} replicas follow the master, and a submission counts once {limits.replicas} have it: "
            "look at `flask sentinel status`.",
        )


def _no_worker(facts: Facts, limits: Limits) -> Iterator[Reason]:  # noqa: ARG001 - as every check
    if not facts.workers:
        yield Reason("no_worker", "No worker is alive: start `flask worker`, or read its log.")


def _trouble_of_workers(facts: Facts, limits: Limits) -> Iterator[Reason]:  # noqa: ARG001 - as every check
    """Pass on what the workers say themselves; the same from several is said once."""
    refusals = {each for worker in facts.workers for each in worker.refusals}
    for trouble in dict.fromkeys(each for worker in facts.workers for each in worker.troubles):
        names = ", ".join(worker.name for worker in facts.workers if trouble in worker.troubles)
        code = "relay_refuses_us" if trouble in refusals else "worker_trouble"
        yield Reason(code, f"{trouble} (worker {names})")


def _no_success(facts: Facts, limits: Limits) -> Iterator[Reason]:
    silent_s = min(
        facts.oldest_owed_s, facts.last_sent_s if facts.last_sent_s is not None else facts.oldest_owed_s
    )
    if facts.owed and silent_s > limits.no_success_s:
        yield Reason(
            "no_success",
            f"No mail has gone out for {silent_s:.0f} s, and {facts.owed} are owed: "
            "look at the workers' log and at `flask deliveries list`.",
        )


def _too_old(facts: Facts, limits: Limits) -> Iterator[Reason]:
    if facts.oldest_owed_s > limits.oldest_owed_s:
        yield Reason(
            "oldest_owed",
            f"The oldest mail owed was accepted {facts.oldest_owed_s:.0f} s ago: see `flask deliveries list`.",
        )


def _full(facts: Facts, limits: Limits) -> Iterator[Reason]:  # noqa: ARG001 - as every check
    if facts.memory_share is not None and facts.memory_share >= FULL_SHARE:
        yield Reason(
            "redis_full",
            f"Redis uses {100 * facts.memory_share:.0f} % of its memory, so new submissions are refused: "
            "raise its maxmemory, or find out what fills it.",
        )


def _canary(facts: Facts, limits: Limits) -> Iterator[Reason]:
    """The last word: whatever else is well, a mail of our own should have gone out a moment ago."""
    if limits.canary_s is not None and (facts.canary_age_s or 0.0) > limits.canary_s:
        said = f" A relay said: {facts.canary_reply}." if facts.canary_reply else ""
        yield Reason(
            "canary_late",
            f"The last canary went out {facts.canary_age_s:.0f} s ago, which is too long: mail does not go out.{said} "
            "Look at the workers' log and at `flask deliveries list`.",
        )


def _quorum(look: Look) -> Iterator[Reason]:
    """Warn where no failover could come: mail goes out as long as the master lives."""
    sentinels = look.sentinels
    if sentinels.known and not sentinels.are_a_majority:
        yield Reason(
            "quorum_lost",
            f"{sentinels.answering} of {sentinels.known} sentinels answer, which is no majority, so no failover would come: "
            f"start {', '.join(map(str, sentinels.silent))} again, or see `flask sentinel status`.",
        )
    elif (
        sentinels.are_locked_out
        and look.facts is not None
        and look.write is not None
        and look.write.refusal is None
    ):
        yield Reason(
            "sentinels_locked_out",
            f"{len(sentinels.without_master)} of {sentinels.known} sentinels take the master for down though it answers, so no "
            "failover would come, or a needless one: see `flask sentinel status`.",
        )
