"""From a command to an app: what `wsgi.py` does for `flask run`, the other flask commands and gunicorn.

`flask run` without sentinels brings its own surroundings. Any other start needs its settings; a wrong one
ends it with a sentence. Commands that need no app (`flask --help`, `flask worker`, `flask drill`) get one
that only holds commands.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn

import click
from flask import Flask
from flask.helpers import get_debug_flag

from verifier import create_app
from verifier.alerts.wiring import monitor_of
from verifier.cli import add_commands
from verifier.container import Container, container_of
from verifier.dev import is_wanted
from verifier.loglines import configure_logging, early_settings
from verifier.logs import quieten_nonsense
from verifier.settings import SettingsError
from verifier.time_check import check_time_budget

# gunicorn takes this code of a worker as "don't start another one".
CANNOT_START = 3


def make_app() -> Flask:
    """Make the app for whoever imports `wsgi`."""
    context = click.get_current_context(silent=True)
    command = context.info_name if context else None
    if context is not None and context.parent is None:
        return _only_commands()
    # gunicorn has no command.
    configure_logging(early_settings(os.environ), for_a_person=command is not None)
    quieten_nonsense()
    try:
        app = _served_by_flask_run(context) if context and command == "run" else create_app()
    except SettingsError as error:
        if command not in {None, "run"}:
            return _only_commands()
        _end_with(str(error))
    if command in {None, "run"}:
        container = container_of(app)
        check_time_budget(container.link, container.settings.redis)
        _tell_of_alerts(container)
    add_commands(app)
    return app


def _tell_of_alerts(container: Container) -> None:
    monitor = monitor_of(container.settings, container.link)
    if monitor is not None:
        monitor.start()
        # Otherwise nobody would tell until the lease of this process has run out.
        atexit.register(monitor.stop)


def _served_by_flask_run(context: click.Context) -> Flask:
    if not is_wanted(os.environ):
        return create_app()
    # Only development has the embedded surroundings, and only it has what they need installed.
    try:
        from verifier.dev import embedded  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        _end_with(
            f"No VERIFIER_SENTINELS are named, and to bring its own Redis `flask run` needs {missing.name}, which only "
            "requirements-dev.txt brings: name the sentinels, or install that."
        )
    from sentinel import (  # noqa: PLC0415
        LocalStartError,
        RedisServerMissing,
        TopologyError,
    )
    from verifier.dev import mailbox  # noqa: PLC0415

    reload = context.params.get("reload")
    options = embedded.RunOptions(
        host=context.params["host"],
        port=context.params["port"],
        reloads=get_debug_flag() if reload is None else bool(reload),
    )
    try:
        maildir, note = embedded.start(options, os.environ)
    except (embedded.PortTaken, RedisServerMissing, LocalStartError, TopologyError) as error:
        _end_with(str(error))
    app = create_app()
    if options.is_on_loopback:
        mailbox.init_app(app, maildir, note)
    return app


def _only_commands() -> Flask:
    app = Flask("verifier")
    add_commands(app)
    return app


def _end_with(sentences: str) -> NoReturn:
    print(f"Verifier can't start:\n{sentences}", file=sys.stderr)
    raise SystemExit(CANNOT_START)
