"""The shipped compose.yaml, started from a copy of the source tree: own project, network, port and passwords.

What a developer runs on this machine is not touched. Only the relay is added to the file, and settings stand in
the copy's `.env`, as those of a real deployment do.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from sentinel import Access, Endpoint, Login, Tls, wait_for
from tests.deployment import relay
from tests.deployment.bootstrap import PROXY, PYTHON, REDIS, ROOT, base_image
from tests.deployment.engine import BUILD_TIMEOUT_S, Container, Engine, EngineError

IMAGE = "localhost/verifier-deployment-test"
PROJECT_PREFIX = "verifier-test-"
READY_WITHIN_S = 120.0
NODES = ("redis-1", "redis-2", "redis-3")
SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")
_FIXED = dict(zip((*NODES, *SENTINELS), (11, 12, 13, 21, 22, 23), strict=True))
_FILES = ("-f", "compose.yaml", "-f", "relay.yaml")
_LEFT_OUT = shutil.ignore_patterns(
    ".venv*", ".git", ".env", "secrets", "__pycache__", ".*_cache", "drill-report*"
)


class NotReady(Exception):
    """The deployment did not come up; the sentence says what /readyz said last."""


class Deployment:
    """Builds on entry, is gone after exit, whatever happened in between."""

    def __init__(self, engine: Engine, *, tls: bool = False) -> None:
        """Choose a project name, a port and a network that nobody uses; start nothing yet."""
        self.engine = engine
        self.tls = tls
        self.project = f"{PROJECT_PREFIX}{os.getpid()}"
        self.directory = Path(tempfile.mkdtemp(prefix="verifier-deployment-"))
        self.port = _free_port()
        self.prefix = _free_prefix()
        self.relay = relay.MailFile(self.directory / "mails" / "mails.jsonl")

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self._build()
            self.bring_up_first()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave half of it behind.
        before = [
            (number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM)
        ]
        try:
            self.compose("down", "--volumes", "--timeout", "1", check=False)
            sweep(self.engine, self.project)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
            for number, handler in before:
                signal.signal(number, handler)

    def bring_up_first(self) -> None:
        """Start it as the file's head says: once, the first master is ordered, since a node without data waits."""
        sweep_dead_runs(self.engine)
        self.compose("run", "--rm", "--no-deps", "redis-1", "first-master")
        self.up()

    def compose(self, *words: str, check: bool = True) -> str:
        """Run a command of compose on this deployment. Raises EngineError."""
        return self.engine.run_compose("-p", self.project, *_FILES, *words, cwd=self.directory, check=check)

    def up(self) -> None:
        """Start whatever does not run, as `docker compose up -d` does."""
        self.compose("up", "-d", "--no-build") if self.engine.command == "docker" else self.compose(
            "up", "-d"
        )

    def bring_up_with_tls(self) -> None:
        """Take it down, turn TLS on in `.env` as an operator does, and bring it up again."""
        self.compose("down")
        self.tls = True
        self._write_settings()
        self.up()
        self.await_ready()

    def renew_certificates(self) -> None:
        """Have the nodes' and the app's certificates made anew, in place; whoever runs has the old ones still."""
        self._make_secrets("renew-tls")

    def containers(self) -> list[Container]:
        """Return every container of the project, running or not."""
        shown = self.engine.run(
            "ps",
            "-a",
            "--filter",
            f"label=com.docker.compose.project={self.project}",
            "--format",
            '{{.ID}} {{index .Labels "com.docker.compose.service"}}'
            if self.engine.command == "podman"
            else '{{.ID}} {{.Label "com.docker.compose.service"}}',
        )
        pairs = [line.split() for line in shown.splitlines()]
        return [Container(self.engine, pair[1], pair[0]) for pair in pairs if len(pair) == 2]

    def container(self, service: str) -> Container:
        """Return the container of a service. Raises EngineError where there is none."""
        found = [each for each in self.containers() if each.service == service]
        if not found:
            raise EngineError(f"The deployment has no container of {service}.")
        return found[0]

    def access(self) -> Access:
        """Return how operators look at this topology from the machine that it runs on."""
        return Access(
            tuple(Endpoint(self.address(each), 26379) for each in SENTINELS),
            "verifier",
            Login("ops", self._secret("redis_ops_password")),
            Login("ops", self._secret("sentinel_ops_password")),
            tls=Tls(self.directory / "secrets" / "redis_tls_ca") if self.tls else None,
        )

    def address(self, service: str) -> str:
        """Return the fixed address of a node or sentinel; raises KeyError for a service that has none."""
        return f"{self.prefix}.{_FIXED[service]}"

    def link_address(self, service: str) -> str:
        """Return the link address of a node or sentinel, as compose.yaml has it."""
        return f"02:00:00:00:00:{_FIXED[service]}"

    def service_at(self, address: str) -> str:
        """Return which node or sentinel has this address. Raises StopIteration where none has."""
        return next(each for each in (*NODES, *SENTINELS) if self.address(each) == address)

    def readiness(self) -> tuple[int, str]:
        """Return the status and the text of /readyz; status 0 and the reason where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError as error:
            return 0, str(error)

    def await_ready(self, timeout_s: float = READY_WITHIN_S) -> float:
        """Wait for a green /readyz and return how long that took. Raises NotReady."""
        began = time.monotonic()
        if not wait_for(lambda: self.readiness()[0] == 200, timeout_s, 0.25):
            raise NotReady(f"/readyz is not green after {timeout_s:.0f} s: {self.readiness()}")
        return time.monotonic() - began

    def _prepare(self) -> None:
        shutil.copytree(ROOT, self.directory, ignore=_LEFT_OUT, dirs_exist_ok=True)
        (self.directory / "mails").mkdir()
        (self.directory / "mails").chmod(0o777)  # the image's user writes there
        self.directory.chmod(0o755)
        (self.directory / "relay.yaml").write_text(relay.COMPOSE_FILE)
        self._write_settings()
        self._make_secrets()

    def _make_secrets(self, *order: str) -> None:
        subprocess.run(["sh", "sentinel/config/make-secrets.sh", *order], cwd=self.directory, check=True)

    def _write_settings(self) -> None:
        settings = {
            "APP_IMAGE": IMAGE,
            "PYTHON_IMAGE": base_image(self.engine, PYTHON),
            "REDIS_IMAGE": base_image(self.engine, REDIS),
            "PROXY_IMAGE": base_image(self.engine, PROXY),
            "REDIS_NETWORK_PREFIX": self.prefix,
            "REDIS_TLS": "yes" if self.tls else "no",
            "PORT": str(self.port),
            # The load comes from one address, without a key.
            "VERIFIER_API_OPEN": "true",
            "VERIFIER_RATE_LIMITS_ENABLED": "false",
            "VERIFIER_MAIL_SERVER": relay.NAME,
            "VERIFIER_MAIL_PORT": str(relay.PORT),
        }
        (self.directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def _build(self) -> None:
        python = base_image(self.engine, PYTHON)
        network = ["--network", "host"] if self.engine.command == "podman" else []
        self.engine.run(
            "build", *network, "--build-arg", f"PYTHON_IMAGE={python}", "-t", IMAGE, ".",
            timeout_s=BUILD_TIMEOUT_S, cwd=self.directory,
        )  # fmt: skip

    def _secret(self, name: str) -> str:
        return (self.directory / "secrets" / name).read_text().strip()


def sweep(engine: Engine, project: str) -> None:
    """Remove whatever there is of a project: containers, then volumes and networks."""
    label = f"label=com.docker.compose.project={project}"
    for container in engine.run("ps", "-a", "-q", "--filter", label, check=False).split():
        engine.run("rm", "-f", "-v", container, check=False)
    for kind in ("volume", "network"):
        for name in engine.run(kind, "ls", "--format", "{{.Name}}", check=False).split():
            if name.startswith(f"{project}_"):
                engine.run(kind, "rm", name, check=False)


def sweep_dead_runs(engine: Engine) -> None:
    """Remove what runs left that were killed: their projects end with the id of a process that is gone."""
    names = engine.run("network", "ls", "--format", "{{.Name}}", check=False).split()
    for project in {name.rpartition("_")[0] for name in names if name.startswith(PROJECT_PREFIX)}:
        pid = project.removeprefix(PROJECT_PREFIX)
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            sweep(engine, project)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free_prefix() -> str:
    """Return the first three numbers of a private network that this machine has no route to yet."""
    taken = set()
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        number = int(line.split()[1], 16)
        taken.add(".".join(str(number >> shift & 255) for shift in (0, 8, 16)))
    start = 100 + os.getpid() % 100
    return next(prefix for third in range(start, 256) if (prefix := f"172.29.{third}") not in taken)
