"""The directory an embedded topology writes into, and the removal of those whose owners were killed.

A temporary directory is locked as long as its owner lives. Whoever dies of kill -9 cannot remove it, but loses
the lock: the next topology to start removes it then.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from sentinel.local.running_topology import TopologyError

PREFIX = "verifier-local-"
MIN_AGE_S = 60.0
"""A directory younger than this may be about to be locked, and is not removed."""


class LocalDirectory:
    """A temporary directory that is removed on `release`, or a named one that stays."""

    def __init__(self, named: Path | None) -> None:
        """Make it and lock it.

        Raises:
            TopologyError: the named directory is not empty.
        """
        self._temporary = named is None
        if named is None:
            remove_abandoned(Path(tempfile.gettempdir()))
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        else:
            self.path = _empty(named)
        self._lock = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        """Unlock it, and remove it where it is temporary."""
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_abandoned(parent: Path) -> None:
    """Remove our temporary directories in `parent` that nobody holds the lock of any more."""
    for directory in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # locked, somebody else's, or gone already
            if time.time() - directory.stat().st_mtime > MIN_AGE_S:
                _remove_if_free(directory)


def _remove_if_free(directory: Path) -> None:
    lock = os.open(directory, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        os.close(lock)


def _empty(directory: Path) -> Path:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise TopologyError(f"{directory} is not empty: name a new directory for the embedded topology.")
    return directory.absolute()
