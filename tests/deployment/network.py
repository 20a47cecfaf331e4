"""Faults of the network, inside one container's own: packets dropped by address, delayed or lost by the link."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

from tests.deployment.engine import Container, EngineError

TIMEOUT_S = 10.0


class ContainerNetwork:
    """The network of one running container, which `heal` sets right again."""

    def __init__(self, container: Container) -> None:
        """Look up the container's process once. Raises EngineError where it does not run."""
        self._pid = container.pid
        self._delayed: set[str] = set()
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

    def degrade(self, prefix: str, delay_ms: int, loss_percent: float) -> None:
        """Delay and lose packets that leave by the link to the network whose addresses begin with `prefix`."""
        link = self._link(prefix)
        self._run(
            "tc", "qdisc", "add", "dev", link, "root", "netem",
            "delay", f"{delay_ms}ms", "loss", f"{loss_percent}%",
        )  # fmt: skip
        self._delayed.add(link)

    def heal(self) -> None:
        """Undo whatever was done here."""
        for chain in ("INPUT", "OUTPUT"):
            self._run("iptables", "-F", chain)
        for link in self._delayed:
            self._run("tc", "qdisc", "del", "dev", link, "root")
        self._delayed.clear()

    def _link(self, prefix: str) -> str:
        for line in self._run("ip", "-o", "-4", "addr").splitlines():
            words = line.split()
            if words[3].startswith(f"{prefix}."):
                return words[1]
        raise EngineError(f"The container has no address that begins with {prefix}.")

    def _run(self, *words: str) -> str:
        command = ["nsenter", "-t", str(self._pid), "-n", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
        if done.returncode:
            raise EngineError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
        return done.stdout
