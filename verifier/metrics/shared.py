"""Counting together: the processes of one service keep their counters in files of one private directory.

Each process writes its own files there, as prometheus-client does it where PROMETHEUS_MULTIPROC_DIR names a directory,
and whichever is asked adds them all up. gunicorn.conf.py makes the directory for the web app, `flask worker --processes`
for workers.

prometheus-client leaves the counters of a process that ended in files of their own, so that with each restart there would
be more of them, in memory where the directory is a tmpfs. Here they are added to those of all that ended before.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import logging
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

log = logging.getLogger(__name__)

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# Whose files are those of all processes that ended; no process has this id.
ENDED = 0
LOCK_WITHIN_S = 1.0
LOOK_EVERY_S = 0.01
_PREFIX = "verifier-metrics-"
_ADDED_UP = ("counter", "histogram")


def count_together() -> None:
    """Make the directory, and have all processes that are forked from now on count there.

    To be called before any metric is made. Where there is no place for it, each counts for itself, and the log says so.
    """
    parent = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    try:
        _forget_the_dead(Path(parent or tempfile.gettempdir()))
        directory = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent or None)
    except OSError as error:
        log.warning("No directory for the metrics of all processes, so each shows its own: %s", error)
        return
    os.environ[VARIABLE] = directory
    # It was chosen when prometheus-client was imported.
    values.ValueClass = values.get_value_class()
    # Children of it end without this.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)


def _forget_the_dead(parent: Path) -> None:
    """Remove what a parent left there that was killed; nobody else's can be removed by this user."""
    for each in parent.glob(f"{_PREFIX}*"):
        pid = each.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not _is_alive(int(pid)):
            shutil.rmtree(each, ignore_errors=True)


def directory() -> Path | None:
    """Return where the processes of this service count; None where this one counts alone."""
    named = os.environ.get(VARIABLE)
    # A gunicorn that loads the app before it forks has imported the library before the directory was made.
    return Path(named) if named and values.ValueClass._multiprocess else None  # noqa: SLF001 - nothing else tells


@contextmanager
def added_up(where: Path) -> Iterator[None]:
    """Add up what ended, and keep other processes from doing so meanwhile.

    One that hangs while it does so is not waited for. Then nothing is added up: it may be half-way, and what is added twice
    is counted twice for ever.
    """
    ends_at = time.monotonic() + LOCK_WITHIN_S
    with (where / "lock").open("wb") as lock:
        while not (is_ours := _locked(lock.fileno())) and time.monotonic() < ends_at:
            time.sleep(LOOK_EVERY_S)
        if is_ours:
            _add_up_the_ended(where)
        yield


def _add_up_the_ended(where: Path) -> None:
    """Add the counters of processes that ended to those that ended before, and forget their gauges."""
    for path in where.glob("*.db"):
        kind, _, rest = path.stem.partition("_")
        pid = int(rest.rpartition("_")[2] or ENDED)
        if pid == ENDED or _is_alive(pid):
            continue
        if kind in _ADDED_UP:
            _add(path, where / f"{kind}_{ENDED}.db")
        path.unlink(missing_ok=True)


def _add(ended: Path, total: Path) -> None:
    try:
        found = list(MmapedDict.read_all_values_from_file(str(ended)))
        for key, *_ in found:
            json.loads(key)
    except (OSError, RuntimeError, ValueError, struct.error) as error:  # it was killed while it made the file
        log.warning("The counters of a process that was killed can't be read: %s", error)
        return
    totals = MmapedDict(str(total))
    try:
        for key, value, _, _ in found:
            totals.write_value(key, totals.read_value(key)[0] + value, 0.0)
    finally:
        totals.close()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
