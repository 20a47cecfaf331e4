"""Whether mail goes out, and if not, why: pure, facts in and reasons out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Reason:
    """One thing that keeps mails from going out: a name for programs, and for operators what is wrong and what to do."""

    code: str
    sentence: str


def reasons_not_ready(facts: Facts, limits: Limits) -> list[Reason]:
    """Return why mail does not go out as it should; an empty list where it does."""
    checks = (_no_replica, _no_worker, _trouble_of_workers, _no_success, _too_old, _full)
    return [reason for check in checks for reason in check(facts, limits)]


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
    for trouble in dict.fromkeys(each for worker in facts.workers for each in worker.troubles):
        names = ", ".join(worker.name for worker in facts.workers if trouble in worker.troubles)
        yield Reason("worker_trouble", f"{trouble} (worker {names})")


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
