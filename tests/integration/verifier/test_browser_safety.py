"""What keeps the service safe in a browser, on every route and method: headers, hosts, cookies, redirects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from verifier import create_app
from verifier.container import Container, install
from verifier.dev import mailbox
from verifier.dev.embedded import RunOptions
from verifier.settings import MetricsSettings, Settings
from verifier.store import keyspace

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OURS = "verify.example.org"
HEALTH = {"/healthz", "/livez", "/servez", "/readyz"}
METRICS = "/metrics"
NOT_THERE = ("/nowhere", "/v1/nowhere", "/static/nowhere", "/verify/", "//verify", "/dev/nowhere")
Make = Callable[..., Flask]


@pytest.fixture
def make_app(settings: Settings, container: Container, master: Redis, tmp_path: Path) -> Make:
    """Make an app with other settings, with the development mailbox and the operators' page."""

    def make(**changes: Any) -> Flask:
        ours = replace(settings, **{"hosts": (OURS,), "ops_password": "9vX-hb3Kq_Zt7wLr", **changes})
        app = create_app(ours)
        mailbox.init_app(app, tmp_path / "mails")
        install(app, replace(container, settings=ours))
        return app

    return make


def _requests(app: Flask) -> Iterator[tuple[str, str]]:
    """Every path of the app with every method, whether it is meant for it or not, and some that are not there."""
    rules = list(app.url_map.iter_rules())
    assert len(rules) > 15
    paths = {
        rule.rule.replace("<verification_id>", "0" * 32)
        .replace("<path:filename>", "verifier.css")
        .replace("<key>", "nowhere")
        .replace("<name>/<action>", f"{'0' * 32}-1/requeue")
        .replace("<name>", f"{'0' * 32}-1")
        for rule in rules
    }
    assert not any("<" in path for path in paths)
    for path in sorted(paths | set(NOT_THERE)):
        for method in METHODS:
            yield method, path


def _open(client: FlaskClient, method: str, path: str, **how: Any) -> Any:
    # By parts: the client takes //verify for a host of that name.
    return client.open(environ_overrides={"PATH_INFO": path}, method=method, buffered=True, **how)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_answer_has_its_headers(make_app: Make, scheme: str) -> None:
    """Also of errors, of methods that are not allowed and of what is not there."""
    app = make_app()
    client = app.test_client()
    for method, path in _requests(app):
        host = "localhost" if path.startswith("/dev/mailbox") else OURS
        base_url = f"{scheme}://{host}"
        answer = _open(client, method, path, base_url=base_url)
        said = f"{method} {path}: {answer.status_code} {dict(answer.headers)}"
        headers = answer.headers
        assert answer.status_code != 500, said
        assert headers["X-Content-Type-Options"] == "nosniff", said
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", said
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin", said
        assert headers["Referrer-Policy"] in {"same-origin", "no-referrer"}, said
        assert headers["X-Frame-Options"] in {"SAMEORIGIN", "DENY"}, said
        policy = headers["Content-Security-Policy"]
        assert policy.startswith(("default-src 'self';", "default-src 'none';")), said
        assert re.search(r"frame-ancestors '(self|none)'", policy), said
        assert "unsafe" not in policy, said
        assert ("Strict-Transport-Security" in headers) is (scheme == "https"), said
        if path != "/static/verifier.css":
            assert headers["Cache-Control"] == "no-store", said
        if path.startswith("/v1"):
            assert policy.startswith("default-src 'none'"), said
            assert "Set-Cookie" not in headers, said
        assert "Access-Control-Allow-Origin" not in headers, said
        location = headers.get("Location", "/")
        assert location.startswith("/"), said
        assert not location.startswith("//"), said


FOREIGN = [
    "evil.example",
    f"{OURS}.evil.example",
    f"evil.{OURS}",
    "127.0.0.1",
    "localhost",
    "",
    "a b",
    f"{OURS}, evil.example",
    # Flask finds no way for a request with these, not even to a page that says so.
    "evil..example",
    f"{'a' * 64}.evil.example",
]


