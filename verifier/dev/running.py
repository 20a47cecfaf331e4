"""What a second terminal finds: each `flask run` with its own topology leaves a private file that leads there.

The file holds the addresses and logins of one run, is readable by its user alone, and is locked as long as the run lives:
of one that was killed the lock is gone, and whoever looks next removes the file. It counts only where no sentinels are
named, so a deployment never looks.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

# Which run is meant, where there are several: its port, or its process id.
CHOICE = "VERIFIER_RUN"
_SENTINELS = ("VERIFIER_SENTINELS", "VERIFIER_SENTINELS_FILE")
# What commands need of the settings of a run: neither how it mails nor who may call it.
_LEFT_OUT = ("VERIFIER_MAIL_", "VERIFIER_API_", "VERIFIER_LOG_", "VERIFIER_RUN", "VERIFIER_EMBEDDED_MAILBOX")


class WhichRun(Exception):
    """No run, or several, are what was asked for; the message says how to choose."""


@dataclass(frozen=True)
class Run:
    """One `flask run` that brought its own topology; `environment` leads to it."""

    pid: int
    port: int
    url: str
    environment: dict[str, str]

    def __str__(self) -> str:
        """Return where it serves, and its process."""
        return f"{self.url or 'a free port'} (process {self.pid})"


def publish(environ: Mapping[str, str], url: str, port: int) -> None:
    """Leave the file of this process, until it ends."""
    directory = _directory(environ)
    directory.mkdir(mode=0o700, exist_ok=True)
    if not _is_ours(directory):
        return
    run = {"pid": os.getpid(), "port": port, "url": url, "environment": _worth_telling(environ)}
    file = directory / f"{os.getpid()}.json"
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, json.dumps(run).encode())
    # The descriptor stays open: with it the lock ends.
    atexit.register(_withdraw, file, os.getpid())


def adopt(environ: MutableMapping[str, str], dotenv: Path = Path(".env")) -> str:
    """Point the settings in `environ` to the run that is on, where no sentinels are named.

    Returns:
        which run it is, in a sentence; empty where nothing was changed.

    Raises:
        WhichRun: several are on, or not the one that VERIFIER_RUN names.
    """
    named = dotenv_values(dotenv) if dotenv.is_file() else {}
    if any((source.get(name) or "").strip() for source in (environ, named) for name in _SENTINELS):
        return ""
    runs, choice = list(running(environ)), environ.get(CHOICE, "").strip()
    wanted = [run for run in runs if choice in {"", str(run.port), str(run.pid)}]
    if not runs and not choice:
        return ""
    if len(wanted) != 1:
        on = ", ".join(map(str, runs)) or "none"
        if choice:
            raise WhichRun(
                f"{CHOICE}={choice} is neither port nor process id of a `flask run` that is on: {on}."
            )
        raise WhichRun(
            f"VERIFIER_SENTINELS is not set, and more than one `flask run` is on: {on}. Choose one by its port or "
            f"process id, such as {CHOICE}={runs[0].pid}."
        )
    environ.update(wanted[0].environment)
    return f"VERIFIER_SENTINELS is not set, so this is about the topology of {wanted[0]}."


def running(environ: Mapping[str, str]) -> Iterator[Run]:
    """Yield the runs of this user that are on; the files of others are removed."""
    directory = _directory(environ)
    if not _is_ours(directory):
        return
    for file in sorted(directory.glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            if _is_abandoned(file):
                file.unlink()
            else:
                yield Run(**json.loads(file.read_text(encoding="utf-8")))


def _directory(environ: Mapping[str, str]) -> Path:
    """Return where the files are: the user's own runtime directory, else one of their own in the temporary one."""
    given = environ.get("XDG_RUNTIME_DIR", "")
    if given and Path(given).is_dir():
        return Path(given) / "verifier-runs"
    return Path(tempfile.gettempdir()) / f"verifier-runs-{os.getuid()}"


def _is_ours(directory: Path) -> bool:
    """Return whether nobody else can have written there: it might lead us to a Redis of theirs."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    return directory.is_dir() and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _is_abandoned(file: Path) -> bool:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _worth_telling(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if name.startswith("VERIFIER_") and not name.startswith(_LEFT_OUT)
    }


def _withdraw(file: Path, owner: int) -> None:
    if os.getpid() == owner:
        file.unlink(missing_ok=True)
