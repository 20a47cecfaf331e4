"""Print how many mails a second our transport hands over, to postfix's smtp-sink on loopback.

Usage: PYTHONPATH=. .venv/bin/python tests/bench/smtp_speed.py [seconds a run, 3 by default]

The runs at 20 ms go through a proxy that holds back whatever the relay says for that long.
"""

import contextlib
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from workers.mailer import Mailer
from workers.relay_answers import Kind
from workers.relays import Relays
from workers.smtp import RelaySettings

THREADS = (1, 2, 8)


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def sink(*options: str) -> Iterator[int]:
    """A running smtp-sink's port."""
    port = free_port()
    command = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin") or "smtp-sink"
    process = subprocess.Popen([command, "-u", "nobody", *options, f"127.0.0.1:{port}", "100"])
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(5)


def forward(source: socket.socket, target: socket.socket, delay_s: float) -> None:
    """Copy one direction of a connection, each piece `delay_s` late, until it ends."""
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            time.sleep(delay_s)
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def far_away(port: int, delay_s: float) -> Iterator[int]:
    """The port of a proxy in front of `port`, with a round trip of `delay_s`."""

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                relay = socket.create_connection(("127.0.0.1", port))
                for way in ((client, relay, 0.0), (relay, client, delay_s)):
                    threading.Thread(target=forward, args=way, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def wait_for(port: int) -> None:
    """Return once the port takes connections; give up after five seconds."""
    end = time.monotonic() + 5
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def measure(port: int, threads: int, seconds: float) -> tuple[float, float]:
    """Mails a second, and our processor time for each in microseconds."""
    relays = Relays([RelaySettings("sink", "127.0.0.1", port)])
    mailer = Mailer("Bench <bench@example.com>", "Bench", relays)
    counts = [0] * threads
    stop_at = time.monotonic() + seconds

    def send(slot: int) -> None:
        while time.monotonic() < stop_at:
            mail = mailer.render(
                "v" * 22, 1, "someone@example.com", "123456", expires_in_s=600, now=time.time()
            )
            if mailer.deliver(mail).kind is Kind.SENT:
                counts[slot] += 1

    began, cpu = time.monotonic(), time.process_time()
    workers = [threading.Thread(target=send, args=(slot,)) for slot in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    relays.close()
    return sum(counts) / took, 1e6 * cpu / max(1, sum(counts))


def main() -> None:
    """Measure each kind of relay with each number of threads."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    for words, options in (("pipelining", ()), ("no pipelining", ("-p",))):
        with sink(*options) as port:
            for threads in THREADS:
                rate, cost = measure(port, threads, seconds)
                print(f"{words:14} {threads} threads: {rate:7.0f} mails/s, {cost:4.0f} us of processor each")
            with far_away(port, 0.02) as distant:
                rate, _ = measure(distant, 8, seconds)
                print(f"{words:14} 8 threads, 20 ms a reply: {rate:4.0f} mails/s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory: {peak:.0f} MB")


if __name__ == "__main__":
    main()
