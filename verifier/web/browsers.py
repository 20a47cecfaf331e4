"""Which browser asks: known by a random secret in its session, from the first address that it types on.

The session's cookie is signed, so nobody makes one up; Redis gets a digest only.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from flask import request, session

from verifier.domain.callers import Caller, CallerKind, browser

_NAME = "browser"


def starting_browser() -> Caller:
    """Return the browser that asks, from now on known where it was not."""
    if not isinstance(session.get(_NAME), str):
        session[_NAME] = secrets.token_hex(16)
    return _at_its_address(browser(session[_NAME]))


def this_browser() -> Caller:
    """Return the browser that asks; one that has started nothing yet is like no other."""
    secret = session.get(_NAME)
    found = browser(secret) if isinstance(secret, str) else Caller(CallerKind.PAGE, "unknown")
    return _at_its_address(found)


def _at_its_address(found: Caller) -> Caller:
    """Return the caller with the address that it comes from; create_app has the trusted proxies believed."""
    return replace(found, client_ip=request.remote_addr or "")
