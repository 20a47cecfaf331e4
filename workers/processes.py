"""Several worker processes under one: for several cores, and started again should one ever end.

The parent only waits. A signal to it is passed on once, and it ends when the last of its children has. When
it is killed, the kernel sends SIGTERM to the children, so that none of them is left behind.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

from sentinel import Backoff, end_with_parent

log = logging.getLogger(__name__)

FIRST_RESTART_AFTER_S = 1.0
LONGEST_RESTART_AFTER_S = 30.0
# Who ran for so long before it ended did not end because it can't start.
STEADY_AFTER_S = 60.0
LOOK_EVERY_S = 0.1
ORDERS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class _Place:
    """The place of one child: what runs there, or when the next one is started."""

    number: int
    pid: int = 0
    started_at: float = 0.0
    start_at: float = 0.0
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_RESTART_AFTER_S, LONGEST_RESTART_AFTER_S))


class Processes:
    """Runs `work(number)` in `count` forked processes until SIGTERM or SIGINT.

    To be made before any thread is started, since only the forking thread lives on in a child.
    """

    def __init__(self, count: int, work: Callable[[int], None]) -> None:
        self._places = [_Place(number) for number in range(1, count + 1)]
        self._work = work
        self._stopping = False

    def run(self) -> int:
        """Start them all, and another one for each that ends, after a while that grows.

        Returns:
            once all have ended after SIGTERM or SIGINT: 0, or the exit code of one that ended hard meanwhile (a signal
            counts as 128 and its number).
        """
        for signum in ORDERS:
            signal.signal(signum, self._stop)
        code = 0
        while not self._stopping or any(place.pid for place in self._places):
            for place in self._places:
                if not place.pid and not self._stopping and time.monotonic() >= place.start_at:
                    self._start(place)
            code = self._reap() or code
            time.sleep(LOOK_EVERY_S)
        return code

    def _reap(self) -> int:
        """Note which children have ended; return the code of one that ended hard while all of them stop."""
        code = 0
        for place in [each for each in self._places if each.pid]:
            pid, status = os.waitpid(place.pid, os.WNOHANG)
            if not pid:
                continue
            ran_s, place.pid = time.monotonic() - place.started_at, 0
            if self._stopping:
                code = _exit_code(status) or code
                continue
            if ran_s > STEADY_AFTER_S:
                place.backoff.reset()
            wait_s = place.backoff.next_s()
            place.start_at = time.monotonic() + wait_s
            log.error(
                "Worker process %d ended with %s; another one is started in %.0f s.",
                place.number,
                _ending(status),
                wait_s,
            )
        return code

    def _start(self, place: _Place) -> None:
        parent = os.getpid()
        # An order that comes meanwhile waits: in the child this handler would take it for the parent's, and in the parent
        # the child would not be known yet.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ORDERS)
        pid = os.fork()
        if pid == 0:
            self._be_child(place.number, parent)
        place.pid, place.started_at = pid, time.monotonic()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _be_child(self, number: int, parent: int) -> NoReturn:
        code = 1
        try:
            # The terminal's Ctrl-C is for the parent, which passes it on.
            os.setpgid(0, 0)
            for signum in ORDERS:
                signal.signal(signum, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ORDERS)
            end_with_parent(signal.SIGTERM)
            if os.getppid() == parent:
                self._work(number)
            code = 0
        except Exception:
            log.exception("Worker process %d ends because of an error.", number)
        finally:
            # Not sys.exit: what the parent registered for its own end is not the child's to do.
            os._exit(code)

    def _stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's signature
        self._stopping = True
        for place in self._places:
            if place.pid:
                with contextlib.suppress(ProcessLookupError):  # it has ended, and is being noted
                    os.kill(place.pid, signal.SIGTERM)


def _exit_code(status: int) -> int:
    """Return a child's code as a shell does; 0 for one that was told to end before it had begun to work."""
    code = os.waitstatus_to_exitcode(status)
    return 0 if code == -signal.SIGTERM else code if code >= 0 else 128 - code


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"code {code}"
