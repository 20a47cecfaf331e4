"""How soon the service accepts again after a failover, as shipped: `python -m tests.bench.failovers`.

The embedded topology runs with the shipped times and values, the whole service on it, under load. Each fault is
injected so many times; printed is the time from the fault, and from the first `+switch-master`, to the first
submission that is accepted after it: the median, the 95th percentile and the longest, in milliseconds.

A replica that got more of the old master's stream than the new master has needs a full copy, which takes longer the
more data there is: `--fill` writes so many records beforehand. To try other values, change the files of
`sentinel/config/` and run it again.
"""

from __future__ import annotations

import argparse
import math
import secrets
import signal
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from redis import RedisError

from sentinel import LocalTopology
from verifier.drill.fault_context import FaultContext, Pace
from verifier.drill.faults import FAULTS
from verifier.drill.faults.registry import Fault
from verifier.drill.rig.systems import verifier
from verifier.drill.rig.testbed import DrillTestbed
from verifier.drill.round import Round

NAMES = ("kill", "hang", "failover")
# Long enough that the first submission is accepted before anything is set right.
UNTOUCHED_S = 2.0
BATCH = 200
PACE = Pace(before_s=1.0, after_s=0.5, dead_s=UNTOUCHED_S, heals_by_itself=False)


@dataclass(frozen=True)
class Failover:
    """What one failover cost; durations in seconds, None where it never happened."""

    to_switch_s: float | None
    to_accept_s: float | None
    """From `+switch-master`."""
    refused: int
    full_copies: int
    """How many replicas got all of the data anew instead of what they lacked."""


class Watched:
    """A fault that is followed by a while in which nothing is set right, and the full copies that it came to."""

    def __init__(self, fault: Fault) -> None:
        self.fault = replace(fault, inject=self._inject)
        self.full_copies = 0
        self._inject_fault = fault.inject

    def _inject(self, context: FaultContext) -> None:
        before = _full_copies(context.topology)
        self._inject_fault(context)
        context.waiter.for_s(UNTOUCHED_S)
        after = _full_copies(context.topology)
        self.full_copies = sum(max(0, count - before.get(node, 0)) for node, count in after.items())


def measure(testbed: DrillTestbed, name: str, times: int, rate: float) -> Iterator[Failover]:
    """Inject a fault so many times and yield what each cost; raises TopologyError as a drill's round does."""
    for _ in range(times):
        watched = Watched(FAULTS[name])
        counts = Round(testbed, watched.fault, rate, PACE).run().counts
        refused = counts.refused + counts.cut_off
        yield Failover(counts.switch_s, counts.first_accept_s, refused, watched.full_copies)


def _full_copies(topology: LocalTopology) -> dict[str, int]:
    """Return how many full copies each node that answers has given so far."""
    found = {}
    for node in topology.nodes:
        try:
            with topology.admin(node) as client:
                found[node.name] = int(client.info("stats")["sync_full"])
        except (RedisError, OSError):
            continue
    return found


def fill(topology: LocalTopology, records: int) -> None:
    """Write so many hashes of the size of a record into the master; raises RedisError, TopologyError."""
    with topology.admin(topology.current_master()) as client:
        for begin in range(0, records, BATCH):
            with client.pipeline(transaction=False) as pipeline:
                for number in range(begin, min(records, begin + BATCH)):
                    fields = {f"field-{position}": secrets.token_hex(16) for position in range(12)}
                    pipeline.hset(f"bench:{number}", mapping=fields)
                pipeline.execute()


def summary(name: str, found: Sequence[Failover]) -> str:
    """Return the line of one fault in the table."""
    switches = [each.to_switch_s for each in found if each.to_switch_s is not None]
    accepts = [each.to_accept_s for each in found if each.to_accept_s is not None]
    whole = [
        each.to_switch_s + each.to_accept_s
        for each in found
        if each.to_switch_s is not None and each.to_accept_s is not None
    ]
    copied = sum(each.full_copies > 0 for each in found)
    cells = [name, str(len(found)), *(_percentiles(times) for times in (switches, accepts, whole))]
    return " | ".join([*cells, f"{copied} of {len(found)}", str(sum(each.refused for each in found))])


def _percentiles(times: Sequence[float]) -> str:
    """Return median, 95th percentile and the longest, in milliseconds."""
    if not times:
        return "never"
    ordered = sorted(times)
    high = ordered[math.ceil(0.95 * len(ordered)) - 1]
    return " / ".join(f"{1000 * value:.0f}" for value in (statistics.median(ordered), high, ordered[-1]))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.failovers", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="failovers of each kind")
    parser.add_argument("--rate", type=float, default=50.0, help="submissions a second")
    parser.add_argument("--fault", action="append", choices=NAMES, help="only this one; can be repeated")
    parser.add_argument("--fill", type=int, default=0, help="records that are there already")
    parser.add_argument("--each", action="store_true", help="print each failover, too")
    parser.add_argument("--keep-logs", action="store_true", help="leave the logs and name their directory")
    arguments = parser.parse_args()
    # An ordinary end, so that whatever was started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    testbed = DrillTestbed(verifier(), workers=1)
    try:
        with testbed:
            fill(testbed.topology, arguments.fill)
            print(f"{testbed.conditions()} Median / 95th percentile / longest, in milliseconds")
            print(
                "fault | times | fault to switch | switch to accept | fault to accept | full copies | refused"
            )
            for name in arguments.fault or NAMES:
                found = []
                for each in measure(testbed, name, arguments.times, arguments.rate):
                    found.append(each)
                    if arguments.each:
                        print(f"  {each}", file=sys.stderr)
                print(summary(name, found), flush=True)
    finally:
        if arguments.keep_logs:
            print(Path(testbed.directory), file=sys.stderr)
        else:
            testbed.forget_logs()


if __name__ == "__main__":
    main()
