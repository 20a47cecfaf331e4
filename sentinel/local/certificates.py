"""The certificates of an embedded topology, made by the command that makes those of a deployment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sentinel.local.plan import CONFIG
from sentinel.local.running_topology import TopologyError
from sentinel.tls import Tls


def make_certificates(directory: Path, *, names: str = "") -> None:
    """Make an authority and certificates in `directory`, for loopback and for `names` (see make-secrets.sh).

    Raises:
        TopologyError: they can't be made; the message is the script's own.
    """
    _run("tls", directory, names)


def renew_certificates(directory: Path) -> None:
    """Make new certificates by the same authority in place of those in `directory`; raises as the above."""
    _run("renew-tls", directory, "")


def tls_to(directory: Path) -> Tls:
    """Return how to reach servers that have the certificates in `directory`."""
    return Tls(directory / "redis_tls_ca", directory / "verifier_tls_cert", directory / "verifier_tls_key")


def _run(order: str, directory: Path, names: str) -> None:
    made = subprocess.run(  # noqa: S603 - our own script
        ["/bin/sh", str(CONFIG / "make-secrets.sh"), order, str(directory)],
        env={"PATH": os.environ.get("PATH", os.defpath), "REDIS_TLS_NAMES": names},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise TopologyError(f"The certificates can't be made: {made.stderr.strip()}")
