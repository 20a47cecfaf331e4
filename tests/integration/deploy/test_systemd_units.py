"""The units of deploy/systemd: systemd's own judgement, their commands on loopback, and all of it under a real systemd.

On loopback each service's ExecStart runs as it stands, with the environment that systemd would make of the unit and the
example files: only paths, addresses and ports are others. So commands, options, secrets, readiness and the time of
stopping are proven without systemd; users, hardening and restarts are left to the last test, which wants one.
"""

from __future__ import annotations

import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sentinel import PortReservation, wait_for
from sentinel.local.binary import find_redis_server
from tests.support.certificates import needs_tls
from tests.support.proxy import needs_nginx
from tests.support.sink import MailSink
from tests.support.topologies import FAILOVER_WITHIN_S
from tests.support.units import (
    UNITS,
    Unit,
    command_of,
    environment_of,
    read_environment_file,
    read_unit,
    with_specifiers,
)

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "sentinel" / "config"
# systemd's own scale: 10 is a service without any hardening.
MOST_EXPOSED = 2.0
START_WITHIN_S = 60

# Has the kernel refuse memory that is both written and run, as MemoryDenyWriteExecute= does; older kernels can't.
DENY_WRITE_EXECUTE = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)


def _systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed (Debian and Ubuntu: apt install systemd).")
    return found


