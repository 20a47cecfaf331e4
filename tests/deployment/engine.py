"""A container engine: docker or podman, by its command line, and the containers of one compose project."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND_TIMEOUT_S = 120.0
BUILD_TIMEOUT_S = 900.0


class EngineError(Exception):
    """A command of the engine failed; the sentence holds what it said."""


@dataclass(frozen=True)
class Engine:
    """How commands are called: the engine's own, and compose's with it."""

    command: str
    """`docker` or `podman`."""
    compose: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        *words: str,
        check: bool = True,
        timeout_s: float = COMMAND_TIMEOUT_S,
        cwd: Path | None = None,
    ) -> str:
        """Run a command of the engine and return its output.

        Raises:
            EngineError: it failed, or took longer than `timeout_s` seconds.
        """
        return self._call([self.command, *words], check=check, timeout_s=timeout_s, cwd=cwd)

    def run_compose(self, *words: str, cwd: Path, check: bool = True) -> str:
        """Run a command of compose in a directory with a compose file; raises as `run` does."""
        return self._call([*self.compose, *words], check=check, timeout_s=BUILD_TIMEOUT_S, cwd=cwd)

    def _call(self, words: Sequence[str], *, check: bool, timeout_s: float, cwd: Path | None) -> str:
        try:
            done = subprocess.run(
                words,
                cwd=cwd,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
                # Ctrl-C is for the test, which takes everything down with such commands.
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise EngineError(f"`{' '.join(words)}` took longer than {timeout_s:.0f} s.") from None
        if check and done.returncode:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise EngineError(f"`{' '.join(words)}` failed ({done.returncode}):\n{said}")
        return done.stdout

    def has_image(self, name: str) -> bool:
        """Return whether an image is here already."""
        return bool(self.run("images", "-q", name, check=False).strip())


@dataclass(frozen=True)
class Container:
    """One container of the project."""

    engine: Engine
    service: str
    id: str

    def do(self, verb: str, *options: str) -> None:
        """Have the engine do something with it: kill, stop, pause, unpause, start, restart ..."""
        self.engine.run(verb, *options, self.id)

    def inspect(self) -> dict[str, Any]:
        """Return what the engine knows of it."""
        found = json.loads(self.engine.run("inspect", self.id))[0]
        assert isinstance(found, dict)
        return found

    @property
    def pid(self) -> int:
        """The process id, on this machine, of its first process; 0 where it does not run."""
        return int(self.inspect()["State"]["Pid"])

    def address(self, network: str) -> str:
        """Return its address on a network of the project, whose full name ends with `network`."""
        networks = self.inspect()["NetworkSettings"]["Networks"]
        return next(str(each["IPAddress"]) for name, each in networks.items() if name.endswith(f"_{network}"))

    def log(self, lines: int) -> str:
        """Return the last lines of its log."""
        done = subprocess.run(
            [self.engine.command, "logs", "--tail", str(lines), self.id],
            env={**os.environ, **self.engine.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT_S,
        )
        return done.stdout + done.stderr
