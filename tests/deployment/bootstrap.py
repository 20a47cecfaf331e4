"""The engine that is here, else one that is made: podman, from Debian's packages, with base images made the same way.

Nothing that is configured on the machine is changed: podman gets a containers.conf of its own. What was made is
used again by the next run; only the network and the containers of a run are its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.deployment.engine import BUILD_TIMEOUT_S, Engine, EngineError

ROOT = Path(__file__).resolve().parents[2]
PODMAN_COMPOSE = ROOT / ".venv-deployment" / "bin" / "podman-compose"
# What each program that is needed comes with.
PACKAGES = {
    "podman": "podman",
    "runc": "runc",
    "catatonit": "catatonit",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "/usr/lib/podman/netavark": "netavark",
    "/usr/lib/podman/aardvark-dns": "aardvark-dns",
}
# crun does not start with hybrid cgroups, and raising limits is refused inside a sandbox.
CONTAINERS_CONF = """\
[engine]
runtime = "runc"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
"""
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class NoEngine(Exception):
    """There is no engine here and none can be made; the sentence says why."""


@dataclass(frozen=True)
class BaseImage:
    """What an image of ours stands on: its name in a registry, and the packages that serve the same."""

    in_registry: str
    local: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...] = ()
    suite: str = "bookworm"


PYTHON = BaseImage(
    "python:3.11-slim-bookworm",
    "localhost/verifier-base-python:bookworm",
    ("python3", "python3-venv", "python3-pip", "ca-certificates"),
    ('ln -s python3 "$1/usr/bin/python"',),
)
REDIS = BaseImage(
    "redis:8.0-bookworm",
    "localhost/verifier-base-redis:trixie",
    ("redis-server", "redis-sentinel", "redis-tools"),
    suite="trixie",
)

PROXY = BaseImage("nginx:1.28-bookworm", "localhost/verifier-base-proxy:bookworm", ("nginx-light",))


def find_or_make_engine() -> Engine:
    """Return docker where it answers, else podman, installed if need be.

    Raises:
        NoEngine: neither is to be had.
    """
    if os.geteuid() != 0:
        raise NoEngine("Faults are injected into the containers' networks, which takes root.")
    if _succeeds("docker", "info") and _succeeds("docker", "compose", "version"):
        return Engine("docker", ("docker", "compose"))
    _install_missing()
    if not PODMAN_COMPOSE.exists():
        raise NoEngine(f"{PODMAN_COMPOSE} is missing: `make deployment-test` installs it.")
    engine = _podman()
    try:
        engine.run("info")
    except (EngineError, OSError) as error:
        raise NoEngine(f"podman is installed and does not work here: {error}") from error
    return engine


def base_image(engine: Engine, image: BaseImage) -> str:
    """Return the name of an image that is here, made or fetched if need be.

    Raises:
        EngineError: it could not be made.
    """
    if engine.command == "docker" and (
        engine.has_image(image.in_registry) or _succeeds("docker", "pull", "-q", image.in_registry)
    ):
        return image.in_registry
    if not engine.has_image(image.local):
        _make_from_packages(engine, image)
    return image.local


def _podman() -> Engine:
    directory = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "verifier-deployment-test"
    directory.mkdir(parents=True, exist_ok=True)
    settings = directory / "containers.conf"
    settings.write_text(CONTAINERS_CONF)
    return Engine("podman", (str(PODMAN_COMPOSE),), {"CONTAINERS_CONF": str(settings)})


def _install_missing() -> None:
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise NoEngine(f"No docker answers, and without apt-get nothing brings {', '.join(missing)}.")
    print(f"Installing {' '.join(missing)}", file=sys.stderr)
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
        if not _succeeds("apt-get", *words):
            raise NoEngine(f"No docker answers, and `apt-get {' '.join(words)}` failed.")


def _make_from_packages(engine: Engine, image: BaseImage) -> None:
    if shutil.which("mmdebstrap") is None:
        raise EngineError(
            f"{image.in_registry} cannot be fetched, and mmdebstrap is not installed to make one."
        )
    print(f"Making {image.local} from Debian's packages", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="verifier-base-") as directory:
        archive = Path(directory) / "root.tar"
        hooks = [f"--customize-hook={hook}" for hook in _hooks(image)]
        included = f"--include={','.join(image.packages)}"
        words = ["mmdebstrap", "--quiet", "--variant=minbase", included, *hooks, image.suite, str(archive)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=BUILD_TIMEOUT_S)
        if done.returncode:
            raise EngineError(f"{' '.join(words)} failed:\n{done.stderr[-1500:]}")
        # pip in Debian's Python asks nobody but this file whom to trust.
        variables = [f"--change=ENV {name}={CERTIFICATES}" for name in ("PIP_CERT", "SSL_CERT_FILE")]
        engine.run("import", *variables, str(archive), image.local, timeout_s=BUILD_TIMEOUT_S)


def _hooks(image: BaseImage) -> Sequence[str]:
    """Return what is done to the file tree; where this machine trusts a proxy's authority, so does the image."""
    target = f'"$1{CERTIFICATES}"'
    trust = f'mkdir -p "$1{CERTIFICATES.parent}" && cp {CERTIFICATES} {target}'
    return (*image.hooks, *([trust] if CERTIFICATES.exists() else []))


def _succeeds(*words: str) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            words,
            env=environment,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=BUILD_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
