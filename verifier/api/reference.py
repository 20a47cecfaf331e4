"""The reference of the API, open to everybody: `/openapi.json` for programs, `/docs` for people."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, current_app, render_template
from markupsafe import Markup, escape

from verifier.api.openapi import build_document
from verifier.catalogues import SOURCE
from verifier.container import current_container
from verifier.languages import choose

_EXTENSION = "verifier.openapi"

blueprint = Blueprint("reference", __name__)


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """Return the OpenAPI document."""
    return Response(json.dumps(document(), indent=2) + "\n", content_type="application/json")


@blueprint.get("/docs")
def page() -> str:
    """Show the document as a page, made here: it needs no JavaScript and nothing from elsewhere. It is English."""
    choose(SOURCE)
    return render_template("api/reference.html", document=document(), resolved=_resolved, marked=_marked)


def document() -> dict[str, Any]:
    """Return the document of this app; it is made once."""
    made: dict[str, Any] | None = current_app.extensions.get(_EXTENSION)
    if made is None:
        settings = current_container().settings
        made = build_document(
            current_app,
            service_name=settings.name,
            is_open=settings.api_open and not settings.api_keys,
        )
        current_app.extensions[_EXTENSION] = made
    return made


def _marked(text: str) -> Markup:
    """Return a sentence for the page: what stands between backticks is code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup().join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference refers to, with what stands beside it; anything else as it is."""
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rpartition("/")[2]
    found: dict[str, Any] = document()["components"]["schemas"][name]
    return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
