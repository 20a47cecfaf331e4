"""Commands beside a `flask run` that brought its own topology: they find it where no sentinels are named."""

from __future__ import annotations

import os

import click

from verifier.dev.running import WhichRun, adopt


def find_running() -> None:
    """Point the settings to the run that is on, and say so on standard error. Raises ClickException."""
    try:
        found = adopt(os.environ)
    except WhichRun as error:
        raise click.ClickException(str(error)) from None
    if found:
        click.echo(found, err=True)
