"""`flask secret-keys`: making keys that codes are derived from. It needs no settings."""

from __future__ import annotations

import click

from verifier.domain.keys import is_key_id, new_secret


@click.group("secret-keys")
def secret_keys_group() -> None:
    """Make the keys that codes are derived from."""


@secret_keys_group.command("new")
@click.argument("key_id", metavar="[ID]", default="k1")
def new_command(key_id: str) -> None:
    """Print a new key as it stands in VERIFIER_SECRET_KEYS; its id is k1, or ID.

    Where there are keys already, add it after them with an id of its own: "Rotating keys" in docs/settings.md has the
    steps.
    """
    if not is_key_id(key_id):
        raise click.BadParameter("it must be 1 to 32 letters, digits, _ and -.", param_hint="ID")
    click.echo(f"VERIFIER_SECRET_KEYS={key_id}:{new_secret()}")