@pytest.mark.parametrize("host", FOREIGN)
def test_other_hosts_are_refused_everywhere(make_app: Make, master: Redis, host: str) -> None:
    """400, as a problem to programs; nothing is done and no cookie is set. Health answers by any name, metrics by this machine's."""
    app = make_app()
    client = app.test_client()
    for method, path in _requests(app):
        answer = _open(client, method, path, headers={"Host": host}, json={"to": "a@example.org"})
        if path in HEALTH and method in {"GET", "HEAD", "OPTIONS"}:
            assert answer.status_code in {200, 503}
            continue
        if path == METRICS and method in {"GET", "HEAD", "OPTIONS"}:
            is_here = host in {"127.0.0.1", "localhost"} or method == "OPTIONS"
            assert answer.status_code == (200 if is_here else 404)
            continue
        assert answer.status_code == 400, f"{method} {path}"
        assert "Set-Cookie" not in answer.headers
        assert "evil" not in answer.text
        if method != "HEAD":
            assert "VERIFIER_HOSTS" in answer.text
        if path.startswith("/v1"):
            assert answer.mimetype == "application/problem+json"
            assert method == "HEAD" or '"code": "unknown_host"' in answer.text
    # Health alone writes anything: the probe.
    written = master.keys()
    assert {each.decode() if isinstance(each, bytes) else each for each in written} <= {keyspace.PROBE}


def test_metrics_are_there_for_this_machine_only(make_app: Make) -> None:
    """Whatever a trusted proxy says of the client; with a token for whoever has it, by any way and name."""
    near, far, by_proxy = (
        {"REMOTE_ADDR": "127.0.0.1"},
        {"REMOTE_ADDR": "10.0.0.7"},
        {"X-Forwarded-For": "127.0.0.1"},
    )
    for hops in (0, 1):
        client = make_app(trusted_proxies=hops).test_client()
        assert client.get(METRICS, environ_base=near).status_code == 200
        assert client.get(METRICS, environ_base=far).status_code == 404
        assert client.get(METRICS, environ_base=far, headers=by_proxy).status_code == 404
        assert client.get(METRICS, environ_base=near, headers=by_proxy).status_code == 404
    client = make_app(trusted_proxies=1, metrics=MetricsSettings(token="t" * 32)).test_client()
    allowed = {"Authorization": f"Bearer {'t' * 32}", "Host": "web:8000", **by_proxy}
    assert client.get(METRICS, environ_base=near).status_code == 404
    assert client.get(METRICS, environ_base=far, headers=allowed).status_code == 200


@pytest.mark.parametrize(
    "host", [OURS, f"{OURS}:8443", f"{OURS.upper()}.", "[::1]:8000", "[0:0::1]", "10.0.0.5"]
)
def test_our_own_hosts_are_answered(make_app: Make, host: str) -> None:
    """With a port, in any case, with the dot at the end, by address."""
    client = make_app(hosts=(OURS, "[::1]", "10.0.0.5")).test_client()
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_development_answers_under_loopback_names(make_app: Make) -> None:
    """And under what the settings name besides."""
    client = make_app(hosts=(OURS,), development=True).test_client()
    for host in ("localhost:5000", "127.0.0.1:5000", "[::1]:5000", "app.localhost", OURS):
        assert client.get("/", headers={"Host": host}).status_code == 200
    assert client.get("/", headers={"Host": "evil.example:5000"}).status_code == 400
    assert (
        make_app(hosts=(), development=True)
        .test_client()
        .get("/", base_url="http://evil.example")
        .status_code
        == 400
    )


