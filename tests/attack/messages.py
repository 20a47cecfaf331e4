"""Bytes that two readers of HTTP understand differently, and line breaks that come back in an answer's headers."""

from __future__ import annotations

import re
import secrets
from concurrent.futures import ThreadPoolExecutor

from sentinel import wait_for
from tests.attack.clients import HOST, say
from tests.attack.outcome import Outcome, Scale
from tests.attack.target import Target

LOGGED_WITHIN_S = 60


def _request(
    head: str, body: str = "", path: str = "/verify", method: str = "POST", version: str = "1.1"
) -> bytes:
    """Return a request with these headers, lines being separated by |."""
    lines = [f"{method} {path} HTTP/{version}", f"Host: {HOST}", *head.split("|")]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")


def _hidden(marker: str) -> str:
    """Return the request that nobody may take for one of its own."""
    return f"GET /{marker} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"


def _messages(marker: str) -> dict[str, bytes]:
    hidden = _hidden(marker)
    whole = f"0\r\n\r\n{hidden}"
    chunk = f"{len(hidden):x}\r\n{hidden}\r\n0\r\n\r\n"
    chunked, length = "Transfer-Encoding: chunked", f"Content-Length: {len(whole)}"
    first = len(f"{len(hidden):x}\r\n")
    return {
        "CL.TE": _request(f"{length}|{chunked}", whole),
        "TE.CL": _request(f"{chunked}|Content-Length: {first}", chunk),
        "TE.TE": _request(f"{chunked}|Transfer-Encoding: identity|{length}", whole),
        "two lengths": _request(f"Content-Length: 0|Content-Length: {len(hidden)}", hidden),
        "two lengths in a line": _request(f"Content-Length: 0, {len(hidden)}", hidden),
        "TE of the other's": _request(f"Transfer-Encoding: xchunked|{length}", whole),
        "TE with a blank": _request(f"Transfer-Encoding : chunked|{length}", whole),
        "TE after a tab": _request(f"Transfer-Encoding:\tchunked|{length}", whole),
        "TE with a vertical tab": _request(f"Transfer-Encoding: \x0bchunked|{length}", whole),
        "TE in HTTP/1.0": _request(f"{chunked}|{length}", whole, version="1.0"),
        "obs-fold": _request(f"X-A: b| {chunked}|{length}", whole),
        "folded TE": _request(f"Transfer-Encoding:| chunked|{length}", whole),
        "underscore": _request(f"Transfer_Encoding: chunked|Content_Length: 0|{length}", whole),
        "length with a sign": _request(f"Content-Length: +{len(hidden)}", hidden),
        "length in hex": _request(f"Content-Length: 0x{len(hidden):x}", hidden),
        "length below zero": _request("Content-Length: -1", hidden),
        "length with a null": _request("Content-Length: 0\0", hidden),
        "line ends with LF": _request(f"X-A: b\n{chunked}\n{length}", whole),
        "line ends with CR": _request(f"X-A: b\r{chunked}|{length}", whole),
        "a length on GET": _request(f"Content-Length: {len(hidden)}", hidden, method="GET"),
        "chunks on GET": _request(chunked, chunk, method="GET"),
        "chunk extension": _request(chunked, f"{len(hidden):x};a=\n{hidden}\r\n0\r\n\r\n"),
        "chunk of too large a size": _request(chunked, f"ffffffffffffffff1\r\n{hidden}\r\n0\r\n\r\n"),
        "path with a line break": _request("X-A: b", path=f"/%0d%0a%0d%0aGET%20/{marker}"),
        "request line of three": f"GET / HTTP/1.1\r\nGET /{marker} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode(),
        "Upgrade": _request(
            f"Connection: Upgrade, HTTP2-Settings|Upgrade: h2c|HTTP2-Settings: AAMA|{length}", whole
        ),
        "Connection that drops the length": _request(f"Connection: Content-Length|{length}", whole),
    }


