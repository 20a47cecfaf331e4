"""Whether the nodes' clocks agree: a code's life and a lease are measured by the master's, whoever that is."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.topology.doctor.examination import Examination
from sentinel.topology.findings import Finding, critical

MOST_APART_S = 1.0


def _clocks_agree(examination: Examination) -> Iterator[Finding]:
    ahead = {
        each.endpoint: each.clock_ahead_s for each in examination.nodes if each.clock_ahead_s is not None
    }
    if not ahead:
        return
    first, last = min(ahead, key=lambda each: ahead[each]), max(ahead, key=lambda each: ahead[each])
    apart_s = ahead[last] - ahead[first]
    if apart_s > MOST_APART_S:
        yield critical(
            "clocks-differ",
            f"The clock of {last} is {apart_s:.1f} s ahead of that of {first}.",
            "Have a time service set the clocks of both hosts, slowly: a jump of two seconds puts sentinels into TILT.",
        )


CHECKS = (_clocks_agree,)
