"""Send nonsense to every route by every method: nothing may fail, and nothing may hang."""

from __future__ import annotations

import json
import random
import secrets
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlencode

from sentinel import Endpoint
from tests.attack.clients import FORM, HOST, RawAnswer, say
from tests.attack.outcome import Outcome, Scale
from tests.attack.target import Target
from verifier import create_app
from verifier.domain.keys import parse_keys
from verifier.settings import RedisSettings, Settings

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
VALUES: tuple[object, ...] = (
    *TEXTS,
    None,
    True,
    -1,
    1e308,
    [],
    [[]],
    {},
    {"to": "a@example.org"},
    "000000",
    "999999",
    "\u0661\u0662\u0663\u0664\u0665\u0666",
    "12 34 56",
    "\ud800",
    "a@example.org",
    "a@" + "b" * 300 + ".org",
    "@",
    "a@xn--a.org",
    "192.0.2.1",
    "::ffff:1.2.3.4",
    "fe80::1%eth0",
    "a" * 7000,
)
# For each request that an attack makes that could go on for ever.
REQUESTS = 5
NEARLY_RIGHT = 0.5


def routes() -> dict[str, list[str]]:
    """Return the rules of the app's addresses, as they are, each with its methods."""
    settings = Settings(
        keys=parse_keys(f"k1:{secrets.token_hex(32)}"),
        ops_password=secrets.token_hex(16),
        # Nothing connects before the first request.
        redis=RedisSettings(sentinels=(Endpoint("127.0.0.1", 1),)),
    )
    app = create_app(settings)
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        found.setdefault(rule.rule, set()).update(rule.methods or ())
    return {rule: sorted(methods) for rule, methods in sorted(found.items())}


@dataclass(frozen=True)
class Known:
    """What a client has that came as far as it may: verifications of its own, a key, a session and its token."""

    ids: tuple[str, ...]
    key: str
    cookie: str
    token: str


def _known(target: Target) -> Known:
    client, browser = target.client(key=target.shop), target.browser()
    browser.open("/")
    ids = (
        client.call("POST", "", {"to": "fuzzed@example.org"}).json()["id"],
        browser.send("/verify", email="fuzzed@example.org").location.rpartition("/")[2],
    )
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return Known(ids, target.shop, cookie, browser.fields["csrf_token"])


def fuzz_all_routes(target: Target, scale: Scale) -> Outcome:
    """Send random methods, bodies and headers to all routes, half of them nearly right, and bytes at random."""
    seed = secrets.randbits(32) if scale.seed is None else scale.seed
    rules, dice, known = routes(), random.Random(seed), _known(target)
    names = list(rules)
    requests = []
    for number in range(REQUESTS * scale.requests):
        rule = names[number % len(names)]
        make = _nearly_right if dice.random() < NEARLY_RIGHT else _nonsense
        requests.append((next(target.networks()), make(dice, rule, rules[rule], known)))

    def send(request: tuple[str, bytes]) -> RawAnswer:
        return say(target.port, request[1], ip=request[0], first_within_s=scale.hangs_after_s)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, requests))
    hung = sum(each.hung for each in answers)
    failed = [request[:80] for (_, request), each in zip(requests, answers, strict=True) if each.failed]
    statuses = Counter(each.statuses[0] for each in answers if each.statuses)
    alive = target.client().ask("GET", "/").status
    # Otherwise none of it came further than the door.
    came_in = {200, 422} <= statuses.keys() and bool({201, 303} & statuses.keys())
    return Outcome(
        f"no answer of 500, nothing hangs for {scale.hangs_after_s:.0f} s",
        f"{len(requests)} requests to {len(rules)} routes (seed {seed}): {len(failed)} failed {failed[:2] or ''}".rstrip()
        + f", {hung} hung, answers {', '.join(map(str, sorted(statuses)))}",
        not failed and not hung and came_in and alive == 200,
    )


def _path(dice: random.Random, rule: str, ids: Sequence[str]) -> str:
    odd = dice.choice(TEXTS).replace(" ", "%20").replace("\xff", "%ff").replace("\x00", "%00") or "%00"
    found = dice.choice([*ids, *ids, dice.randbytes(16).hex(), odd])
    return rule.replace("<verification_id>", found).replace(
        "<path:filename>", dice.choice([found, "verifier.css"])
    )


def _nearly_right(dice: random.Random, rule: str, methods: Sequence[str], known: Known) -> bytes:
    """Return a request that a route takes, with one thing or several of it at random."""
    is_api = rule.startswith("/v1")
    names = ("email", "code", "request", "resubmissions")
    if is_api:
        # Another one is refused before anybody looks at these.
        own = {"verifications": ["to"], "check": ["code"], "resend": []}.get(
            rule.rpartition("/")[2], ["to", "code"]
        )
        names = (*own, "client_ip")
    fields: dict[str, object] = {name: dice.choice(VALUES) for name in names if dice.random() < 0.8}
    if not is_api and dice.random() < 0.3:
        fields["email"] = f"fuzzed{dice.randrange(9999)}@example.org"
    if "to" in names and dice.random() < 0.3:
        fields["to"] = f"fuzzed{dice.randrange(9999)}@example.org"
        fields.pop("client_ip", None)
    more = [f"{name}: {dice.choice(TEXTS)}" for name in dice.sample(HEADERS, dice.randrange(2))]
    if is_api:
        body = json.dumps(fields if dice.random() < 0.9 else dice.choice(VALUES)).encode()
        more += [f"Authorization: Bearer {known.key}", "Content-Type: application/json"]
    else:
        body = urlencode({"csrf_token": known.token, **fields}, errors="surrogatepass").encode()
        more += [f"Cookie: {known.cookie}", f"Referer: https://{HOST}/", f"Content-Type: {FORM}"]
    return _written(dice.choice(methods), _path(dice, rule, known.ids), more, body)


def _nonsense(dice: random.Random, rule: str, methods: Sequence[str], known: Known) -> bytes:
    if dice.random() < 0.1:
        return dice.randbytes(dice.randrange(1, 400)) + b"\r\n\r\n"
    path = _path(dice, rule, known.ids)
    if dice.random() < 0.2:
        path += dice.choice(["?", "?a=%ff", "/", "//", "%00", "?csrf_token=x", "#", "?" + "a=b&" * 300])
    more = [f"{name}: {dice.choice(TEXTS)}" for name in dice.sample(HEADERS, dice.randrange(4))]
    more.append(f"Content-Type: {dice.choice(KINDS)}")
    if dice.random() < 0.5:
        more.append(f"Authorization: Bearer {known.key}")
    return _written(dice.choice([*METHODS, *methods]), path, more, dice.choice(BODIES))


def _written(method: str, path: str, more: Sequence[str], body: bytes) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}",
        "Connection: close",
        *more,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body
