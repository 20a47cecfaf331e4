"""What the health check of a worker's container says of a pulse."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from workers.health.__main__ import complaints, main
from workers.health.pulse import Pulse, PulseFile, own_directory, pulses_in

NOW = 1000.0
WELL = Pulse(7, claiming_at=NOW - 1, maintaining_at=NOW - 1, heard_at=NOW - 2, waiting=False)


@pytest.mark.parametrize(
    ("pulse", "says"),
    [
        (WELL, ""),
        (Pulse(7, NOW - 1, NOW - 1, 0.0, waiting=True), ""),
        (Pulse(7, NOW - 1, NOW - 1, NOW - 500, waiting=True), ""),
        (Pulse(7, NOW - 1, NOW - 1, NOW - 31, waiting=False), "no heartbeat for 31 s"),
        (Pulse(7, NOW - 31, NOW - 1, NOW - 2, waiting=False), "has not moved for 31 s"),
        (Pulse(7, NOW - 1, NOW - 31, NOW - 2, waiting=True), "has not moved for 31 s"),
    ],
)
def test_a_worker_is_judged_by_its_threads_and_its_heartbeat(pulse: Pulse, says: str) -> None:
    """One that waits for Redis is well; one that stands still, or that Redis does not hear, is not."""
    found = complaints([pulse], NOW)
    assert (says in found[0]) if says else found == []


def test_one_of_several_is_enough_to_complain_of() -> None:
    """Each worker of `flask worker --processes N` has its own pulse."""
    still = Pulse(8, NOW - 99, NOW - 99, NOW - 99, waiting=False)
    assert len(complaints([WELL, still], NOW)) == 1
    assert "pid 8" in complaints([WELL, still], NOW)[0]


def test_no_worker_is_a_complaint() -> None:
    """An empty directory is nobody's health."""
    assert "No worker runs here" in complaints([], NOW)[0]


def test_the_file_of_a_dead_worker_counts_no_more(tmp_path: Path) -> None:
    """It is removed, and that of this process stays."""
    (tmp_path / "worker-4194305.json").write_text(
        '{"pid": 4194305, "claiming_at": 1, "maintaining_at": 1, "heard_at": 1, "waiting": false}'
    )
    PulseFile(tmp_path).write(waiting=False)
    assert [each.pid for each in pulses_in(tmp_path)] == [os.getpid()]
    assert len(list(tmp_path.iterdir())) == 1


def test_only_the_claiming_thread_moves_the_claiming_time(tmp_path: Path) -> None:
    """Another thread that retries its command must not hide that the claiming one stands still."""
    now = [1.0]
    pulse = PulseFile(tmp_path, clock=lambda: now[0])
    pulse.watch_this_thread()
    now[0] = 50.0
    other = threading.Thread(target=pulse.moves)
    other.start()
    other.join()
    pulse.write(waiting=False)
    assert next(pulses_in(tmp_path)).claiming_at == 1.0
    pulse.moves()
    pulse.write(waiting=False)
    assert next(pulses_in(tmp_path)).claiming_at == 50.0
    pulse.remove()
    assert list(pulses_in(tmp_path)) == []


def test_a_directory_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link laid there beforehand would have us write where its maker wants."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"verifier-workers-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="somebody else"):
        own_directory()


def test_an_unreadable_pulse_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, and red."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    (tmp_path / "worker-1.json").write_text("half a li")
    assert main() == 1
    assert "cannot be read" in capsys.readouterr().out
