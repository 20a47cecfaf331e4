"""The shipped proxy in front of gunicorn: what it keeps away, what it passes on, and what it says when nobody answers."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import resource
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis import Redis

from sentinel import LocalTopology, PortReservation, wait_for
from tests.attack.slow_clients import ATTACKS, Attack, Attackers, visit
from tests.support.proxy import START_PROXY, Proxy, needs_nginx
from tests.support.web import Web
from verifier.drill.rig.process import process_tree
from verifier.drill.rig.systems import PROJECT
from verifier.web.security import ALL_HEADERS, DATA_HEADERS

pytestmark = needs_nginx

ATTACKED_FOR_S = 8
COMPOSE_FILES = ("compose.yaml", "deploy/proxy/tls.compose.yaml")
# Both long header buffers, and all but the end of the largest body.
FILLS_THE_BUFFERS = (
    b"POST / HTTP/1.1\r\nHost: a\r\n"
    + b"".join(b"X-%d: %s\r\n" % (number, b"a" * 3900) for number in range(2))
    + b"Content-Length: 8000\r\n\r\n"
    + b"x" * 7900
)
TAKEN_IN_BYTES = 16_000


@pytest.fixture(scope="module")
def running_web(topology: LocalTopology, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A gunicorn for all tests here, none of which harms it."""
    topology.heal()
    with Web(topology, tmp_path_factory.mktemp("web"), VERIFIER_TRUSTED_PROXIES="1") as running:
        running.wait_until_it_answers()
        yield running


@pytest.fixture
def web(running_web: Web, master: Redis) -> Web:
    """A gunicorn that believes one proxy, on an empty Redis."""
    assert running_web.answers()
    return running_web


@pytest.fixture
def proxy(web: Web, tmp_path: Path) -> Iterator[Proxy]:
    """The proxy in front of it."""
    with Proxy(web.port, tmp_path) as running:
        running.wait_until_it_listens()
        yield running


class Echo:
    """Answers one request with nothing, and keeps what it got."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> Echo:  # noqa: PYI034 - nothing derives from it
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def take(self) -> str:
        """Take one request, answer it, and return it."""
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(10)
            text = connection.recv(65536).decode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return text


def _ask(
    port: int, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_slow_clients_keep_nobody_else_waiting(proxy: Proxy, attack: Attack) -> None:
    """Every request of another client is answered while they hold all their connections."""
    with Attackers(attack, proxy.port):
        visits = visit(proxy.port, ATTACKED_FOR_S)
    assert visits.unanswered == 0, visits
    assert len(visits.waited_s) > 3


@pytest.mark.parametrize(
    "path", ["/metrics", "/%6detrics", "/./metrics", "//metrics", "/metrics?a=b", "/metrics/"]
)
def test_metrics_are_not_passed_on(web: Web, proxy: Proxy, path: str) -> None:
    """In no way of writing their address; gunicorn itself shows them."""
    response, text = _ask(proxy.port, "GET", path)
    assert response.status == 404
    assert "verifier_" not in text
    assert web.get("/metrics").status == 200


def test_a_submission_goes_the_whole_way(proxy: Proxy) -> None:
    """From the client through the proxy to Redis."""
    response, text = _ask(
        proxy.port,
        "POST",
        "/v1/verifications",
        '{"to": "a@example.com"}',
        {"Content-Type": "application/json"},
    )
    assert response.status == 201, text
    assert json.loads(text)["to"] == "a@example.com"


def test_what_a_client_claims_to_be_is_replaced(tmp_path: Path) -> None:
    """Address, scheme and host are those that the proxy sees; the request gets an id."""
    with Echo() as upstream, Proxy(upstream.port, tmp_path) as proxy:
        proxy.wait_until_it_listens()
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
        pretended = {
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "elsewhere.example",
            "X-Forwarded-Prefix": "/elsewhere",
            "Forwarded": "for=203.0.113.9",
            "X-Request-ID": "mine",
        }
        connection.request("GET", "/", headers=pretended)
        request = upstream.take()
        assert connection.getresponse().status == 200
        connection.close()
    lines = dict(line.split(": ", 1) for line in request.split("\r\n")[1:] if ": " in line)
    assert lines["X-Forwarded-For"] == "127.0.0.1"
    assert lines["X-Forwarded-Proto"] == "http"
    assert lines["X-Forwarded-Host"] == lines["Host"] == f"127.0.0.1:{proxy.port}"
    assert "X-Forwarded-Prefix" not in lines
    assert "Forwarded" not in lines
    assert len(lines["X-Request-ID"]) == 32


@pytest.mark.parametrize(
    ("path", "kind"), [("/", "text/html"), ("/v1/verifications", "application/problem+json")]
)
def test_when_nobody_answers_it_says_so(tmp_path: Path, path: str, kind: str) -> None:
    """503 with Retry-After, in the caller's own format."""
    ports = PortReservation()
    nobody = ports.reserve().port
    with Proxy(nobody, tmp_path) as proxy:
        proxy.wait_until_it_listens()
        response, text = _ask(proxy.port, "GET", path)
    ports.release()
    assert (response.status, response.getheader("Retry-After")) == (503, "5")
    assert (response.getheader("Content-Type") or "").startswith(kind)
    assert "verifier-proxy" in (response.getheader("Proxy-Status") or "")
    assert "does not answer at the moment" in text
    _assert_each_header_once(response, over_tls=False)


