"""The token of each form that is shown: sent again, by a person or by a page that tries by itself, it is the same request."""

from __future__ import annotations

import re
import secrets

from flask import Flask, request

FIELD = "request"
_TOKEN = re.compile(r"[0-9a-f]{32}")


def init_app(app: Flask) -> None:
    """Let templates ask for a token."""
    app.jinja_env.globals["new_form_token"] = new_form_token


def new_form_token() -> str:
    """Return a random token for a form that is about to be shown."""
    return secrets.token_hex(16)


def form_token() -> str:
    """Return the token of the form that was sent; empty where it has none, or one that we did not make."""
    token = request.form.get(FIELD, "")
    return token if _TOKEN.fullmatch(token) else ""
