"""Whether and when Sentinel itself mends a master that somebody made a stranger's replica; pure.

It takes such a master for down once that has told it for down-after and two INFO periods that it is a replica, of which
it hears once a period. Then it promotes a replica, but none whose link to the master was down for longer than ten times
down-after (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/, "Replica selection"). Before Redis
7.0 a master that follows another hangs up on its replicas, so their links are down from the beginning.
"""

from __future__ import annotations

from sentinel.time_budget import LONGEST_LINK_DOWN
from sentinel.topology.snapshot import Topology

INFO_PERIOD_S = 10.0
KEEPS_REPLICAS_FROM = (7,)
# 9 x down-after must outlast three periods, and a bit for the round trips.
SHORTEST_DOWN_AFTER_S = 3.5


def mends_a_rogue_within_s(topology: Topology) -> float | None:
    """Return within how many seconds Sentinel mends it; None where it never does with these settings."""
    down_after_s = _down_after_s(topology)
    if _hangs_up_on_replicas(topology) and down_after_s < SHORTEST_DOWN_AFTER_S:
        return None
    return down_after_s + 3 * INFO_PERIOD_S


def never_mends_because(topology: Topology) -> str:
    """Return the reason, for people."""
    down_after_s = _down_after_s(topology)
    return (
        f"down-after is {down_after_s:g} s, and before Redis 7.0 no replica is promoted then whose link was down for "
        f"longer than {LONGEST_LINK_DOWN} x down-after"
    )


def _down_after_s(topology: Topology) -> float:
    return max((each.down_after_ms for each in topology.answering if each.down_after_ms), default=0) / 1000


def _hangs_up_on_replicas(topology: Topology) -> bool:
    """Return whether some node is older; an unknown one is taken for one that is not."""
    return any((node.version or KEEPS_REPLICAS_FROM) < KEEPS_REPLICAS_FROM for node in topology.nodes)
