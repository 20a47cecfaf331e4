"""The embedded topology's directories."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from sentinel.local.directory import PREFIX, LocalDirectory, remove_abandoned


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for temporary directories of our own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_temporary_directory_goes_on_release(parent: Path) -> None:
    """Nothing is left of a temporary directory, and only we could read it."""
    directory = LocalDirectory(None)
    assert directory.path.parent == parent
    assert directory.path.stat().st_mode & 0o777 == 0o700
    directory.release()
    assert list(parent.iterdir()) == []


def test_named_directory_stays(tmp_path: Path) -> None:
    """A named directory is made where needed, and kept."""
    LocalDirectory(tmp_path / "a" / "b").release()
    assert (tmp_path / "a" / "b").is_dir()


def test_held_directory_is_left_alone(parent: Path) -> None:
    """However old it is, the directory of a living owner stays."""
    directory = LocalDirectory(None)
    os.utime(directory.path, (0, 0))
    remove_abandoned(parent)
    assert directory.path.exists()
    directory.release()


def test_abandoned_directory_is_removed_once_it_is_old(parent: Path) -> None:
    """A directory nobody holds goes, unless it is so young that its owner may just be about to lock it."""
    old, young, foreign = (parent / name for name in (f"{PREFIX}old", f"{PREFIX}young", "foreign"))
    for directory in (old, young, foreign):
        directory.mkdir()
        (directory / "data").touch()
    os.utime(old, (0, 0))
    os.utime(foreign, (0, 0))
    remove_abandoned(parent)
    assert not old.exists()
    assert young.exists()
    assert foreign.exists()
