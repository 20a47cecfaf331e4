"""Bad states made really, and what /metrics says of them; processes that are counted as one service."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from redis import Redis

from sentinel import LocalTopology, PortReservation, wait_for
from tests.integration.workers.relay_server import EVERYTHING, FakeRelay, Say
from tests.support.apps import Scrape
from tests.support.sink import MailSink
from tests.support.stores import Store
from tests.support.topologies import FAILOVER_WITHIN_S
from tests.support.web import KEYS, Web
from tests.support.workers import RunningWorker
from tests.unit.test_alerts import ALERTS, RULES, metrics_named
from verifier.drill.rig.process import RigProcess
from verifier.drill.rig.systems import PROJECT, bare_environment
from verifier.settings import MailRelay, Settings

WITHIN_S = 60


@pytest.fixture(scope="module")
def web(topology: LocalTopology, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """gunicorn with two processes, for all tests here."""
    topology.heal()
    with Web(topology, tmp_path_factory.mktemp("web")) as running:
        running.wait_until_it_answers()
        yield running


def _ask(port: int, method: str = "GET", path: str = "/metrics", **sent: str) -> tuple[int, str]:
    """Ask over a connection of its own, so that any of the processes may answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(
            method, path, json.dumps(sent) if sent else None, {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def _scrape(port: int) -> Scrape:
    status, text = _ask(port)
    assert status == 200
    return Scrape(text)


def _accepted(scrape: Scrape) -> float:
    return scrape.sum("verifier_submissions_total", result="accepted")


def _submit(web: Web, how_many: int) -> None:
    for number in range(how_many):
        status, text = _ask(web.port, "POST", "/v1/verifications", to=f"ann-{number}@example.com")
        assert status == 201, text


def _firing(*scrapes: tuple[str, Scrape]) -> set[str]:
    """Return which alerts fire where all stays for ten minutes as these services said, by Prometheus's own word."""
    series = [
        {"series": _series(job, name, labels), "values": f"{value:f}x40"}
        for job, scrape in scrapes
        for name, labels, value in scrape.samples
    ] + [{"series": _series(job, "up", {}), "values": "1x40"} for job, _ in scrapes]
    names = [rule["alert"] for rule in RULES]
    found = set()
    for name in names:
        count = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) > 0'
        test = {
            "interval": "15s",
            "input_series": series,
            "promql_expr_test": [{"expr": count, "eval_time": "10m"}],
        }
        tests = {"rule_files": [str(ALERTS)], "evaluation_interval": "15s", "tests": [test]}
        done = subprocess.run(
            ["promtool", "test", "rules", "/dev/stdin"],
            input=yaml.safe_dump(tests),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or "exp: nil" in done.stderr, done.stderr
        if done.returncode:
            found.add(name)
    return found


def _series(job: str, name: str, labels: Mapping[str, str]) -> str:
    named = ",".join(f"{label}={json.dumps(value)}" for label, value in {"job": job, **labels}.items())
    return f"{name}{{{named}}}"


def test_all_processes_of_gunicorn_are_counted_as_one(web: Web, master: Redis) -> None:
    """Whichever answers; also what a killed one had counted, and those that a reload replaced."""
    before = _accepted(_scrape(web.port))
    _submit(web, 30)
    assert {_accepted(_scrape(web.port)) - before for _ in range(10)} == {30}
    first, second = web.children()
    os.kill(first, signal.SIGKILL)
    assert wait_for(lambda: len(web.children()) == 2 and first not in web.children(), WITHIN_S)
    _submit(web, 5)
    web.reload()
    assert wait_for(lambda: not {first, second} & set(web.children()) and web.answers(), WITHIN_S)
    _submit(web, 5)
    found = {_accepted(_scrape(web.port)) - before for _ in range(10)}
    assert found == {40}, web.output()
    assert _scrape(web.port).sum("verifier_requests_total", route="/v1/verifications", status="2xx") >= 40


def test_a_mail_owed_without_a_worker(web: Web, master: Redis) -> None:
    """Is seen though Redis answers."""
    _submit(web, 1)

    def found() -> Scrape:
        return _scrape(web.port)

    assert wait_for(lambda: found().sum("verifier_owed_mails") == 1, WITHIN_S)
    scrape = found()
    assert scrape.values("verifier_workers_alive") == [0]
    assert scrape.values("verifier_redis_reachable") == [1]
    assert scrape.sum("verifier_redis_memory_bytes") > 0
    assert scrape.sum("verifier_redis_replicas") >= scrape.sum("verifier_redis_replicas_required") == 1
    if shutil.which("promtool"):
        assert _firing(("verifier-web", scrape)) == {"VerifierNoWorker"}


def test_redis_that_can_not_be_reached(web: Web, topology: LocalTopology, master: Redis) -> None:
    """The scrape is answered all the same, with what the processes counted, and claims nothing else."""
    before = _accepted(_scrape(web.port))
    try:
        for node in topology.nodes:
            node.kill()
        assert wait_for(lambda: _scrape(web.port).values("verifier_redis_reachable") == [0], WITHIN_S)
        scrape = _scrape(web.port)
        assert _accepted(scrape) == before
        assert not scrape.names() & {"verifier_owed_mails", "verifier_workers_alive", "verifier_dead_letters"}
        if shutil.which("promtool"):
            assert "VerifierRedisUnreachable" in _firing(("verifier-web", scrape))
    finally:
        topology.heal()
    assert wait_for(lambda: _scrape(web.port).values("verifier_redis_reachable") == [1], FAILOVER_WITHIN_S)


def test_a_master_that_moved(web: Web, topology: LocalTopology, master: Redis) -> None:
    """By the sentinels' word and by the processes that followed; a request that met it has waited."""
    before = _scrape(web.port)
    topology.current_master().kill()
    try:
        # It is answered by the new master, within its deadline or at a later try.
        assert wait_for(
            lambda: _ask(web.port, "POST", "/v1/verifications", to="bob@example.com")[0] == 201,
            FAILOVER_WITHIN_S,
        )
        assert wait_for(
            lambda: (
                _scrape(web.port).sum("verifier_master_epoch") > before.sum("verifier_master_epoch")
                and _scrape(web.port).sum("verifier_master_moves_total")
                > before.sum("verifier_master_moves_total")
            ),
            WITHIN_S,
        )
        after = _scrape(web.port)
        waits = "verifier_master_wait_seconds_count"
        assert after.sum(waits) > before.sum(waits)
        failed = "verifier_redis_connections_total"
        assert after.sum(failed, result="failed") > before.sum(failed, result="failed")
    finally:
        topology.heal()


def test_a_relay_that_refuses_our_login(mailing: Settings, store: Store, web: Web) -> None:
    """Told from one that is down: with its code, and as a refusal of ourselves."""
    no = Say("535 5.7.8 authentication failed")
    with FakeRelay({"auth": [no] * 100}, offers=(*EVERYTHING, "AUTH PLAIN")) as relay:
        refusing = MailRelay("127.0.0.1", relay.port, "us", "wrong")
        settings = replace(mailing, mail=replace(mailing.mail, relays=(refusing,)))
        with RunningWorker(settings) as running:
            page = running.container.metrics_page
            name = f"127.0.0.1:{relay.port}"

            def found() -> Scrape:
                return Scrape(page.render("")[0].decode())

            store.accepted()
            running.wait(lambda: found().values("verifier_relay_refuses_us", relay=name) == [1.0], WITHIN_S)
            running.wait(lambda: found().sum("verifier_workers_in_trouble") == 1, WITHIN_S)
            scrape = found()
            assert scrape.sum("verifier_relay_replies_total", relay=name, reply="535") >= 1
            assert scrape.sum("verifier_deliveries_total", state="deferred") >= 1
            assert scrape.sum("verifier_deliveries_total", state="sent") == 0
            if shutil.which("promtool"):
                firing = _firing(("verifier-worker", scrape), ("verifier-web", _scrape(web.port)))
                assert firing == {
                    "VerifierRelayRefusesLogin",
                    "VerifierAllRelaysFail",
                    "VerifierWorkerInTrouble",
                }


@pytest.fixture
def workers_port() -> int:
    """Where the metrics of `workers` are."""
    return _port()


@pytest.fixture
def workers(
    topology: LocalTopology, sink: MailSink, master: Redis, tmp_path: Path, workers_port: int
) -> Iterator[RigProcess]:
    """`flask worker --processes 2`."""
    environment = {
        **bare_environment(),
        "PYTHONPATH": str(PROJECT),
        **topology.environment(),
        "VERIFIER_SECRET_KEYS": KEYS,
        "VERIFIER_MAIL_PORT": str(sink.port),
        "VERIFIER_WORKER_METRICS_PORT": str(workers_port),
        "RUNTIME_DIRECTORY": str(tmp_path),
    }
    command = [sys.executable, "-m", "flask", "--app", str(PROJECT / "wsgi.py"), "worker", "--processes", "2"]
    with RigProcess("workers", command, environment, tmp_path) as running:
        yield running


def _port() -> int:
    ports = PortReservation()
    port = ports.reserve().port
    ports.release()
    return port


def test_all_processes_of_a_worker_are_counted_as_one(
    web: Web, workers: RigProcess, workers_port: int, sink: MailSink, tmp_path: Path
) -> None:
    """At one port, also after one of them was killed; and together with web they show all that alerts and dashboard name."""

    def sent() -> float | None:
        with suppress(OSError, http.client.HTTPException):
            return _scrape(workers_port).sum("verifier_deliveries_total", state="sent")
        return None

    assert wait_for(lambda: sent() == 0, WITHIN_S), workers.output()
    _submit(web, 30)
    assert wait_for(lambda: sent() == 30, WITHIN_S), workers.output()
    assert {sent() for _ in range(5)} == {30}
    assert wait_for(lambda: _scrape(web.port).sum("verifier_workers_alive") == 2, WITHIN_S)
    shown = _scrape(web.port).names() | _scrape(workers_port).names()
    # No canary is sent here: its mails would be counted among these.
    assert {name for name in metrics_named() - shown if "_canary_" not in name} == {"up"}
    victim = workers.children()[0]
    os.kill(victim, signal.SIGKILL)
    assert wait_for(lambda: len(workers.children()) == 2 and victim not in workers.children(), WITHIN_S)
    assert sent() == 30
    _submit(web, 3)
    assert wait_for(lambda: sent() == 33, WITHIN_S)
    assert _scrape(workers_port).sum("verifier_relay_replies_total", reply="2xx") == 33
    if shutil.which("promtool"):
        scrapes = ("verifier-worker", _scrape(workers_port)), ("verifier-web", _scrape(web.port))
        assert _firing(*scrapes) <= {"VerifierHeartbeatOld"}
    workers.terminate()
    assert wait_for(lambda: workers.exit_code == 0, WITHIN_S), workers.output()
    assert not list(tmp_path.glob("verifier-metrics-*"))
