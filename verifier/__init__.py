"""Verifier proves that a person can read an email address.

`create_app` puts the app together (`app.py`), from what `wiring` makes. The way of a mail: web/ or api/ -> service ->
store -> the RQ queue -> workers/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from verifier.settings import Settings

__all__ = ["create_app"]


def create_app(settings: Settings | None = None) -> Flask:
    """Make the app from the given settings, or from those of the environment.

    Raises:
        SettingsError: a setting is wrong, or no sentinels are configured.
    """
    # Not at the top: gunicorn's parent process imports verifier.loglines, and what else it imported a HUP would not load anew.
    from verifier.app import make_app  # noqa: PLC0415

    return make_app(settings)
