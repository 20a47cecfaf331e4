"""Which id a request gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Response

from verifier.loglines import current_request_id
from verifier.web.request_ids import ENVIRON, HEADER, RequestIds


def _app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the id that is known while the request is served, and the one of the access log."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{current_request_id()} {environ[ENVIRON]}".encode()]


def _ids(given: str, *, trusts_proxy: bool) -> set[str]:
    answer: Response = Client(RequestIds(_app, trusts_proxy=trusts_proxy)).get("/", headers={HEADER: given})
    return {answer.headers[HEADER], *answer.text.split(" ")}


@pytest.mark.parametrize("given", ["0123abcd", "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "A_b.c-d-" * 8])
def test_a_trusted_proxy_names_the_request(given: str) -> None:
    """The answer, the lines and the access log all have its id."""
    assert _ids(given, trusts_proxy=True) == {given}


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "two words", "a@b.example", "id;<script>"])
def test_what_is_no_id_is_replaced(given: str) -> None:
    """Also where it comes from the proxy."""
    [made] = _ids(given, trusts_proxy=True)
    assert made != given
    assert len(made) == 32


def test_a_client_names_no_request() -> None:
    """It might name another's; and each request has an id of its own."""
    given = "0123456789abcdef"
    made = _ids(given, trusts_proxy=False), _ids(given, trusts_proxy=False)
    assert given not in made[0] | made[1]
    assert made[0] != made[1]


def test_after_the_request_there_is_none() -> None:
    """The thread serves others."""
    _ids("0123abcd", trusts_proxy=True)
    assert current_request_id() == ""