def test_without_hosts_any_name_is_answered_and_that_is_said(
    make_app: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning at the start."""
    client = make_app(hosts=()).test_client()
    assert "VERIFIER_HOSTS is not set" in caplog.text
    for host in ("anything.example", "a b", "evil..example", "a" * 64):
        assert client.get("/", headers={"Host": host}).status_code == 200
        assert client.get("/v1/nowhere", headers={"Host": host}).status_code == 404
    caplog.clear()
    make_app(hosts=(OURS,))
    make_app(hosts=(), development=True)
    assert "VERIFIER_HOSTS" not in caplog.text


@pytest.mark.parametrize("path", ["/dev/mailbox", "/dev/mailbox.json", "/dev/mailbox?to=a&page=9"])
@pytest.mark.parametrize(
    ("host", "status"), [("localhost:5000", 200), ("[::1]:1", 200), (OURS, 400), ("evil.example", 400)]
)
def test_the_mailbox_answers_under_loopback_names_only(
    make_app: Make, path: str, host: str, status: int
) -> None:
    """Whatever the settings name: a page of somebody else must not read the codes."""
    client = make_app(hosts=(OURS, "localhost", "[::1]")).test_client()
    assert client.get(path, headers={"Host": host}).status_code == status
    assert make_app(hosts=()).test_client().get(path, base_url="http://evil.example").status_code == 400


@pytest.mark.parametrize(
    ("host", "is_there"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),  # noqa: S104 - compared, not bound
        ("::", False),
        ("10.0.0.1", False),
    ],
)
def test_the_mailbox_listens_on_loopback_only(host: str, is_there: bool) -> None:
    """`flask run --host` beyond it serves none."""
    assert RunOptions(host, 5000, reloads=False).is_on_loopback is is_there


@pytest.mark.parametrize(
    ("scheme", "name"), [("http", "verifier_session"), ("https", "__Host-verifier_session")]
)
def test_the_cookie_is_this_hosts_alone(make_app: Make, scheme: str, name: str) -> None:
    """Over https by a name that browsers take from nobody else; no script reads it, no other site sends it along."""
    client = make_app().test_client()
    answer = client.get("/", base_url=f"{scheme}://{OURS}")
    [cookie] = answer.headers.getlist("Set-Cookie")
    attributes = {part.strip() for part in cookie.split(";")[1:]}
    assert cookie.startswith(f"{name}=")
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= attributes
    assert ("Secure" in attributes) is (scheme == "https")
    assert not any(each.startswith("Domain") for each in attributes)


def test_a_cookie_set_without_tls_is_none_with_it(make_app: Make) -> None:
    """Somebody on the way may have set it."""
    client = make_app().test_client()
    client.get("/", base_url=f"http://{OURS}")
    page = client.get("/", base_url=f"https://{OURS}")
    assert page.headers.getlist("Set-Cookie")


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "//evil.example/verify",
        "//verify",
        "/verify//",
        "///verify",
        "/\\evil.example",
        "//evil.example/%2e%2e",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_leads_elsewhere(make_app: Make, path: str, method: str) -> None:
    """No redirect, and no link in the page that a browser would take for another host."""
    answer = _open(make_app().test_client(), method, path, base_url=f"https://{OURS}")
    assert answer.status_code in {200, 400, 404}
    assert "Location" not in answer.headers
    # A query alone stays on the page's own address.
    assert re.findall(r"""(?:href|src|action)=["'](?!/(?!/)|#|\?)""", answer.text) == []


def test_no_page_links_elsewhere(make_app: Make) -> None:
    """So none needs a rel; whoever adds a link to another site has to say that it gets no opener and no referrer."""
    app = make_app()
    client = app.test_client()
    templates = Path(app.root_path) / "templates"
    for text in [
        client.get("/", base_url=f"http://{OURS}").text,
        *(each.read_text() for each in templates.rglob("*.html")),
    ]:
        for link in re.findall(r"<a\b[^>]*>", text):
            assert 'target="' not in link.replace('target="_top"', "")
            if re.search(r'href="(https?:)?//', link):
                assert 'rel="noopener noreferrer"' in link
