"""How fast a worker empties a queue that was full before it started, and what it costs meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.bench.memory import Memory, cpu_seconds_of_tree, memory_of_tree
from tests.bench.sinks import CountingSink
from verifier.drill.rig.process import RigProcess

START_TIMEOUT_S = 30.0
LOOK_EVERY_S = 0.005
MEASURE_AFTER = 0.05
"""The share of the mails that is let through first: whoever has more to start is not punished for it."""


@dataclass(frozen=True)
class Drained:
    """What was measured between the first mails and the last one, or the end of the time."""

    mails: int
    seconds: float
    cpu_s: float
    memory: list[Memory]

    @property
    def rate(self) -> float:
        """Mails a second."""
        return self.mails / self.seconds

    @property
    def cpu_us_a_mail(self) -> float:
        """Processor time a mail, all processes of the worker together, in microseconds."""
        return 1e6 * self.cpu_s / self.mails

    @property
    def peak_mb(self) -> float:
        """What the largest of its processes held at most."""
        return max(memory.peak_mb for memory in self.memory)

    @property
    def pss_mb(self) -> float:
        """What all of its processes hold together, shared pages counted once."""
        return sum(memory.pss_mb for memory in self.memory)


def drain(
    worker: RigProcess, sink: CountingSink, mails: int, limit_s: float, *, warm_up: bool = True
) -> Drained:
    """Watch a worker that just started until it has sent so many mails, or for `limit_s` seconds.

    With `warm_up` the first twentieth of the mails is not counted, else only the very first one.

    Raises:
        RigError: it sends nothing, ends, or sends no more.
    """
    first = max(1, int(mails * MEASURE_AFTER)) if warm_up else 1
    _wait_for_mails(worker, sink, first)
    began, cpu, start_count = time.perf_counter(), cpu_seconds_of_tree(worker.pid), sink.mails()
    now, count = began, start_count
    while count < mails and now - began < limit_s:
        time.sleep(LOOK_EVERY_S)
        now, count = time.perf_counter(), sink.mails()
        if worker.exit_code is not None:
            raise worker.failure("ended")
    if count == start_count:
        raise worker.failure("sent nothing more")
    cpu = cpu_seconds_of_tree(worker.pid) - cpu
    return Drained(count - start_count, now - began, cpu, memory_of_tree(worker.pid))


def _wait_for_mails(worker: RigProcess, sink: CountingSink, first: int) -> None:
    deadline = time.perf_counter() + START_TIMEOUT_S
    while sink.mails() < first:
        if time.perf_counter() > deadline or worker.exit_code is not None:
            raise worker.failure(f"did not send {first} mails")
        time.sleep(LOOK_EVERY_S)
