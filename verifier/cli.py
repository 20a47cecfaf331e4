"""The commands of `flask`.

The worker's command is named by its dotted path, as its jobs are: this package imports nothing of `workers`.
"""

from __future__ import annotations

from importlib import import_module

from flask import Flask

_COMMANDS = {
    "worker": ("workers.cli", "worker_command"),
    "drill": ("verifier.drill.command", "drill_command"),
    "sentinel": ("verifier.sentinel_commands", "sentinel_group"),
}


def add_commands(app: Flask) -> None:
    """Add the commands to `flask`."""
    for name, (module, attribute) in _COMMANDS.items():
        app.cli.add_command(getattr(import_module(module), attribute), name)
