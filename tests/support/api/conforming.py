"""A client of an app that holds every answer of the API against the app's own OpenAPI document."""

from __future__ import annotations

import json
import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from verifier.api.catalogue import all_examples
from verifier.api.openapi import build_document, operations_in
from verifier.container import Container

_MADE = "tests.openapi"


class ConformingClient(FlaskClient):
    """Fails with the first answer that is not documented: its status, type, members, their order, code or headers."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Ask, and look at the answer."""
        answer = super().open(*args, **kwargs)
        path, method = answer.request.path, answer.request.method
        if f"{path}/".startswith("/v1/") and method not in {"HEAD", "OPTIONS"}:
            require_documented(self.application, method, path, answer)
        return answer


def document_of(app: Flask) -> dict[str, Any]:
    """Return the document of an app; it is made once."""
    made: dict[str, Any] | None = app.extensions.get(_MADE)
    if made is None:
        container = app.extensions["verifier"]
        assert isinstance(container, Container)
        made = build_document(app, service_name=container.settings.name, is_open=False)
        app.extensions[_MADE] = made
    return made


def require_documented(app: Flask, method: str, path: str, answer: TestResponse) -> None:
    """Raise AssertionError where the document does not have the answer."""
    document = document_of(app)
    operation = _operation(document, method, path)
    body = json.loads(answer.data)
    if operation is None:
        assert answer.status_code in {404, 405}
        _is_documented_problem(app, document, answer, body)
        return
    documented = operation["responses"].get(str(answer.status_code))
    assert documented, f"{method} {path} answers {answer.status_code}, which is not documented: {body}"
    schema = documented["content"][answer.content_type]["schema"]
    _judge(document, schema, body)
    _has_members_in_order(document, schema, body)
    headers = documented.get("headers", {})
    for name in ("Retry-After", "WWW-Authenticate", "Idempotency-Key", "Idempotent-Replayed", "Location"):
        assert name in headers or name not in answer.headers, f"{name} is not documented for {method} {path}"
    for name in {"Location", "WWW-Authenticate", "X-Request-ID"} & set(headers):
        assert name in answer.headers
    if answer.status_code >= 400:
        examples = documented["content"][answer.content_type]["examples"]
        example = examples[body["code"]]["value"]
        assert list(example) == list(body)
        # The document is in English, as an answer is to whoever asks for nothing else.
        assert example["title"] == body["title"] or "Accept-Language" in answer.request.headers


def _is_documented_problem(app: Flask, document: dict[str, Any], answer: TestResponse, body: Any) -> None:
    assert answer.content_type == "application/problem+json"
    _judge(document, {"$ref": "#/components/schemas/Problem"}, body)
    every = all_examples(operation for *_, operation in operations_in(app))
    assert (answer.status_code, body["code"]) in {(each.status, each.code) for each in every}


def _operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    for template, item in document["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in item:
            found: dict[str, Any] = item[method.lower()]
            return found
    return None


def _judge(document: dict[str, Any], schema: dict[str, Any], body: object) -> None:
    # References are looked up in the whole; the schema stands beside.
    whole = {"components": document["components"], **schema}
    validator = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
    problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]
    assert not problems, problems


def _has_members_in_order(document: dict[str, Any], schema: dict[str, Any], body: dict[str, Any]) -> None:
    found = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    names = list(found["properties"])
    assert list(body) == [name for name in names if name in body], "not documented, or in another order"
    for name, value in body.items():
        if "$ref" in found["properties"][name] and isinstance(value, dict):
            _has_members_in_order(document, found["properties"][name], value)