def test_what_is_too_large_is_refused_at_the_door(proxy: Proxy) -> None:
    """A body and a header that nobody needs."""
    response, text = _ask(proxy.port, "POST", "/v1/verifications", "x" * 20_000)
    assert (response.status, json.loads(text)["status"]) == (413, 413)
    response, _ = _ask(proxy.port, "GET", "/", headers={"X-Long": "x" * 10_000})
    assert response.status in {400, 414, 494}


@pytest.mark.parametrize(
    "line", ["GET / HTTP/1.1\r\nHost: a\r\nHost: b", "GET / HTTP/9.9\r\nHost: a", "\x00"]
)
def test_rubbish_is_answered_with_400_or_less(proxy: Proxy, line: str) -> None:
    """Never with an error of the service."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as connection:
        connection.sendall(line.encode() + b"\r\n\r\n")
        answer = connection.recv(200)
    assert answer == b"" or answer.split()[1] in {b"400", b"505"}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_apis_own_address_leads_nowhere(proxy: Proxy, method: str) -> None:
    """Nginx would add the slash, under whatever host was asked for and without TLS."""
    response, text = _ask(proxy.port, method, "/v1", headers={"Host": "evil.example"})
    assert (response.status, response.getheader("Location")) == (404, None)
    assert json.loads(text)["code"] == "not_found"
    _assert_each_header_once(response, over_tls=False)


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        (
            "GET /v1/verifications HTTP/1.1\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b",
            400,
            "malformed_request",
        ),
        ("GET /v1 HTTP/1.1\r\nHost: b", 400, "malformed_request"),
        ("GET /v1/verifications HTTP/1.1\r\nX: " + "x" * 9000, 400, "malformed_request"),
        ("POST /v1/verifications HTTP/1.1\r\nContent-Length: ten", 400, "malformed_request"),
        (
            "POST /v1/verifications HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz",
            400,
            "malformed_request",
        ),
        ("TRACE /v1/verifications HTTP/1.1", 405, "method_not_allowed"),
        ("POST /v1/verifications HTTP/1.1\r\nContent-Length: 9000", 413, "request_too_large"),
    ],
    ids=["two keys", "two hosts", "a long header", "no length", "chunks", "TRACE", "a long body"],
)
def test_what_the_proxy_refuses_of_the_api_is_a_problem(
    tmp_path: Path, request_line: str, status: int, code: str
) -> None:
    """With the id of the request, as all that the API says."""
    with Proxy(1, tmp_path) as proxy:
        proxy.wait_until_it_listens()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as connection:
            connection.sendall(f"{request_line}\r\nHost: a\r\n\r\n".encode())
            response = http.client.HTTPResponse(connection)
            response.begin()
            problem = json.loads(response.read())
    assert (response.status, problem["status"], problem["code"]) == (status, status, code)
    assert response.getheader("Content-Type") == "application/problem+json"
    assert problem["request_id"] == response.getheader("X-Request-ID")
    assert problem["detail"].endswith(".")
    _assert_each_header_once(response, over_tls=False)


def test_the_health_check_tells_whether_it_serves(proxy: Proxy) -> None:
    """The check that stands in compose.yaml, as it stands there."""
    command = ["/bin/sh", str(START_PROXY), "check"]
    assert subprocess.run(command, env=proxy.environment, check=False).returncode == 0
    proxy.kill()
    ended = subprocess.run(command, env=proxy.environment, check=False, capture_output=True)
    assert ended.returncode


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PROXY_LISTEN", "80; include /etc/passwd", "PROXY_LISTEN"),
        ("PROXY_HOSTS", "a.example; return 200", "PROXY_HOSTS"),
        ("PROXY_SCHEME", "ftp", "PROXY_SCHEME"),
        ("PROXY_REQUESTS_PER_CLIENT", "many", "numbers"),
        ("PROXY_CERTIFICATE_KEY", "/dev/null", "is missing"),
        ("PROXY_CERTIFICATE", "/dev/null", "cannot be read or is empty"),
        ("PROXY_TLS", "true", "PROXY_TLS"),
    ],
)
def test_a_wrong_setting_is_told_in_a_sentence(tmp_path: Path, name: str, value: str, says: str) -> None:
    """Before nginx sees any of it."""
    with Proxy(1, tmp_path, **{name: value}) as proxy:
        proxy._process.wait(60)
        assert proxy.exit_code
        assert len(proxy.output().strip().splitlines()) == 1
        assert (value if says in {"PROXY_LISTEN", "PROXY_HOSTS"} else says) in proxy.output()


def test_with_a_certificate_it_speaks_tls_and_sends_the_others_there(web: Web, tmp_path: Path) -> None:
    """The app behind it knows that its visitors come by TLS."""
    authority = _make_certificate(tmp_path)
    with Proxy(web.port, tmp_path, PROXY_HOSTS="other.example,verify.example") as proxy:
        proxy.wait_until_it_listens()
        context = ssl.create_default_context(cadata=authority)
        connection = http.client.HTTPSConnection("localhost", proxy.port, timeout=60, context=context)
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
        connection.close()
        assert response.status == 200
        assert "Secure" in (response.getheader("Set-Cookie") or "")
        _assert_each_header_once(response, over_tls=True)
        plain, _ = _ask(proxy.redirect_port, "GET", "/somewhere", headers={"Host": "VERIFY.example:80"})
        assert (plain.status, plain.getheader("Location")) == (308, "https://verify.example/somewhere")
        _assert_each_header_once(plain, over_tls=False)
        for host in ("elsewhere.example", "verify.example.elsewhere.example", "127.0.0.1"):
            plain, text = _ask(proxy.redirect_port, "GET", "/somewhere", headers={"Host": host})
            assert (plain.status, plain.getheader("Location")) == (403, None)
            assert "by https only" in text
            _assert_each_header_once(plain, over_tls=False)
        check = subprocess.run(["/bin/sh", str(START_PROXY), "check"], env=proxy.environment, check=False)
        assert check.returncode == 0


@pytest.mark.parametrize("host", ["verify.example", "elsewhere.example"])
def test_the_api_is_refused_without_tls(tmp_path: Path, host: str) -> None:
    """A program that followed a redirect would send its key in the clear each time, and nobody would notice."""
    _make_certificate(tmp_path)
    with Proxy(1, tmp_path, PROXY_HOSTS="verify.example") as proxy:
        proxy.wait_until_it_listens()
        response, text = _ask(proxy.redirect_port, "POST", "/v1/verifications", "{}", {"Host": host})
    assert (response.status, response.getheader("Location")) == (403, None)
    assert response.getheader("Content-Type") == "application/problem+json"
    assert json.loads(text)["code"] == "https_required"
    assert json.loads(text)["request_id"] == response.getheader("X-Request-ID")
    assert "replace the API key" in json.loads(text)["detail"]
    _assert_each_header_once(response, over_tls=False)


def test_the_proxys_own_answers_have_the_headers_of_the_apps(tmp_path: Path) -> None:
    """Whatever it refuses, and nginx's own pages; what the app sends comes through once."""
    held = socket.create_server(("127.0.0.1", 0))
    with (
        held,
        Proxy(held.getsockname()[1], tmp_path, PROXY_REQUESTS_PER_CLIENT="1") as proxy,
        ExitStack() as stack,
    ):
        proxy.wait_until_it_listens()
        refused = [
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b",
            b"TRACE / HTTP/1.1\r\nHost: a",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000,
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000",
            b"POST /v1/verifications HTTP/1.1\r\nHost: a\r\nContent-Length: 20000",
        ]
        statuses = [_own_answer(proxy.port, request) for request in refused]
        waiting = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=60))
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        stack.enter_context(held.accept()[0])
        one_too_many = [b"GET / HTTP/1.1\r\nHost: a", b"GET /v1/verifications HTTP/1.1\r\nHost: a"]
        statuses += [_own_answer(proxy.port, request) for request in one_too_many]
    assert statuses == [400, 405, 400, 413, 413, 429, 429]


