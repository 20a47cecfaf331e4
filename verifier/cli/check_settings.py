"""`flask check-settings`: whether the settings would let app and worker start; nothing is started or reached."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TextIO

import click

from verifier.settings import SettingsError, load_settings, unknown_names


@click.command("check-settings")
@click.option(
    "--file",
    "file",
    type=click.File(),
    help="A file of settings in place of .env; - for standard input.",
)
def check_settings_command(file: TextIO | None) -> None:
    """Say what is wrong with the settings: a sentence for each.

    A name that looks like a setting and is none counts as wrong here. Exits with 1 when anything is wrong.
    """
    with tempfile.TemporaryDirectory() as directory:
        dotenv = Path(".env")
        if file is not None:
            # The settings are read from files that have a name.
            dotenv = Path(directory, "settings")
            dotenv.write_text(file.read())
        found = _sentences(dotenv)
    for sentence in found:
        click.echo(sentence)
    if found:
        raise SystemExit(1)
    click.echo("The settings are right.")


def _sentences(dotenv: Path) -> list[str]:
    found = []
    try:
        settings = load_settings(dotenv, warn=False)
        if not settings.redis.sentinels:
            found.append("VERIFIER_SENTINELS: It is not set.")
    except SettingsError as error:
        found += str(error).splitlines()
    except OSError as error:
        return [f"The settings in {dotenv} can't be read: {error.strerror}. Give this user the right to."]
    return found + list(unknown_names(os.environ))
