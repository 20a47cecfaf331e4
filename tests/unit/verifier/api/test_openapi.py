"""The OpenAPI document says what the API has, and the page shows it. What the API answers is held against it everywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from sentinel import Endpoint
from verifier import create_app
from verifier.api.catalogue import all_examples
from verifier.api.openapi import operations_in
from verifier.domain import errors
from verifier.domain.errors import VerifierError
from verifier.domain.keys import KeyRing
from verifier.settings import RedisSettings, Settings

ROOT = Path(__file__).resolve().parents[4]
SETTINGS = Settings(
    name="Example <Shop>",
    keys=KeyRing("k1", {"k1": b"a secret of the tests that is long enough"}),
    redis=RedisSettings(sentinels=(Endpoint("127.0.0.1", 1),)),
)
# Said on the pages only, to a browser that did not start the verification.
NOT_OF_THE_API = {errors.StartedElsewhere}


@pytest.fixture(scope="module")
def app() -> Flask:
    """An app whose Redis nobody asks for anything."""
    return create_app(SETTINGS)


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    """The document as it is served."""
    answer = app.test_client().get("/openapi.json")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    return dict(json.loads(answer.data))


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from _objects(each)


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    """By the specification's own schema; every reference leads somewhere, every example is one."""
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()
    assert document["info"]["title"].startswith("Example <Shop>")


def test_every_route_is_in_it(app: Flask, document: dict[str, Any]) -> None:
    """With its method, and nothing that is not there."""
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if rule.rule.startswith("/v1") and method not in {"HEAD", "OPTIONS"}
    }
    described = {
        (path, method)
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert described == routes
    assert len(described) == 5


def test_every_error_has_an_example(app: Flask) -> None:
    """A new error of the domain is documented, or said to be none of the API's."""

    def below(kind: type[VerifierError]) -> set[type[VerifierError]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    documented = {each.code for each in all_examples(operation for *_, operation in operations_in(app))}
    missing = {
        each for each in below(VerifierError) if each.code not in documented and each not in NOT_OF_THE_API
    }
    assert missing == set()


def test_what_the_proxy_answers_by_itself_is_in_it(app: Flask) -> None:
    """Its codes are the app's, or documented beside them."""
    every = all_examples(operation for *_, operation in operations_in(app))
    documented = {(each.status, each.code) for each in every}
    answered = set()
    for name in ("nginx.conf", "start-proxy.sh"):
        text = (ROOT / "deploy/proxy" / name).read_text(encoding="utf-8")
        answered |= {
            (int(status), code) for status, code in re.findall(r'"status": (\d+), "code": "(\w+)"', text)
        }
    assert len(answered) == 4
    assert answered <= documented


def test_the_examples_are_what_their_schemas_want(document: dict[str, Any]) -> None:
    """Of problems, members and headers."""
    whole = {"components": document["components"]}
    count = 0
    for content in (each for each in _objects(document) if "examples" in each and "schema" in each):
        for example in content["examples"].values():
            Draft202012Validator({**whole, **content["schema"]}).validate(example["value"])
            count += 1
    for schema in (each for each in _objects(document) if isinstance(each.get("examples"), list)):
        for example in schema["examples"]:
            Draft202012Validator({**whole, **schema}).validate(example)
            count += 1
    for header in (each for each in _objects(document) if "example" in each):
        Draft202012Validator(header["schema"]).validate(header["example"])
        count += 1
    assert count > 50


def test_no_body_takes_what_is_not_in_it(document: dict[str, Any]) -> None:
    """And members that may be left out are the only ones that may."""
    bodies = {name: each for name, each in document["components"]["schemas"].items() if name.endswith("Body")}
    assert set(bodies) == {"StartBody", "CheckBody", "ResendBody", "CancelBody"}
    assert {each["additionalProperties"] for each in bodies.values()} == {False}
    assert {name: each["required"] for name, each in bodies.items()} == {
        "StartBody": ["to"],
        "CheckBody": ["code"],
        "ResendBody": [],
        "CancelBody": [],
    }


def test_it_says_whether_a_key_is_needed(document: dict[str, Any]) -> None:
    """An open API needs none."""
    assert document["security"] == [{"apiKey": []}]
    opened = create_app(replace(SETTINGS, api_open=True)).test_client()
    assert json.loads(opened.get("/openapi.json").data)["security"] == [{}]
    assert "answers without a key" in opened.get("/docs").text


def test_the_page_shows_all_of_it(app: Flask, document: dict[str, Any]) -> None:
    """Every request, member, status, code and header; nothing from elsewhere, and no script of its own."""
    answer = app.test_client().get("/docs")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    text = answer.text
    shown = set(re.findall(r"<code>([^<]*)</code>", text))
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            assert f"<b>{method.upper()}</b> {path}" in text
            assert f'id="{operation["operationId"]}"' in text
            for status, response in operation["responses"].items():
                assert f"<b>{status}</b>" in text
                for content in response["content"].values():
                    assert set(content.get("examples", {})) <= shown
    for schema in document["components"]["schemas"].values():
        assert set(schema.get("properties", {})) <= shown
    assert "Example &lt;Shop&gt;" in text
    assert "`" not in text
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert re.findall(r'(?:src|href)="(?!/|#)', text) == []
    assert re.findall(r"<script(?! src)|<style| style=| on\w+=", text) == []


def test_the_guide_has_every_problem(app: Flask) -> None:
    """docs/api.md has a table of them: each status and code, and no other."""
    guide = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    table = guide.partition("## Errors")[2].partition("\n## ")[0]
    rows = {
        (int(status), code) for status, code in re.findall(r"^\| (\d{3}) \| `(\w+)` \|", table, re.MULTILINE)
    }
    every = all_examples(operation for *_, operation in operations_in(app))
    assert rows == {(each.status, each.code) for each in every}
