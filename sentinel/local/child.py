"""Execute another program that ends with the thread that started it.

Run as `python -I -S child.py PARENT_PID PROGRAM [ARGUMENT ...]`: asks the Linux kernel for SIGKILL when
the parent ends, then executes the program, which keeps both the process id and that request. A program of its
own rather than a preexec_fn: Python code between fork and exec may deadlock in a parent with threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def tied_to_this_process(command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` and ends, by SIGKILL, with the thread that starts it."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def execute_tied(parent: int, program: list[str]) -> None:
    """Tie this process to its parent and execute the program.

    Raises:
        OSError: the kernel refuses, or the program cannot be executed.
    """
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the kernel was asked
        sys.exit(1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the program would inherit that
    os.execv(program[0], program)  # noqa: S606 - the programs the topology itself names


def end_with_parent(number: signal.Signals) -> None:
    """Ask the kernel to send this process a signal when the thread that started it ends (prctl(2)).

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


if __name__ == "__main__":
    execute_tied(int(sys.argv[1]), sys.argv[2:])
