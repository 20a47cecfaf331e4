"""Looking into an app."""

from __future__ import annotations

from flask import Flask

from verifier.parts import Parts


def parts_of(app: Flask) -> Parts:
    """Give what an app is made of."""
    parts = app.extensions["verifier"]
    assert isinstance(parts, Parts)
    return parts
