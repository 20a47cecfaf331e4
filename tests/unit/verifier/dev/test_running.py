"""What a second terminal finds of a `flask run`, and when it finds nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from verifier.dev.running import CHOICE, WhichRun, adopt, running

ROOT = Path(__file__).parents[4]
RUN = """
import os, sys
from verifier.dev.running import publish
publish(os.environ, f"http://127.0.0.1:{sys.argv[1]}", int(sys.argv[1]))
print("published", flush=True)
sys.stdin.read()
"""


@contextmanager
def _run(directory: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Have a process publish that it serves on a port, until it is told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(port)],
        cwd=ROOT,
        env={
            "XDG_RUNTIME_DIR": str(directory),
            "VERIFIER_SENTINELS": f"127.0.0.1:{port}1",
            "VERIFIER_REDIS_PASSWORD": "hunter2",
            "VERIFIER_MAIL_PASSWORD": "of the relay",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "published\n"
        yield process
        if process.stdin is not None:
            process.stdin.close()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of the second terminal."""
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


def test_a_run_is_found_as_long_as_it_is_on(environ: dict[str, str], tmp_path: Path) -> None:
    """By its addresses and logins, in a file for nobody else; it ends with the run."""
    with _run(tmp_path, 8001):
        [file] = (tmp_path / "verifier-runs").iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        assert "of the relay" not in file.read_text()
        assert "http://127.0.0.1:8001" in adopt(environ, tmp_path / ".env")
        assert environ["VERIFIER_SENTINELS"] == "127.0.0.1:80011"
        assert environ["VERIFIER_REDIS_PASSWORD"] == "hunter2"
    assert not file.exists()


def test_a_run_that_was_killed_is_not_found(environ: dict[str, str], tmp_path: Path) -> None:
    """Its file is removed by whoever looks next."""
    with _run(tmp_path, 8001) as process:
        process.kill()
        process.wait()
        assert list((tmp_path / "verifier-runs").iterdir()) != []
        assert adopt(environ, tmp_path / ".env") == ""
        assert list((tmp_path / "verifier-runs").iterdir()) == []
    assert "VERIFIER_SENTINELS" not in environ


def test_of_several_runs_one_is_chosen(environ: dict[str, str], tmp_path: Path) -> None:
    """The sentence names them all, and how to choose."""
    with _run(tmp_path, 8001), _run(tmp_path, 8002) as second:
        with pytest.raises(WhichRun, match=r"8001.*8002.*VERIFIER_RUN="):
            adopt(environ, tmp_path / ".env")
        for choice in ("8002", str(second.pid)):
            assert "8002" in adopt(environ | {CHOICE: choice}, tmp_path / ".env")
        with pytest.raises(WhichRun, match="VERIFIER_RUN=8003 is neither"):
            adopt(environ | {CHOICE: "8003"}, tmp_path / ".env")


@pytest.mark.parametrize("where", ["VERIFIER_SENTINELS", "VERIFIER_SENTINELS_FILE", ".env"])
def test_named_sentinels_go_first(environ: dict[str, str], tmp_path: Path, where: str) -> None:
    """Wherever they are named: a deployment never looks for runs."""
    if where == ".env":
        (tmp_path / ".env").write_text("VERIFIER_SENTINELS=a:1\n")
    else:
        environ[where] = "a:1"
    before = dict(environ)
    with _run(tmp_path, 8001):
        assert adopt(environ, tmp_path / ".env") == ""
    assert environ == before


def test_files_that_others_could_write_are_not_believed(environ: dict[str, str], tmp_path: Path) -> None:
    """They might lead to a Redis of theirs."""
    with _run(tmp_path, 8001):
        (tmp_path / "verifier-runs").chmod(0o777)
        assert list(running(environ)) == []
        (tmp_path / "verifier-runs").chmod(0o700)
        assert len(list(running(environ))) == 1
