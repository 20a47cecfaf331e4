"""The pages with a logo and a colour of their own, and without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from verifier.container import Container
from verifier.settings.brand import Brand, parse_accent


@pytest.fixture
def branded(app: Flask, container: Container, tmp_path: Path) -> FlaskClient:
    """A browser on pages with both."""
    logo = tmp_path / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg"><style>a{}</style></svg>', encoding="utf-8")
    settings = replace(container.settings, brand=Brand(parse_accent("#7a2048"), logo))
    app.extensions["verifier"] = replace(container, settings=settings)
    return app.test_client()


def test_the_pages_have_the_logo_and_the_colour(branded: FlaskClient) -> None:
    """From our own host, so that the policy of the pages stays as it is."""
    page = branded.get("/")
    assert 'src="/brand/logo"' in page.text
    assert 'favicon.svg" alt' not in page.text
    assert 'href="/brand/style.css"' in page.text
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    with branded.get("/brand/style.css") as style:
        assert style.mimetype == "text/css"
        assert "--accent: #7a2048;" in style.text
    assert (
        branded.get("/brand/style.css", headers={"If-None-Match": style.headers["ETag"]}).status_code == 304
    )
    with branded.get("/brand/logo") as logo:
        assert logo.mimetype == "image/svg+xml"
        assert "sandbox" in logo.headers["Content-Security-Policy"]
        assert logo.headers["X-Content-Type-Options"] == "nosniff"


def test_without_them_there_is_nothing(app: Flask) -> None:
    """404, and the pages ask for neither."""
    client = app.test_client()
    assert "/brand/" not in client.get("/").text
    for path in ("/brand/logo", "/brand/style.css"):
        assert client.get(path).status_code == 404
