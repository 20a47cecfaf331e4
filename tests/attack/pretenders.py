"""Say that one is somebody else: another host, another client, another prefix, https."""

from __future__ import annotations

import random
import time
from collections import Counter

from tests.attack.clients import HOST, Browser, say
from tests.attack.outcome import Outcome, Scale
from tests.attack.target import Target

FOREIGN_HOSTS = (
    "evil.example",
    f"{HOST}.evil.example",
    f"evil.{HOST}",
    f"{HOST}@evil.example",
    f"evil.example#{HOST}",
    f"{HOST},evil.example",
    "localhost",
    "[::1]",
    "169.254.169.254",
    f"{'a' * 64}.evil.example",
    "evil..example",
    "",
)


def forge_the_host(target: Target, scale: Scale) -> Outcome:
    """Ask under other names, two names, and one in the request line, and look whether the name comes back."""
    client = target.client()
    paths = ("/", "/verify", "/v1", "/v1/verifications", "/nowhere", "/static/verifier.css")
    refused = [client.ask("GET", path, headers={"Host": host}) for path in paths for host in FOREIGN_HOSTS]
    more = (
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nHost: evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost : evil.example\r\nHost: {HOST}\r\n\r\n",
        f"GET / HTTP/1.1\r\n Host: evil.example\r\nHost: {HOST}\r\n\r\n",
        f"GET http://evil.example/ HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n",
        f"GET http://{HOST}/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    )
    raw = [say(target.port, each.encode(), first_within_s=60) for each in more]
    headers = {"X-Forwarded-Host": "evil.example", "X-Host": "evil.example", "Forwarded": "host=evil.example"}
    fooled = Browser(target.port, next(target.networks()))
    shown = fooled.ask("GET", "/", headers=headers)
    answered = sum(each.status != 400 for each in refused)
    named = sum("evil.example" in each.anywhere() for each in (*refused, shown))
    named += sum(b"evil.example" in each.content for each in raw)
    failed = sum(each.failed for each in raw)
    return Outcome(
        "400 under each foreign name; the name never comes back",
        f"{len(refused) + len(raw) + 1} tried, {answered} answered, {named} names came back, {failed} failed",
        not answered and not named and not failed and shown.status == 200,
    )


def forge_the_client(target: Target, scale: Scale) -> Outcome:
    """From one network, name another client in every header that somebody believes, so that no limit is reached."""
    began_at, statuses = time.monotonic(), Counter[int]()
    network = next(target.networks())
    limit = target.limits.mails_per_address_and_network
    for number in range(2 * int(limit.most_within(0)) + 5):
        pretended = f"{random.randrange(11, 120)}.{random.randrange(256)}.{random.randrange(256)}.1"
        names = (
            "X-Forwarded-For",
            "X-Real-IP",
            "X-Client-IP",
            "True-Client-IP",
            "CF-Connecting-IP",
            "Client-IP",
        )
        forged = dict.fromkeys(names, f"{pretended}, 127.0.0.1" if number % 2 else pretended) | {
            "Forwarded": f"for={pretended}"
        }
        browser = Browser(target.port, network)
        browser.open("/")
        statuses[browser.send("/verify", forged, email="claimed@example.org").status] += 1
    most = limit.most_within(time.monotonic() - began_at)
    return Outcome(
        f"counted as one client: at most {most} mails",
        f"{statuses[303]} of {statuses.total()} accepted",
        0 < statuses[303] <= most and set(statuses) == {303, 429},
    )


def forge_the_way(target: Target, scale: Scale) -> Outcome:
    """Say that the request came without TLS, under a prefix, for another path; our cookies must not follow."""
    headers = {
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Ssl": "off",
        "X-Forwarded-Port": "81",
        "X-Forwarded-Prefix": "/evil",
        "Script-Name": "/evil",
        "SCRIPT_NAME": "/evil",
        "Path-Info": "/evil",
        "X-Original-URL": "/evil",
        "X-Rewrite-URL": "/evil",
        "X-HTTP-Method-Override": "DELETE",
    }
    browser = Browser(target.port, next(target.networks()))
    answers = [
        browser.ask("GET", path, headers=headers) for path in ("/", f"/verify/{'0' * 32}/resend", "/verify")
    ]
    cookies = [line for each in answers for line in each.headers.get_all("Set-Cookie", [])]
    insecure = sum("Secure" not in line or not line.startswith("__Host-") for line in cookies)
    named = sum("/evil" in each.anywhere() for each in answers)
    without_hsts = sum("Strict-Transport-Security" not in each.headers for each in answers)
    return Outcome(
        "cookies stay __Host- and Secure; no prefix comes back",
        f"{len(cookies)} cookies, {insecure} insecure, {without_hsts} without HSTS, {named} prefixes came back",
        bool(cookies) and not insecure and not named and not without_hsts,
    )
