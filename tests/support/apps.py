"""Looking into an app."""

from __future__ import annotations

from flask import Flask

from verifier.container import Container


def container_of(app: Flask) -> Container:
    """Return what an app is made of."""
    parts = app.extensions["verifier"]
    assert isinstance(parts, Container)
    return parts
