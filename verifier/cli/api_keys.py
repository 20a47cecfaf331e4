"""`flask api-keys`: making keys for the JSON API. It needs no settings and asks nobody: there is no table of keys."""

from __future__ import annotations

import click

from verifier.domain.api_keys import entry_of, new_api_key


@click.group("api-keys")
def api_keys_group() -> None:
    """Make keys for the JSON API."""


@api_keys_group.command("new")
@click.argument("name")
def new_command(name: str) -> None:
    """Make a key and print it, this once, with the line for the settings.

    NAME says whose key it is: logs and limits name it, and so do the mails that it has sent. A second key with the same
    name takes over from the first: add it, let its user change to it, then remove the old one.
    """
    key = new_api_key()
    try:
        entry = entry_of(name, key)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from None
    click.echo(
        f"The key of {name}. It is shown this once; its user sends it as `Authorization: Bearer KEY`:\n"
    )
    click.echo(f"    {key}\n")
    click.echo(
        "The line for the settings, after a comma where there are keys already; then restart the web app:\n"
    )
    click.echo(f"    VERIFIER_API_KEYS={entry}")
