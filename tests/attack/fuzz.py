"""Send nonsense to every route by every method: nothing may fail, and nothing may hang."""

from __future__ import annotations

import json
import random
import secrets
from concurrent.futures import ThreadPoolExecutor

from flask import Flask

from tests.attack.clients import HOST, RawAnswer, say
from tests.attack.outcome import Outcome, Scale
from tests.attack.target import Target
from verifier import api, ops, web

METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "BREW",
    "get",
    "\u00e9",
)
BODIES: tuple[bytes, ...] = (
    b"",
    b"{",
    b"[" * 4000,
    b'{"to":' * 1000,
    b"null",
    b"[]",
    b"1e999999",
    b'{"to": null}',
    b'{"to": {"a": []}}',
    b'{"to": "\\ud800@example.org"}',
    b'{"code": 123456}',
    b'{"code": "\\u0661\\u0662\\u0663\\u0664\\u0665\\u0666"}',
    b'{"client_ip": "999.0.0.1%eth0", "to": "a@example.org"}',
    b"\xff\xfe\x00",
    b"email=%ff%fe&csrf_token=%00",
    b"email=a&" * 900,
    b'--x\r\nContent-Disposition: form-data; name="email"; filename="a"\r\n\r\n1\r\n--x--',
    b"--x\r\nContent-Disposition: form-data; name=\r\n\r\n",
    b"code=" + b"9" * 7000,
)
KINDS = (
    "application/json",
    "application/json; charset=utf-7",
    "application/x-www-form-urlencoded",
    "text/plain",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "\x7f",
    "",
)
TEXTS = (
    "",
    "a",
    "\x00",
    "\xff" * 100,
    "a" * 3000,
    "%",
    "../../etc/passwd",
    "' OR 1=1 --",
    "${7*7}{{7*7}}",
    "0" * 32,
    "-1",
    "NaN",
    "\u00fc",
    "=?utf-8?q?a?=",
)
HEADERS = (
    "Cookie",
    "Authorization",
    "Idempotency-Key",
    "Accept",
    "Accept-Encoding",
    "Range",
    "If-None-Match",
    "If-Modified-Since",
    "Expect",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "Referer",
    "Origin",
    "Content-Encoding",
    "TE",
    "Upgrade",
    "Forwarded",
    "Accept-Language",
    "User-Agent",
)


def routes() -> list[str]:
    """Return the rules of the app's addresses, as they are."""
    app = Flask("verifier")
    for each in (web, api, ops):
        each.init_app(app)
    return sorted({rule.rule for rule in app.url_map.iter_rules()})


def fuzz_all_routes(target: Target, scale: Scale) -> Outcome:
    """Send random methods, bodies and headers to all routes, and bytes at random."""
    seed = secrets.randbits(32) if scale.seed is None else scale.seed
    rules, dice = routes(), random.Random(seed)
    real = target.client(key=target.shop).call("POST", "", {"to": "fuzzed@example.org"}).json()["id"]
    requests = [
        _request(dice, rules[number % len(rules)], real, target.shop) for number in range(scale.requests)
    ]
    network = next(target.networks())

    def send(request: bytes) -> RawAnswer:
        return say(target.port, request, ip=network, first_within_s=scale.hangs_after_s)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, requests))
    hung = sum(each.hung for each in answers)
    # /readyz may say that mail does not go out; nothing else has a reason.
    failed = [
        request[:80]
        for request, each in zip(requests, answers, strict=True)
        if any(status >= 500 and status != 501 for status in each.statuses) and b"/readyz" not in request[:80]
    ]
    away = sum(b"destination_unavailable" in each.content for each in answers)
    statuses = sorted({each.statuses[0] for each in answers if each.statuses})
    alive = target.client().ask("GET", "/").status
    return Outcome(
        f"no answer of 500 or more, nothing hangs for {scale.hangs_after_s:.0f} s",
        f"{len(requests)} requests to {len(rules)} routes (seed {seed}): {len(failed)} failed {failed[:2] or ''}".rstrip()
        + f", {hung} hung, answers {statuses}",
        not failed and not hung and not away and alive == 200,
    )


def _request(dice: random.Random, rule: str, real: str, key: str) -> bytes:
    if dice.random() < 0.05:
        return dice.randbytes(dice.randrange(1, 400)) + b"\r\n\r\n"
    found = dice.choice([real, dice.randbytes(16).hex(), dice.choice(TEXTS).replace(" ", "%20") or "%00"])
    path = rule.replace("<verification_id>", found).replace(
        "<path:filename>", dice.choice([found, "verifier.css"])
    )
    if dice.random() < 0.2:
        path += dice.choice(["?", "?a=%ff", "/", "//", "%00", "?csrf_token=x", "#", "?" + "a=b&" * 300])
    body = dice.choice(BODIES)
    if dice.random() < 0.2:
        body = json.dumps({dice.choice(["to", "code", "client_ip"]): dice.choice(TEXTS)}).encode()
    lines = [f"{dice.choice(METHODS)} {path} HTTP/1.1", f"Host: {HOST}", "Connection: close"]
    lines.append(f"Content-Type: {dice.choice(KINDS)}")
    if dice.random() < 0.5:
        lines.append(f"Authorization: Bearer {key}")
    lines += [f"{name}: {dice.choice(TEXTS)}" for name in dice.sample(HEADERS, dice.randrange(4))]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body
