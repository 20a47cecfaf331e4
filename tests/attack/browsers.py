"""What a page of somebody else has a person's browser do: send our forms, frame our pages, be led away by our redirects."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from tests.attack.clients import FORM, HOST, Answer, Browser
from tests.attack.outcome import Outcome, Scale
from tests.attack.target import Target
from verifier.store import keyspace

ELSEWHERE = {"Origin": "https://evil.example", "Referer": "https://evil.example/"}
NO_REFERRER = {"Origin": "null", "Referer": ""}


def forge_forms(target: Target, scale: Scale) -> Outcome:
    """Have a browser that is known here send forms: without a token, with somebody else's, from elsewhere."""
    person, attacker = target.browser(), target.browser()
    person.open("/")
    attacker.open("/")
    own = person.send("/verify", email="person@example.org")
    person.open(own.location)
    stolen = attacker.fields["csrf_token"]
    before = _all_records(target)
    answers: list[Answer] = []
    paths = ("/verify", own.location, f"{own.location}/resend", f"{own.location}/new")
    for path in paths:
        typed = {"email": "forged@example.org", "code": "123456"}
        ours = {"Origin": f"https://{HOST}", "Referer": f"https://{HOST}/"}
        token = person.fields["csrf_token"]
        tries: list[tuple[dict[str, str], dict[str, str]]] = [
            (ELSEWHERE, {}),
            (ours, {}),
            (ours, {"csrf_token": ""}),
            (ours, {"csrf_token": stolen}),
            (ours, {"csrf_token": f"{token}x"}),
            (ELSEWHERE, {"csrf_token": stolen}),
            (ELSEWHERE, {"csrf_token": token}),
            (NO_REFERRER, {"csrf_token": token}),
            ({**ELSEWHERE, "Referer": f"https://{HOST}.evil.example/"}, {"csrf_token": token}),
            ({**ELSEWHERE, "Referer": f"http://{HOST}/"}, {"csrf_token": token}),
        ]
        answers += [_post(person, path, {**typed, **fields}, headers) for headers, fields in tries]
        # Our token without our cookie.
        answers.append(_post(target.browser(), path, {**typed, "csrf_token": token}, ours))
    # The API takes no cookie for a key, and no form for JSON.
    for kind, body in ((FORM, "to=forged@example.org"), ("text/plain", '{"to": "forged@example.org"}')):
        sent = {"Content-Type": kind, **ELSEWHERE, "Cookie": _cookies(person)}
        answers.append(person.ask("POST", "/v1/verifications", body, sent))
    done = len(_all_records(target) ^ before)
    with target.redis() as redis:
        record: Any = redis.hgetall(keyspace.record_key(own.location.rpartition("/")[2]))
    untouched = record["status"] == "pending" and record["attempts"] == "0"
    obeyed = sum(each.status not in {400, 401, 403} for each in answers)
    return Outcome(
        "no form of another page is obeyed",
        f"{len(answers)} forged, {obeyed} obeyed, {done} records changed, the person's {'un' * untouched}touched",
        not obeyed and not done and untouched,
    )


def _post(browser: Browser, path: str, fields: dict[str, str], headers: dict[str, str]) -> Answer:
    cookies = {"Cookie": _cookies(browser)} if browser.cookies else {}
    return browser.ask("POST", path, urlencode(fields), {"Content-Type": FORM, **cookies, **headers})


def _cookies(browser: Browser) -> str:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def _all_records(target: Target) -> set[str]:
    with target.redis() as redis:
        return set(redis.scan_iter(f"{keyspace.RECORD_PREFIX}*", count=1000))


def frame_pages(target: Target, scale: Scale) -> Outcome:
    """Ask for all pages, errors among them, and look whether a page of somebody else may frame them."""
    browser = target.browser()
    browser.open("/")
    page = browser.send("/verify", email="framed@example.org").location
    paths = [
        "/",
        "/verify",
        page,
        f"{page}/delivery",
        f"{page}/delivery.json",
        "/nowhere",
        "/static/verifier.css",
    ]
    paths += [
        "/v1/verifications",
        "/v1/nowhere",
        "/healthz",
        "/servez",
        "/readyz",
        f"/verify/{'0' * 32}",
        "//evil",
        "/%ff",
    ]
    answers = [browser.open(path) for path in paths]
    answers += [browser.send(path, csrf_token="") for path in paths]
    open_to_all = [
        each.status
        for each in answers
        if each.headers.get("X-Frame-Options") not in {"DENY", "SAMEORIGIN"}
        or not re.search(r"frame-ancestors '(none|self)'", each.headers.get("Content-Security-Policy", ""))
    ]
    return Outcome(
        "no answer may be framed by another site",
        f"{len(answers)} answers, {len(open_to_all)} that may {open_to_all or ''}".rstrip(),
        not open_to_all,
    )


LEADS = (
    "//evil.example",
    "//evil.example/%2f..",
    "/\\evil.example",
    "/%5cevil.example",
    "///evil.example",
    "/verify//evil.example",
    "/verify//evil.example/resend",
    "/verify/%2f%2fevil.example/resend",
    "/verify/https:%2f%2fevil.example/resend",
    "/verify/..%2f..%2f%2fevil.example/resend",
    "/verify/%5c%5cevil.example/resend",
    "/verify/%09//evil.example/resend",
    "/verify/?next=https://evil.example",
    "/?url=//evil.example&next=//evil.example&return_to=//evil.example",
    "/verify/",
    "/static//evil.example",
    "/.//evil.example",
    "/verify/../..//evil.example",
    "/@evil.example",
)


def redirect_elsewhere(target: Target, scale: Scale) -> Outcome:
    """Ask for addresses from which a careless service leads on to another host."""
    browser = target.browser()
    browser.open("/")
    sent = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "//evil.example",
        "X-Original-URL": "//evil.example",
    }
    answers = [
        browser.ask(method, path, headers=sent) for path in LEADS for method in ("GET", "POST", "HEAD")
    ]
    answers.append(
        browser.send("/verify?next=//evil.example", email="led@example.org", next="//evil.example")
    )
    # What a browser takes for a path of this host.
    away = [each.location for each in answers if each.location and not re.match(r"/(?![/\\])", each.location)]
    led = sum(bool(each.location) for each in answers)
    return Outcome(
        "no redirect leads to another host",
        f"{len(answers)} tried, {led} redirects, {len(away)} elsewhere {away or ''}".rstrip(),
        led > 0 and not away,
    )
