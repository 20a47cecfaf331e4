"""A process of the drill: web or worker, with its log, its end, and what it costs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sentinel import tied_to_this_process

STOP_TIMEOUT_S = 8.0


class DrillProcess:
    """One child in a session of its own; the kernel kills it when the drill's main thread goes."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], room: Path) -> None:
        """Start it in the directory `room`, where its log is kept too."""
        self.name = name
        self.log = room / f"{name}.log"
        tied = tied_to_this_process(command)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                tied,
                cwd=room,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def children(self) -> list[int]:
        """Give the ids of the processes it started, which for gunicorn are those that serve."""
        try:
            text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except OSError:
            return []
        return [int(word) for word in text.split()]

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """Stop it in its tracks (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def ask_to_end(self) -> None:
        """Ask it to end, without waiting."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def wait_until_ended(self, deadline: float) -> None:
        """Wait until the monotonic `deadline`, then kill whatever is left of it and its children."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            os.killpg(self._process.pid, number)
