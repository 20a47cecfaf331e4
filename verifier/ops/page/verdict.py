"""What all that was seen comes to: a tone, a headline, and what is wrong with its remedy. Pure.

"Nothing is wrong" is said only where everything was seen a moment ago, and mail goes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sentinel import RequestDeadline, Severity, Topology, findings_of
from verifier.ops.page.looks import Service
from verifier.ops.page.watch import Seen
from verifier.ops.page.wording import brief, span
from verifier.readiness import Limits, Look, judge

# What is older than this is not how things are, in seconds.
STALE_AFTER_S = 5.0
# A write is tried each few seconds only.
_WRITE_COUNTS_FOR_S = 15.0
_NO_RIGHT = "right-missing"

GOOD, WARNING, MOVING, BAD = "good", "warning", "moving", "bad"


@dataclass(frozen=True)
class Sight:
    """What was seen of everything, and the monotonic time that it is now."""

    nodes: Seen[Topology]
    writes: Seen[Look]
    service: Seen[Service]
    now: float

    @property
    def topology(self) -> Topology | None:
        """Return the newest topology, with what came of the last write on its master."""
        topology, age_s = self.nodes.value, self.writes.age_s(self.now)
        write = self.writes.value.write if self.writes.value is not None else None
        if topology is None or write is None or age_s is None or age_s > _WRITE_COUNTS_FOR_S:
            return topology
        return replace(topology, write=write) if write.node == topology.named_master else topology

    @property
    def age_s(self) -> float:
        """Return how old the oldest of what is shown is; 0 where nothing is shown."""
        return max(seen.age_s(self.now) or 0.0 for seen in (self.nodes, self.service))

    @property
    def stale(self) -> list[str]:
        """Return what of the page is old: `nodes`, `service`, both or nothing."""
        seen: list[tuple[str, Seen[Topology] | Seen[Service]]]
        seen = [("nodes", self.nodes), ("service", self.service)]
        return [name for name, each in seen if _is_stale(each, self.now)]


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong: a tone, what it is and what to do."""

    tone: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the page says first."""

    tone: str
    headline: str
    sentence: str
    troubles: tuple[Trouble, ...]
    unseen: tuple[str, ...]
    """What could not be looked at for lack of rights."""


def verdict_of(sight: Sight, limits: Limits, deadline: RequestDeadline) -> Verdict:
    """Judge what was seen."""
    troubles = tuple(_worst_first([*_of_the_topology(sight, deadline), *_of_the_service(sight, limits)]))
    unseen = tuple(_unseen(sight, deadline))
    topology, service = sight.nodes.value, sight.service.value
    bad = [each for each in troubles if each.tone == BAD]
    if topology is None and service is None:
        why = troubles[0].message if troubles else "The first look is not over yet."
        return Verdict(BAD, "Nothing can be seen", why, troubles, unseen)
    if topology is not None and not _is_stale(sight.nodes, sight.now) and topology.is_failing_over:
        sentence = "The sentinels move the master. Requests wait, and what was accepted is kept."
        return Verdict(MOVING, "A failover is under way", sentence, troubles, unseen)
    if bad:
        is_away = bool(sight.service.trouble) or _is_stale(sight.service, sight.now)
        headline = "Redis is away" if is_away else "Something is wrong"
        return Verdict(BAD, headline, bad[0].message, troubles, unseen)
    if troubles:
        more = "One thing" if len(troubles) == 1 else f"{len(troubles)} things"
        return Verdict(WARNING, "Mail goes out", f"{more} should be looked after.", troubles, unseen)
    return Verdict(GOOD, "Mail goes out", "Nothing is wrong.", (), unseen)


def _of_the_service(sight: Sight, limits: Limits) -> Iterator[Trouble]:
    if sight.service.trouble or _is_stale(sight.service, sight.now):
        if not sight.nodes.trouble:  # else that says why
            yield Trouble(BAD, _away(sight))
    elif sight.service.value is not None:
        for reason in judge(Look(sight.service.value.facts), limits).reasons:
            yield Trouble(BAD, reason.sentence)


def _away(sight: Sight) -> str:
    why = brief(sight.service.trouble) if sight.service.trouble else "Redis does not answer in time"
    age_s = sight.service.age_s(sight.now)
    return f"{why}." if age_s is None else f"{why}. It was seen last {span(age_s)} ago."


def _of_the_topology(sight: Sight, deadline: RequestDeadline) -> Iterator[Trouble]:
    if sight.nodes.trouble:
        yield Trouble(BAD, sight.nodes.trouble)
        return
    if _is_stale(sight.nodes, sight.now):
        age_s = sight.nodes.age_s(sight.now)
        since = "yet" if age_s is None else f"for {span(age_s)}"
        yield Trouble(WARNING, f"Nodes and sentinels have not been seen {since}.")
    if (topology := sight.topology) is not None:
        for finding in findings_of(topology, deadline):
            if finding.code != _NO_RIGHT:
                tone = BAD if finding.severity is Severity.CRITICAL else WARNING
                yield Trouble(tone, finding.message, finding.remedy)


def _unseen(sight: Sight, deadline: RequestDeadline) -> Iterator[str]:
    if (topology := sight.topology) is not None:
        yield from (each.message for each in findings_of(topology, deadline) if each.code == _NO_RIGHT)


def _worst_first(troubles: list[Trouble]) -> list[Trouble]:
    return sorted(dict.fromkeys(troubles), key=lambda each: each.tone != BAD)


def _is_stale(seen: Seen[Topology] | Seen[Service], now: float) -> bool:
    age_s = seen.age_s(now)
    return age_s is None or age_s > STALE_AFTER_S
