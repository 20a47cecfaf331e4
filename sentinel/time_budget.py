"""The budget of time: what a dead master costs, held against how long a request waits. Pure.

    down-after  +  promotion  +  a full copy's delay  +  attachment of a replica  <  deadline of a request

Why so, and what was measured: docs/decisions/0019-one-budget-of-time.md.
"""

from __future__ import annotations

from dataclasses import dataclass

# The vote and REPLICAOF NO ONE; Sentinel looks once a second whether a replica has become a master.
PROMOTION_S = 1.0
# A write counts when a replica has it, so the first one waits until one follows the new master.
ATTACHMENT_S = 1.0
# Sentinel promotes no replica whose link to its master was down for longer than this many times down-after.
LONGEST_LINK_DOWN = 10
# A TILT lasts 30 s, and a foreign REPLICAOF nearly so: with less, no replica would be left to promote after them.
SHORTEST_DOWN_AFTER_S = 3.1


@dataclass(frozen=True, slots=True)
class RequestDeadline:
    """For how many seconds a request waits, and what the setting for it is called."""

    seconds: float
    setting: str


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """What an outage of the master is made of, in seconds."""

    down_after_s: float
    sync_delay_s: float = 0.0
    """How long a full copy waits for a second replica; 0 where that is not known."""

    @property
    def outage_s(self) -> float:
        """For how long nothing is accepted when the master dies, if all goes well."""
        return self.down_after_s + PROMOTION_S + self.sync_delay_s + ATTACHMENT_S

    def overdraft(self, deadline: RequestDeadline) -> tuple[str, str] | None:
        """Return what is wrong and what to do when requests give up before the outage is over; None where none does."""
        if self.outage_s < deadline.seconds:
            return None
        delay = f", repl-diskless-sync-delay {self.sync_delay_s:g} s" if self.sync_delay_s else ""
        message = (
            f"When the master dies, nothing is accepted for about {self.outage_s:g} s (down-after-milliseconds "
            f"{1000 * self.down_after_s:.0f}, promotion {PROMOTION_S:g} s{delay}, attachment of a replica "
            f"{ATTACHMENT_S:g} s), and a request waits for {deadline.seconds:g} s only ({deadline.setting}): submissions "
            "will be refused."
        )
        return message, self._remedy(deadline)

    def _remedy(self, deadline: RequestDeadline) -> str:
        longer = f"set {deadline.setting} to more than {self.outage_s:g}."
        if self.sync_delay_s and self.outage_s - self.sync_delay_s < deadline.seconds:
            return f"Set repl-diskless-sync-delay 0 on every node, or {longer}"
        room_s = deadline.seconds - PROMOTION_S - ATTACHMENT_S
        if room_s <= SHORTEST_DOWN_AFTER_S:
            return longer[0].upper() + longer[1:]
        also = ", set repl-diskless-sync-delay 0 on every node" if self.sync_delay_s else ""
        wanted_ms = 1000 * min(4.0, (SHORTEST_DOWN_AFTER_S + room_s) / 2)
        return (
            f"Set down-after-milliseconds {wanted_ms:.0f} on every sentinel (SENTINEL SET){also}, or {longer}"
        )


def is_too_hasty(down_after_s: float) -> bool:
    """Return whether no replica might be promoted any more after a TILT."""
    return down_after_s < SHORTEST_DOWN_AFTER_S
