"""A process's wall clock is moved while it runs, and with it those of the processes that it forked."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from sentinel import wait_for
from verifier.drill.rig.process import RigProcess
from verifier.drill.rig.service import ADJUSTABLE_CLOCK, Service
from verifier.drill.rig.systems import verifier

PROGRAM = """
import os, time
os.fork()
while True:
    os.write(1, f"{os.getpid()} {int(time.time())}\\n".encode())
    time.sleep(0.05)
"""


def test_clock_of_a_process_and_of_its_fork_is_moved(tmp_path: Path) -> None:
    """Both say another time as soon as they are told to, and the machine's again afterwards."""
    environment = {**os.environ, "PYTHONPATH": str(ADJUSTABLE_CLOCK), "DRILL_CLOCKS": str(tmp_path)}
    with (
        Service(verifier(), {}, tmp_path) as service,
        RigProcess("clock", [sys.executable, "-c", PROGRAM], environment, tmp_path) as process,
    ):
        assert wait_for(lambda: _shifts(process) == {0}, 30)
        service.shift_clock(process, -540.0)
        assert wait_for(lambda: _shifts(process) == {-540}, 30)
        service.shift_clock(process, 0.0)
        assert wait_for(lambda: _shifts(process) == {0}, 30)


def _shifts(process: RigProcess) -> set[int]:
    """Return by how many seconds the newest lines differ from now, to the nearest ten; all pids must agree."""
    newest = {
        pid: int(said) for pid, said in (line.split() for line in process.output(200).splitlines()[1:-1])
    }
    shifts = {round((said - time.time()) / 10) * 10 for said in newest.values()}
    return shifts if len(newest) == 2 else set()