def smuggle_requests(target: Target, scale: Scale) -> Outcome:
    """Hide a request in another one; gunicorn must never see one that the proxy did not see as a request of its own."""
    mark = secrets.token_hex(6)
    # Two requests one after the other are nothing bad, and show that both logs tell what is looked for.
    honest = f"honest-{mark}"
    say(target.port, _request("Content-Length: 0") + _hidden(honest).encode(), first_within_s=60)
    names = list(_messages(""))
    numbered = {name: f"smuggled-{mark}-{number}-" for number, name in enumerate(names)}
    messages = {name: _messages(marker)[name] for name, marker in numbered.items()}
    with ThreadPoolExecutor(len(messages)) as pool:
        answers = dict(
            zip(
                messages,
                pool.map(
                    lambda each: say(target.port, each, first_within_s=15, quiet_s=1), messages.values()
                ),
                strict=True,
            )
        )
    # So that what came before is in both logs.
    assert target.client().ask("GET", f"/last-{mark}").status == 404
    told = wait_for(lambda: _seen(target, f"last-{mark}") == (1, 1), LOGGED_WITHIN_S)
    told = told and _seen(target, honest) == (1, 1)

    def hidden() -> list[str]:
        seen = {name: _seen(target, marker) for name, marker in numbered.items()}
        return [name for name, (by_gunicorn, by_proxy) in seen.items() if by_gunicorn > by_proxy]

    # The proxy's own line may come a moment after gunicorn's.
    wait_for(lambda: not hidden(), LOGGED_WITHIN_S if hidden() else 0)
    through = hidden()
    refused = sum(400 in each.statuses or 501 in each.statuses for each in answers.values())
    failed = sum(each.failed for each in answers.values())
    return Outcome(
        "gunicorn sees no request that the proxy does not see",
        f"{len(messages)} forms, {refused} refused, {len(through)} passed hidden {through or ''}".rstrip()
        + f", {failed} failed",
        told and not through and not failed and refused > len(messages) // 3,
    )


def _seen(target: Target, marker: str) -> tuple[int, int]:
    """Return how many requests with this path are in gunicorn's log, and how many in the proxy's."""
    request = re.compile(rf"GET /{marker}\b")
    return len(request.findall(target.web.output())), len(request.findall(target.proxy.output()))


def forge_log_lines(target: Target, scale: Scale) -> Outcome:
    """Ask for paths and with headers that hold line breaks and a line of one's own, and look into the logs."""
    mark = f"forged-{secrets.token_hex(6)}"
    places = (
        "GET /a{evil} HTTP/1.1",
        "GET /?{evil} HTTP/1.1",
        "{evil} / HTTP/1.1",
        "GET / HTTP/1.1\r\nReferer: {evil}",
    )
    breaks = ("%0d%0a", "%0a", "%0d", "%0b", "%c2%85", "%e2%80%a8", "%1b[2J", "\r", "\n", "\x0b", "\x85")
    for place in places:
        for end in breaks:
            line = place.format(evil=f"{end}{mark}")
            say(
                target.port,
                f"{line}\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode("latin-1"),
                first_within_s=60,
            )
    assert target.client().ask("GET", f"/last-{mark}").status == 404
    told = wait_for(lambda: _seen(target, f"last-{mark}") == (1, 1), LOGGED_WITHIN_S)
    logs = f"{target.web.output()}\n{target.proxy.output()}"
    # As any reader of the log may split it.
    forged = [line for line in logs.splitlines() if line.startswith(mark)]
    escapes = sum("\x1b" in line for line in logs.splitlines())
    return Outcome(
        "no line of the client's in a log, and nothing for a terminal",
        f"{len(places) * len(breaks)} tried, {len(forged)} lines forged, {escapes} escapes",
        told and not forged and not escapes,
    )


LINE_BREAKS = ("%0d%0a", "%0a", "%0d", "%E5%98%8A%E5%98%8D", "%c0%8d%c0%8a", "\r", "%00")
PLACES = (
    "GET /{evil} HTTP/1.1\r\n",
    "GET /verify/{evil} HTTP/1.1\r\n",
    "GET /verify/{evil}/resend HTTP/1.1\r\n",
    "GET /?a={evil} HTTP/1.1\r\n",
    "GET /v1/verifications/{evil} HTTP/1.1\r\n",
    "GET /static/{evil} HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\nX-Request-ID: {evil}\r\n",
    "GET / HTTP/1.1\r\nCookie: __Host-verifier_session={evil}\r\n",
    "GET /v1/verifications/a HTTP/1.1\r\nAuthorization: Bearer {evil}\r\n",
    "POST /v1/verifications HTTP/1.1\r\nIdempotency-Key: {evil}\r\nContent-Length: 0\r\n",
    "OPTIONS /verify HTTP/1.1\r\nOrigin: {evil}\r\nAccess-Control-Request-Headers: {evil}\r\n",
)


def inject_headers(target: Target, scale: Scale) -> Outcome:
    """Put line breaks and a header of one's own wherever something may come back."""
    requests = [
        f"{place.format(evil=f'a{end}X-Evil:1{end}Set-Cookie:evil=1')}Host: {HOST}\r\nConnection: close\r\n\r\n"
        for place in PLACES
        for end in LINE_BREAKS
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda each: say(target.port, each.encode("latin-1"), first_within_s=60), requests)
        )
    heads = [each.content.partition(b"\r\n\r\n")[0].lower() for each in answers]
    injected = sum(bool(re.search(rb"[\r\n](?:x-evil|set-cookie: ?evil)", head)) for head in heads)
    failed = sum(each.failed for each in answers)
    return Outcome(
        "no header of the client's in an answer",
        f"{len(requests)} tried, {injected} came back, {failed} failed",
        not injected and not failed,
    )
