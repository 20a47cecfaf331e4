"""The worker's pulse: a small file that says that its threads move, for whoever watches the process from outside.

Redis cannot tell that while it is away, and must not be asked for it: a worker that waits for Redis is well. The file
stands in RUNTIME_DIRECTORY, which systemd sets, else in a directory of this user's below the temporary one.
`__main__.py` beside it reads it.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

# How long a thread may take for a round: Redis's answers, and what waits for them, are bounded well below.
STALE_AFTER_S = 30.0


@dataclass(frozen=True)
class Pulse:
    """What a worker wrote last; times are of CLOCK_MONOTONIC, in seconds, the same for all processes of a machine."""

    pid: int
    claiming_at: float
    maintaining_at: float
    heard_at: float
    """When Redis last took its heartbeat; 0 when it never did."""
    waiting: bool
    """Whether it waits for Redis."""


class PulseFile:
    """Written by the maintenance thread; the claiming thread only notes a time. Safe for threads."""

    def __init__(self, directory: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._claiming_thread = 0
        self._claiming_at = clock()
        self._heard_at = 0.0

    def watch_this_thread(self) -> None:
        """Say that the calling thread is the one that claims."""
        self._claiming_thread = threading.get_ident()
        self.moves()

    def moves(self) -> None:
        """Note that the claiming thread moves; called by another one, it notes nothing."""
        if threading.get_ident() == self._claiming_thread:
            self._claiming_at = self._clock()

    def heard(self) -> None:
        """Note that Redis took the heartbeat."""
        self._heard_at = self._clock()

    def write(self, *, waiting: bool) -> None:
        """Write the file. Raises OSError where that cannot be done."""
        pulse = Pulse(os.getpid(), self._claiming_at, self._clock(), self._heard_at, waiting)
        with self._lock:
            self._directory = self._directory or own_directory()
            path = _path(self._directory, pulse.pid)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(asdict(pulse)))
            new.replace(path)

    def remove(self) -> None:
        """Remove the file at the end, if there is one."""
        with self._lock:
            if self._directory is not None:
                _path(self._directory, os.getpid()).unlink(missing_ok=True)


def own_directory() -> Path:
    """Return the directory of this user's pulse files, and make it where it is missing.

    Raises:
        OSError: it can't be made, or belongs to somebody else.
    """
    if given := os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        return Path(given)
    directory = Path(tempfile.gettempdir(), f"verifier-workers-{os.getuid()}")
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        raise PermissionError(f"{directory} belongs to somebody else: remove it.")
    return directory


def pulses_in(directory: Path) -> Iterator[Pulse]:
    """Yield what each worker wrote that still runs; a file of one that is gone is removed."""
    for path in sorted(directory.glob("worker-*.json")):
        try:
            pulse = Pulse(**json.loads(path.read_text()))
        except FileNotFoundError:  # it ended just now
            continue
        if Path("/proc", str(pulse.pid)).exists():
            yield pulse
        else:
            path.unlink(missing_ok=True)


def _path(directory: Path, pid: int) -> Path:
    return directory / f"worker-{pid}.json"