def _own_answer(port: int, request: bytes) -> int:
    """Send something, check the answer's headers, and return its status."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request + b"\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        _assert_each_header_once(response, over_tls=False)
        return response.status


def _assert_each_header_once(response: http.client.HTTPResponse, *, over_tls: bool) -> None:
    names = [*DATA_HEADERS, *ALL_HEADERS, "Cache-Control", "X-Request-ID"]
    assert {name: len(response.headers.get_all(name, [])) for name in names} == dict.fromkeys(names, 1)
    assert len(response.headers.get_all("Strict-Transport-Security", [])) == over_tls
    assert response.getheader("X-Content-Type-Options") == "nosniff"


def test_where_tls_is_demanded_it_does_not_start_without(tmp_path: Path) -> None:
    """Nothing is served in the clear on a port that is open to everybody."""
    with Proxy(1, tmp_path, PROXY_TLS="yes") as proxy:
        assert proxy._process.wait(20) == 1
        assert "fullchain.pem is missing: put the certificate and its key there" in proxy.output()


@pytest.mark.parametrize("with_tls", [False, True], ids=["plain", "tls"])
def test_as_many_slow_clients_as_it_takes_fit_its_memory(tmp_path: Path, *, with_tls: bool) -> None:
    """Each with headers and a body that fill the buffers; both numbers are those of compose."""
    proxy_of = {
        name: yaml.safe_load((PROJECT / name).read_text())["services"]["proxy"] for name in COMPOSE_FILES
    }
    own, added = (proxy_of[name] for name in COMPOSE_FILES)
    connections = int((added if with_tls else own)["environment"]["PROXY_CONNECTIONS"])
    _allow_open_files(connections + 500)
    context = ssl.create_default_context(cadata=_make_certificate(tmp_path)) if with_tls else None
    settings = {"PROXY_CONNECTIONS": str(connections), "PROXY_REQUESTS_PER_CLIENT": str(connections)}
    with Proxy(1, tmp_path, **settings) as proxy, ExitStack() as stack:
        proxy.wait_until_it_listens()
        for _ in range(connections - 20):
            connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
            if context is not None:
                connection = context.wrap_socket(connection, server_hostname="localhost")
            stack.enter_context(connection)
            connection.sendall(FILLS_THE_BUFFERS)
        assert wait_for(lambda: _private_bytes(proxy.pid) > connections * TAKEN_IN_BYTES, 20)
        assert _private_bytes(proxy.pid) < int(own["mem_limit"].removesuffix("m")) << 20


def _allow_open_files(number: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < number:
        pytest.skip(f"this process may open {hard} files, and {number} are wanted")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number), hard))


def _private_bytes(pid: int) -> int:
    infos = [each.memory_info() for each in process_tree(pid)]
    return sum(info.rss - info.shared for info in infos)


def _make_certificate(directory: Path) -> str:
    """Write a certificate for localhost where the proxy looks for one; return it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (directory / "fullchain.pem").write_bytes(pem)
    (directory / "privkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pem.decode()
