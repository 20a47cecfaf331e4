"""Several worker processes under one: for several cores, and started again should one ever end.

The parent only waits. A signal to it is passed on once, and it ends when the last of its children has. When
it is killed, the kernel sends SIGTERM to the children, so that none of them is left behind.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from sentinel import end_with_parent

log = logging.getLogger(__name__)

RESTART_AFTER_S = 1.0


class Processes:
    """Runs `work(number)` in `count` forked processes until SIGTERM or SIGINT.

    To be made before any thread is started, since only the forking thread lives on in a child.
    """

    def __init__(self, count: int, work: Callable[[int], None]) -> None:
        self._count = count
        self._work = work
        self._children: dict[int, int] = {}
        self._stopping = False

    def run(self) -> None:
        """Start them all; return when all have ended after SIGTERM or SIGINT."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._stop)
        for number in range(1, self._count + 1):
            self._start(number)
        while self._children:
            pid, status = os.wait()
            number = self._children.pop(pid)
            if not self._stopping:
                log.error("Worker process %d ended with %s; another one is started.", number, _ending(status))
                time.sleep(RESTART_AFTER_S)
                self._start_unless_stopping(number)

    def _start_unless_stopping(self, number: int) -> None:
        if not self._stopping:
            self._start(number)

    def _start(self, number: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._be_child(number, parent)
        self._children[pid] = number
        if self._stopping:  # the signal came between the fork and this line
            os.kill(pid, signal.SIGTERM)

    def _be_child(self, number: int, parent: int) -> NoReturn:
        code = 1
        try:
            # The terminal's Ctrl-C is for the parent, which passes it on.
            os.setpgid(0, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
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
        for pid in list(self._children):
            os.kill(pid, signal.SIGTERM)


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"code {os.WEXITSTATUS(status)}"
