"""The commands of `flask`, each imported when it is used: the worker does not carry what the drill needs.

Commands are named by dotted path, as jobs are: this package imports nothing of `workers`.
"""

from __future__ import annotations

from importlib import import_module

import click
from flask import Flask
from flask.cli import AppGroup

_COMMANDS = {
    "worker": ("workers.cli", "worker_command"),
    "drill": ("verifier.drill.command", "drill_command"),
    "secret-keys": ("verifier.cli.secret_keys", "secret_keys_group"),
    "sentinel": ("verifier.cli.sentinel", "sentinel_group"),
    "check-settings": ("verifier.cli.check_settings", "check_settings_command"),
    "api-keys": ("verifier.cli.api_keys", "api_keys_group"),
    "deliveries": ("verifier.cli.deliveries", "deliveries_group"),
    "alerts": ("verifier.cli.alerts", "alerts_group"),
}


class LazyCommands(AppGroup):
    """A group that finds its commands by name and imports them only then."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *_COMMANDS})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command; None where there is none of this name."""
        if name not in _COMMANDS:
            return super().get_command(ctx, name)
        module, attribute = _COMMANDS[name]
        command: click.Command = getattr(import_module(module), attribute)
        return command


def add_commands(app: Flask) -> None:
    """Add the commands to `flask`."""
    app.cli = LazyCommands()
