"""Faults of the network, inside one container's own: packets dropped by address, delayed or lost by the link."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.deployment.engine import Container, EngineError

TIMEOUT_S = 10.0
SLOW_PACKETS = Path(__file__).with_name("slow_packets.py")
QUEUE = 1


class ContainerNetwork:
    """The network of one running container, which `heal` sets right again."""

    def __init__(self, container: Container) -> None:
        """Look up the container's process once. Raises EngineError where it does not run."""
        self._pid = container.pid
        self._delayed: set[str] = set()
        self._programs: list[subprocess.Popen[bytes]] = []
        if not self._pid:
            raise EngineError(f"{container.service} does not run, so its network cannot be reached.")

    def drop_everything(self) -> None:
        """Drop every packet in both directions but those inside the container."""
        self._run("iptables", "-I", "INPUT", "!", "-i", "lo", "-j", "DROP")
        self._run("iptables", "-I", "OUTPUT", "!", "-o", "lo", "-j", "DROP")

    def drop_between(self, addresses: Iterable[str]) -> None:
        """Drop the packets from and to some addresses."""
        for address in addresses:
            self._run("iptables", "-I", "INPUT", "-s", address, "-j", "DROP")
            self._run("iptables", "-I", "OUTPUT", "-d", address, "-j", "DROP")

    def degrade(self, prefix: str, delay_ms: int, loss_percent: float) -> str:
        """Delay and lose packets that leave by the link to the network whose addresses begin with `prefix`.

        Return what does it: the kernel's netem, or where that is missing a program of ours.
        """
        link = self._link(prefix)
        try:
            self._run(
                "tc", "qdisc", "add", "dev", link, "root", "netem",
                "delay", f"{delay_ms}ms", "loss", f"{loss_percent}%",
            )  # fmt: skip
        except EngineError:
            self._hold_back(link, delay_ms, loss_percent)
            return SLOW_PACKETS.name
        self._delayed.add(link)
        return "netem"

    def heal(self) -> None:
        """Undo whatever was done here."""
        for program in self._programs:
            program.communicate(timeout=TIMEOUT_S)  # the end of its input is the program's end
        self._programs.clear()
        for chain in ("INPUT", "OUTPUT"):
            self._run("iptables", "-F", chain)
        for link in self._delayed:
            self._run("tc", "qdisc", "del", "dev", link, "root")
        self._delayed.clear()

    def _hold_back(self, link: str, delay_ms: int, loss_percent: float) -> None:
        words = [sys.executable, str(SLOW_PACKETS), str(QUEUE), str(delay_ms), str(loss_percent)]
        program = subprocess.Popen(
            self._inside(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._programs.append(program)
        assert program.stdout is not None
        if program.stdout.readline() != b"ready\n":
            raise EngineError(f"{SLOW_PACKETS.name} did not start: can this kernel queue packets (NFQUEUE)?")
        # Packets pass where nobody holds them back.
        self._run(
            "iptables",
            "-I",
            "OUTPUT",
            "-o",
            link,
            "-j",
            "NFQUEUE",
            "--queue-num",
            str(QUEUE),
            "--queue-bypass",
        )

    def _link(self, prefix: str) -> str:
        for line in self._run("ip", "-o", "-4", "addr").splitlines():
            words = line.split()
            if words[3].startswith(f"{prefix}."):
                return words[1]
        raise EngineError(f"The container has no address that begins with {prefix}.")

    def _run(self, *words: str) -> str:
        command = self._inside(words)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
        if done.returncode:
            raise EngineError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
        return done.stdout

    def _inside(self, words: Sequence[str]) -> list[str]:
        return ["nsenter", "-t", str(self._pid), "-n", *words]
