"""With requirements.txt alone, as in the image: the service works, and what needs more says so in a sentence."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from verifier.domain.keys import new_secret

ROOT = Path(__file__).parents[3]
# Puts away what only the development requirements bring, before anything else is imported.
HIDES = """
import importlib.metadata, sys
HIDDEN = {names!r}
class Hides:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hides())
"""

Flask = Callable[..., "subprocess.CompletedProcess[str]"]


def _distributions(file: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", (ROOT / file).read_text(), re.MULTILINE))


@pytest.fixture
def flask(tmp_path: Path) -> Flask:
    """Run a command of `flask` in a process that does not find the development requirements."""
    only_development = _distributions("requirements-dev.txt") - _distributions("requirements.txt")
    assert {"aiosmtpd", "psutil", "pytest"} <= only_development
    modules = {name.replace("-", "_") for name in only_development} | {"yaml"}
    (tmp_path / "sitecustomize.py").write_text(HIDES.format(names=modules))

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", str(ROOT / "wsgi.py"), *words],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path}:{ROOT}", **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


@pytest.mark.parametrize(("command", "missing"), [("run", "aiosmtpd"), ("drill", "psutil")])
def test_a_developers_command_says_what_it_needs(flask: Flask, command: str, missing: str) -> None:
    """One sentence that names requirements-dev.txt, and no traceback."""
    ended = flask(command)
    assert ended.returncode
    assert missing in ended.stderr
    assert "requirements-dev.txt" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_commands_of_a_deployment_are_there(flask: Flask) -> None:
    """The list of commands, and those that operators call."""
    assert "worker" in flask("--help").stdout
    for command in ("worker", "sentinel", "deliveries"):
        assert flask(command, "--help").returncode == 0, command


def test_flask_run_works_where_the_sentinels_are_named(flask: Flask) -> None:
    """It gets as far as the port, which is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = flask(
            "run",
            "--port",
            port,
            VERIFIER_SENTINELS="127.0.0.1:1",
            VERIFIER_SECRET_KEYS=f"k1:{new_secret()}",
        )
    assert "already in use" in ended.stderr
    assert "Traceback" not in ended.stderr
