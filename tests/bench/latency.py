"""From the POST to the final dot at the relay, at a quiet rate, beside stock Flask and RQ."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sentinel import wait_for
from tests.bench.peers.surroundings import QUEUE
from tests.bench.processes import BenchError, Child
from tests.bench.sinks import recording_sink
from tests.bench.sizes import Sizes
from tests.bench.stage import Testbed, say
from tests.bench.webs import BARE, OURS, web

CLIENTS = 4
WARM_UP_MAILS = 20
LAST_MAIL_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class Latency:
    """One web with its worker."""

    name: str
    mails: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


def measure_latency(testbed: Testbed, sizes: Sizes) -> list[Latency]:
    """Measure everybody."""
    found = [
        _once(
            testbed, sizes, "Verifier", OURS, lambda port: (testbed.our_command("worker"), testbed.ours(port))
        )
    ]
    if testbed.peers_python:
        for name, kind in (
            ("Flask + RQ, SimpleWorker", "rq.SimpleWorker"),
            ("Flask + RQ, forking worker", "rq.Worker"),
        ):
            found.append(_once(testbed, sizes, name, BARE, _rq_worker(testbed, kind)))
    return found


def _rq_worker(testbed: Testbed, kind: str) -> Callable[[int], tuple[list[str], dict[str, str]]]:
    words = ("rq.cli", "worker", "-c", "tests.bench.peers.rq_settings", "-w", kind, "--quiet", QUEUE)
    return lambda port: (testbed.peer_command(*words), testbed.peers(port))


def _once(
    testbed: Testbed,
    sizes: Sizes,
    name: str,
    whose: str,
    worker: Callable[[int], tuple[list[str], dict[str, str]]],
) -> Latency:
    testbed.flush()
    with recording_sink(testbed.room) as sink, web(testbed, whose, sink.port) as port:
        command, environment = worker(sink.port)
        with Child("latency-worker", command, environment, testbed.room) as child:
            posted = Posting(port, sizes).run()
            if not wait_for(lambda: len(sink.arrivals()) >= len(posted), LAST_MAIL_TIMEOUT_S):
                raise BenchError(
                    f"{name}: {len(sink.arrivals())} of {len(posted)} mails came:\n{child.last_words()}"
                )
            arrived = sink.arrivals()
    # In the order of the POSTs; the first ones still find cold caches and unopened connections.
    taken = [arrived[address] - at for address, at in sorted(posted.items())][WARM_UP_MAILS:]
    result = _summary(name, taken)
    say(f"{name}: p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms")
    return result


def _summary(name: str, taken_s: list[float]) -> Latency:
    taken = sorted(1000 * each for each in taken_s)
    return Latency(name, len(taken), taken[len(taken) // 2], taken[len(taken) * 99 // 100], taken[-1])


class Posting:
    """A few clients with kept-alive connections that post in turn, on a fixed schedule."""

    def __init__(self, port: int, sizes: Sizes) -> None:
        self._port = port
        self._interval_s = 1 / sizes.latency_rate
        self._mails = WARM_UP_MAILS + max(10, int(sizes.latency_s * sizes.latency_rate))
        self._posted: dict[str, float] = {}
        self._failures: list[str] = []

    def run(self) -> dict[str, float]:
        """Post all; give when each address was posted. Raises BenchError where one is refused."""
        starts_at = time.monotonic() + 2.0  # until the worker waits for jobs
        threads = [threading.Thread(target=self._post_all, args=(n, starts_at)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failures:
            raise BenchError(f"{len(self._failures)} POSTs failed, the first with {self._failures[0]}")
        return self._posted

    def _post_all(self, client: int, starts_at: float) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        for number in range(client, self._mails, CLIENTS):
            time.sleep(max(0.0, starts_at + number * self._interval_s - time.monotonic()))
            try:
                self._post(connection, f"user{number:06d}@example.org")
            except (OSError, http.client.HTTPException) as error:
                self._failures.append(repr(error))
                return
        connection.close()

    def _post(self, connection: http.client.HTTPConnection, address: str) -> None:
        body = json.dumps({"to": address})
        self._posted[address] = time.monotonic()
        connection.request("POST", "/v1/verifications", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        if response.status != 201:
            self._failures.append(f"status {response.status}")