def _installed_copy(directory: Path) -> list[Path]:
    """Copy the units, with this project in place of /opt/verifier and an instance of each template."""
    copies = []
    for source in sorted(UNITS.glob("verifier*.[st]*")):
        name = source.name.replace("@.", "@1.")
        text = source.read_text().replace("/opt/verifier/.venv/bin", str(Path(sys.executable).parent))
        (directory / name).write_text(text.replace("/opt/verifier", str(ROOT)))
        if name != source.name:
            shutil.copy(directory / name, directory / source.name)
        copies.append(directory / name)
    return copies


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """`systemd-analyze verify` knows every setting, and finds every command."""
    analyze = _systemd_analyze()
    checked = subprocess.run(
        [analyze, "verify", *_installed_copy(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_systemd_finds_them_well_hardened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`systemd-analyze security` gives each at most 2.0 of 10, without looking at a running one."""
    analyze = _systemd_analyze()
    if (
        "--offline"
        not in subprocess.run([analyze, "--help"], capture_output=True, text=True, check=True).stdout
    ):
        pytest.skip("This systemd judges running units only (--offline came with version 250).")
    for path in _installed_copy(tmp_path):
        if path.suffix == ".service":
            judged = subprocess.run(
                [analyze, "security", "--offline=yes", "--no-pager", path],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            summary = judged.stdout.strip().splitlines()[-1]
            with capsys.disabled():
                print(summary)
            assert float(summary.partition(": ")[2].split()[0]) <= MOST_EXPOSED, summary


@dataclass
class RunningUnit:
    """A service's command as a process, and what it told systemd."""

    unit: Unit
    process: subprocess.Popen[bytes]
    notices: socket.socket
    told: list[str] = field(default_factory=list)

    def is_ready(self) -> bool:
        """Whether it said READY=1."""
        self.notices.setblocking(False)
        try:
            while True:
                self.told += self.notices.recv(4096).decode().splitlines()
        except BlockingIOError:
            return "READY=1" in self.told

    def stop(self) -> int:
        """End it as systemd does with KillMode=mixed; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(self.unit.seconds("TimeoutStopSec"))


class Host:
    """Runs services on loopback, from what is in deploy/systemd."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.secrets = directory / "secrets"
        self.state = directory / "state"
        self.state.mkdir()
        self._stack = stack
        self._ports = PortReservation()
        stack.callback(self._ports.release)
        subprocess.run(["/bin/sh", CONFIG / "make-secrets.sh", self.secrets], check=True)
        self.nodes = [str(self.port()) for _ in range(3)]
        self.sentinels = [str(self.port()) for _ in range(3)]

    def port(self) -> int:
        """Reserve a free port."""
        return self._ports.reserve().port

    def environment(self, unit: Unit, instance: str, **own: str) -> dict[str, str]:
        """Return what systemd would give the service; `own` is what an administrator writes into its files."""
        specifiers = {"i": instance, "S": str(self.state), "d": str(self.secrets)}
        environment = {"PATH": os.environ["PATH"]} | environment_of(unit, specifiers)
        for line in unit.all("EnvironmentFile"):
            if not line.startswith("-"):
                environment |= read_environment_file(UNITS / Path(line).name)
        return environment | own

    def start(self, unit: Unit, instance: str = "", **own: str) -> RunningUnit:
        """Start a service's command; its output goes into a file of its own."""
        for name in unit.all("StateDirectory"):
            (self.state / with_specifiers(name, {"i": instance})).mkdir(exist_ok=True)
        notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # In the abstract name space, which is no file: the directories of tests have long names.
        name = f"verifier-{os.getpid()}-{unit.name.partition('.')[0]}-{instance}"
        notices.bind(f"\0{name}")
        environment = self.environment(unit, instance, **own)
        if unit.one("Type") == "notify":
            environment["NOTIFY_SOCKET"] = f"@{name}"
        command = [
            word.replace("/opt/verifier/.venv/bin", str(Path(sys.executable).parent))
            for word in command_of(unit)
        ]
        command = [word.replace("/opt/verifier", str(ROOT)) for word in command]
        command = [sys.executable, "-c", DENY_WRITE_EXECUTE, *command]
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._stack.callback(_end, process)
        self._stack.callback(notices.close)
        return RunningUnit(unit, process, notices)

    def logs(self) -> str:
        """Return the ends of all logs."""
        return "\n".join(f"{path.name}:\n{path.read_text()[-1500:]}" for path in self.directory.glob("*.log"))


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host on loopback; whatever it runs ends with the test."""
    with ExitStack() as stack:
        yield Host(tmp_path, stack)


def _post(port: int, path: str, body: dict[str, str]) -> dict[str, object]:
    web = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(web):
        web.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer: dict[str, object] = json.load(web.getresponse())
    return answer


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30):
            return True
    except OSError:
        return False


@pytest.mark.chaos
@pytest.mark.parametrize("tls", ["no", pytest.param("yes", marks=needs_tls)])
def test_the_commands_make_a_service_that_mails(host: Host, sink: MailSink, tls: str) -> None:
    """Redis, Sentinel, web and worker, as written; each says when it is ready, and ends in the time it is given."""
    node, sentinel = (read_unit(UNITS / f"verifier-{name}@.service") for name in ("redis", "sentinel"))
    web, worker = (read_unit(UNITS / f"verifier-{name}.service") for name in ("web", "worker"))
    first = f"127.0.0.1 {host.nodes[0]}"
    addresses = ",".join(f"127.0.0.1:{port}" for port in host.sentinels)
    here = {
        "REDIS_SERVER": str(find_redis_server(os.environ)),
        "REDIS_BIND": "127.0.0.1",
        "REDIS_ANNOUNCE_HOST": "127.0.0.1",
        "REDIS_TLS": tls,
        "REDIS_TLS_AUTH_CLIENTS": "yes",
    }
    of_nodes = here | {"REDIS_SENTINELS": addresses}
    order = host.start(read_unit(UNITS / "verifier-first-master@.service"), host.nodes[0], **of_nodes)
    assert order.process.wait(60) == 0, host.logs()
    running = [
        host.start(node, port, **of_nodes, **({"REDIS_REPLICAOF": first} if number else {}))
        for number, port in enumerate(host.nodes)
    ]
    running += [host.start(sentinel, port, **here, SENTINEL_MASTER=first) for port in host.sentinels]
    settings = {
        "VERIFIER_SENTINELS": addresses,
        "VERIFIER_MAIL_SERVER": "127.0.0.1",
        "VERIFIER_MAIL_PORT": str(sink.port),
        "VERIFIER_REDIS_TLS": tls,
        "VERIFIER_API_OPEN": "true",
        "VERIFIER_HOSTS": "127.0.0.1",
    }
    port = host.port()
    running.append(host.start(web, **settings, GUNICORN_CMD_ARGS=f"--bind 127.0.0.1:{port}"))
    running.append(host.start(worker, **settings))
    notifying = [each for each in running if each.unit.one("Type") == "notify" and _can_notify(each)]
    assert running[6] in notifying
    assert wait_for(lambda: all(each.is_ready() for each in notifying), START_WITHIN_S), host.logs()
    assert wait_for(lambda: _is_ready(port), FAILOVER_WITHIN_S), host.logs()
    assert _post(port, "/v1/verifications", {"to": "ada@example.org"})["status"] == "pending"
    assert wait_for(lambda: len(sink.mails) == 1, 60), host.logs()
    for each in reversed(running):
        assert each.stop() in {0, 143}, (each.unit.name, host.logs())


def _can_notify(running: RunningUnit) -> bool:
    """Whether the program was built with what Type=notify needs; gunicorn needs nothing."""
    if running.unit.name == "verifier-web.service":
        return True
    linked = subprocess.run(
        ["ldd", find_redis_server(os.environ)], capture_output=True, text=True, check=False
    ).stdout
    return "libsystemd" in linked


def test_a_node_that_waits_for_a_master_ends_without_failure(host: Host) -> None:
    """It is not ready, and its exit code at SIGTERM is the one that the unit calls a success."""
    node = read_unit(UNITS / "verifier-redis@.service")
    running = host.start(
        node,
        host.nodes[0],
        REDIS_SERVER=str(find_redis_server(os.environ)),
        REDIS_BIND="127.0.0.1",
        REDIS_ANNOUNCE_HOST="127.0.0.1",
        REDIS_SENTINELS=f"127.0.0.1:{host.sentinels[0]}",
    )
    assert wait_for(lambda: "it waits until it can join" in host.logs(), START_WITHIN_S)
    assert not running.is_ready()
    assert running.stop() == int(node.one("SuccessExitStatus"))


@needs_nginx
def test_the_proxys_command_passes_requests_on_and_ends_in_order(host: Host) -> None:
    """Without a certificate it speaks plainly; nobody behind it is said by the proxy itself."""
    proxy = read_unit(UNITS / "verifier-proxy.service")
    port, upstream = host.port(), host.port()
    running = host.start(
        proxy,
        PATH=f"{os.environ['PATH']}:/usr/sbin",
        PROXY_LISTEN=f"127.0.0.1:{port}",
        PROXY_UPSTREAM=f"127.0.0.1:{upstream}",
        PROXY_SCRATCH=str(host.directory / "proxy"),
    )
    assert wait_for(lambda: _status_of(port) == 503, START_WITHIN_S), host.logs()
    with HTTPServer(("127.0.0.1", upstream), _Answers) as web:
        serving = threading.Thread(target=web.serve_forever, daemon=True)
        serving.start()
        try:
            assert wait_for(lambda: _status_of(port) == 204, 10), host.logs()
        finally:
            web.shutdown()
            serving.join()
    running.process.send_signal(signal.Signals[proxy.one("KillSignal")])
    assert running.process.wait(proxy.seconds("TimeoutStopSec")) == 0


@needs_nginx
def test_the_proxy_starts_where_its_output_is_a_socket(host: Host) -> None:
    """As systemd's journal is: nginx opens its log of accesses by a name, and a socket has none."""
    port = host.port()
    environment = host.environment(
        read_unit(UNITS / "verifier-proxy.service"),
        "",
        PATH=f"{os.environ['PATH']}:/usr/sbin",
        PROXY_LISTEN=f"127.0.0.1:{port}",
        PROXY_SCRATCH=str(host.directory / "proxy"),
    )
    journal, output = socket.socketpair()
    command = ["/bin/sh", str(ROOT / "deploy" / "proxy" / "start-proxy.sh")]
    with journal, output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            assert wait_for(lambda: _status_of(port) == 503 or process.poll() is not None, 20)
            assert process.poll() is None, journal.recv(4096)
        finally:
            _end(process)


class _Answers(BaseHTTPRequestHandler):
    """Answers every request with 204."""

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()


def _status_of(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _why_no_unit_can_be_started() -> str:
    """Return the reason; nothing where units can be started."""
    if Path("/proc/1/comm").read_text().strip() != "systemd":
        return "PID 1 of this machine is not systemd."
    if os.geteuid() != 0:
        return "Only root may start units."
    if ROOT.is_relative_to("/root") or ROOT.is_relative_to("/home"):
        return "The units see nothing of home directories: put the project elsewhere, such as into /opt."
    try:
        pwd.getpwnam("redis")
    except KeyError:
        return "There is no user named redis (Debian and Ubuntu: apt install redis-server)."
    return ""


def _why_no_systemd_can_be_booted() -> str:
    """Return the reason; nothing where one may be tried."""
    if Path("/proc/1/comm").read_text().strip() == "systemd":
        return "PID 1 of this machine is systemd already."
    if os.geteuid() != 0:
        return "Only root may boot a systemd in namespaces of its own."
    missing = [name for name in ("unshare", "ip", "redis-server") if shutil.which(name) is None]
    if not Path("/lib/systemd/systemd").exists() or missing:
        return f"Missing here: {', '.join(missing) or 'systemd (Debian and Ubuntu: apt install systemd)'}."
    return ""


@pytest.mark.chaos
@pytest.mark.long
@pytest.mark.skipif(bool(_why_no_systemd_can_be_booted()), reason=_why_no_systemd_can_be_booted())
def test_a_systemd_in_namespaces_of_its_own_runs_a_node(tmp_path: Path) -> None:
    """Where PID 1 is something else: the next test, in a systemd that is booted for it and thrown away."""
    script = ROOT / "tests" / "support" / "private_systemd.sh"
    tests = "tests/integration/deploy/test_systemd_units.py -k systemd_runs_a_node"
    command = f"{sys.executable} -m pytest -q -p no:cacheprovider {tests}".replace(str(ROOT), "/opt/verifier")
    done = subprocess.run(
        ["/bin/sh", script, ROOT, tmp_path, command], capture_output=True, text=True, timeout=200, check=False
    )
    if not (tmp_path / "booted").exists():
        pytest.skip(f"No systemd can be booted in namespaces here: {done.stderr.strip()[-300:]}")
    said = (tmp_path / "said").read_text()
    assert "1 passed" in said, said


def _systemctl(*words: str, check: bool = True) -> str:
    return subprocess.run(
        ["systemctl", "--no-pager", *words], capture_output=True, text=True, timeout=120, check=check
    ).stdout.strip()


@pytest.mark.chaos
@pytest.mark.skipif(bool(_why_no_unit_can_be_started()), reason=_why_no_unit_can_be_started())
def test_systemd_runs_a_node_and_starts_it_again(host: Host) -> None:
    """With its user, its credentials and its hardening: ordered to be the master, killed, and up again."""
    port = host.nodes[0]
    node, order = f"verifier-redis@{port}", f"verifier-first-master@{port}"
    state = Path(f"/var/lib/verifier-redis-{port}")
    (host.directory / "redis.env").write_text(
        "REDIS_BIND=127.0.0.1\nREDIS_ANNOUNCE_HOST=127.0.0.1\nREDIS_MIN_REPLICAS_TO_WRITE=0\n"
        f"REDIS_SENTINELS=127.0.0.1:{host.sentinels[0]}\n"
    )
    files = []
    try:
        for name in (node, order):
            text = (UNITS / f"{name.partition('@')[0]}@.service").read_text()
            text = text.replace("/opt/verifier", str(ROOT)).replace("/etc/verifier", str(host.directory))
            files.append(Path(f"/run/systemd/system/{name}.service"))
            files[-1].write_text(text)
        _systemctl("daemon-reload")
        _systemctl("start", order)
        _systemctl("start", node)
        before = _systemctl("show", "-P", "MainPID", node)
        _systemctl("kill", "--signal=SIGKILL", node)
        assert wait_for(lambda: _systemctl("is-active", node, check=False) == "active", 60)
        assert _systemctl("show", "-P", "MainPID", node) != before
        assert (state / "users.acl").owner() == "redis"
    finally:
        _systemctl("stop", node, check=False)
        for file in files:
            file.unlink()
        _systemctl("daemon-reload", check=False)
        shutil.rmtree(state, ignore_errors=True)
