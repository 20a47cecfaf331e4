"""The OpenAPI 3.1 document: made from the routes, what is said beside each view, the types of the bodies, and the errors.

apispec puts it together, msgspec makes the schemas. What a view answers and is not said here fails a test.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import msgspec
from apispec import APISpec
from flask import Flask

from verifier.api import contract
from verifier.api.catalogue import AN_ID, Example, examples_of
from verifier.api.idempotency import HEADER, LONGEST_KEY, REPLAYED
from verifier.api.operations import Operation, operation_of

OPENAPI_VERSION = "3.1.0"
API_VERSION = "1.0.0"
_SECURITY = "apiKey"
_PROBLEM = "application/problem+json"
_REFERENCES = "#/components/schemas/{name}"
_IN_PATH = re.compile(r"<(\w+)>")
_READS, _CHANGES = "readVerification", ("checkCode", "resendMail", "cancelVerification")
# Names for what is generated from the document; they stay when a view gets another one.
_OPERATION_IDS = dict(
    zip(("start", "read", "check", "resend", "cancel"), ("startVerification", _READS, *_CHANGES), strict=True)
)
_ABOUT = (
    "Proves that a person can read an email address: start a verification, the person gets a code by mail, check the code "
    "that they typed. Bodies are JSON, times are ISO 8601 in UTC, errors are problem details (RFC 9457) with a stable "
    "`code`. Under /v1 nothing is taken away and nothing changes its meaning: members, values of `status`, codes and "
    "headers may be added, so ignore what you do not know."
)


def operations_in(app: Flask) -> Iterator[tuple[str, str, str, Operation]]:
    """Yield path, method in lower case, name and operation of each view that is described, in the order of the routes."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        operation = operation_of(view)
        if operation is not None:
            [method] = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            yield rule.rule, method.lower(), rule.endpoint, operation


def build_document(app: Flask, *, service_name: str, is_open: bool) -> dict[str, Any]:
    """Return the document of this app.

    Args:
        app: with the API registered.
        service_name: as people know it.
        is_open: whether the API answers without a key.
    """
    spec = APISpec(
        title=f"{service_name}: verifying email addresses",
        version=API_VERSION,
        openapi_version=OPENAPI_VERSION,
        info={"description": _ABOUT},
        servers=[{"url": "/", "description": "this service"}],
        security=[{}] if is_open else [{_SECURITY: []}],
    )
    spec.components.security_scheme(
        _SECURITY,
        {
            "type": "http",
            "scheme": "bearer",
            "description": "A key that whoever runs the service makes with `flask api-keys new NAME`.",
        },
    )
    for name, schema in _schemas().items():
        spec.components.schema(name, schema)
    for rule, method, endpoint, operation in operations_in(app):
        name = endpoint.rpartition(".")[2]
        described = _operation(name, operation, inspect.getdoc(app.view_functions[endpoint]) or "")
        parameters = [_path_parameter(each) for each in _IN_PATH.findall(rule)]
        spec.path(_IN_PATH.sub(r"{\1}", rule), operations={method: described}, parameters=parameters)
    return dict(spec.to_dict())


def _schemas() -> dict[str, Any]:
    kinds = [
        each
        for each in vars(contract).values()
        if inspect.isclass(each) and each.__module__ == contract.__name__ and each is not contract.Body
    ]
    _, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCES)
    for schema in components.values():
        if "enum" in schema:
            schema["type"] = "string"
    return components


def _operation(name: str, operation: Operation, summary: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _OPERATION_IDS[name],
        "summary": summary.rstrip("."),
        "description": operation.note,
    }
    if operation.may_be_repeated:
        described["parameters"] = [_key_parameter()]
    if operation.body is not None:
        fields = msgspec.structs.fields(operation.body)
        described["requestBody"] = {
            "required": any(each.required for each in fields),
            "content": {"application/json": {"schema": _schema_of(operation.body)}},
        }
    described["responses"] = {str(operation.status): _success(operation), **_refusals(operation)}
    return described


def _success(operation: Operation) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": inspect.getdoc(operation.answer),
        "content": {"application/json": {"schema": _schema_of(operation.answer)}},
    }
    headers = _request_id()
    if operation.status == 201:
        headers["Location"] = _header("Where the verification can be read.", contract.EXAMPLE_PATH)
        response["links"] = {
            each: {"operationId": each, "parameters": {"verification_id": "$response.body#/id"}}
            for each in (_READS, *_CHANGES)
        }
    if operation.may_be_repeated:
        headers[REPLAYED] = _header("Where the same request came before, with the same key.", "true")
    return {**response, "headers": headers}


def _refusals(operation: Operation) -> dict[str, Any]:
    by_status = groupby(examples_of(operation), key=lambda each: each.status)
    return {str(status): _refusal(operation, status, list(examples)) for status, examples in by_status}


def _refusal(operation: Operation, status: int, examples: list[Example]) -> dict[str, Any]:
    codes = [each.code for each in examples]
    narrowed = {"status": {"const": status}, "code": {"enum": codes}}
    response: dict[str, Any] = {
        "description": ", ".join(each.body["title"] for each in examples),
        "content": {
            _PROBLEM: {
                "schema": {**_schema_of(contract.Problem), "properties": narrowed},
                "examples": {each.code: {"value": each.body} for each in examples},
            }
        },
    }
    headers = _request_id()
    if any(each.retry_after_s is not None for each in examples):
        waits = [each for each in examples if each.retry_after_s is None]
        unless = f", unless `code` is {waits[0].code}: waiting does not help then" if waits else ""
        headers["Retry-After"] = _header(
            f"In how many seconds to try again{unless}.", 5, {"type": "integer", "minimum": 0}
        )
    if status == 401:
        headers["WWW-Authenticate"] = _header("As RFC 6750 has it.", 'Bearer realm="Verifier"')
    if status == 503 and operation.may_be_repeated:
        headers[HEADER] = _header(
            "Where the request named no key: the one with which trying again is safe.", "b2" * 16
        )
    return {**response, "headers": headers}


def _key_parameter() -> dict[str, Any]:
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": "Makes a repeat the same request: the same key leads to the same verification and the same result. "
        "In quotes, or without; best a UUID, and a new one for each new request.",
        "schema": {"type": "string", "pattern": f"^[!#-+\\--\\[\\]-~]{{1,{LONGEST_KEY}}}$"},
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    }


def _path_parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": "The id of a verification, as its start answered it.",
        "schema": {"type": "string", "pattern": contract.ID_PATTERN},
    }


def _header(description: str, example: object, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": description, "schema": schema or {"type": "string"}, "example": example}


def _request_id() -> dict[str, Any]:
    """Return the header that every answer of the app has (web/request_ids.py)."""
    [example] = AN_ID.values()
    return {"X-Request-ID": _header("By it the operators find the request in their log.", example)}


def _schema_of(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REFERENCES.format(name=kind.__name__)}
