"""What operators' commands have in common: the settings, also beside a `flask run`, who runs them, and what they write down."""

from __future__ import annotations

import getpass
import os
import socket
import sys

import click
from redis import RedisError

from sentinel import Access
from verifier.dev.running import WhichRun, adopt
from verifier.settings import RedisSettings, SettingsError, load_redis_settings, load_settings
from verifier.store.history import HistoryEvent, record_event
from verifier.store.keyspace import Queue
from verifier.wiring import access_of_operators, ask_as_app

_WRITE_WITHIN_S = 5.0


def find_running() -> None:
    """Point the settings to the `flask run` that is on, where no sentinels are named; say so on standard error.

    Raises ClickException where several are.
    """
    try:
        found = adopt(os.environ)
    except WhichRun as error:
        raise click.ClickException(str(error)) from None
    if found:
        click.echo(found, err=True)


def settings_of_redis() -> RedisSettings:
    """Read what leads to Redis. Raises ClickException, also where no sentinel is named."""
    try:
        redis = load_redis_settings()
        access_of_operators(redis)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    return redis


def access() -> Access:
    """Return the operators' way to everybody. Raises as `settings_of_redis` does."""
    return access_of_operators(settings_of_redis())


def queue() -> Queue:
    """Return the service's queue; the usual one where an operator does not hold the service's settings."""
    try:
        return Queue(load_settings().queue)
    except SettingsError:
        return Queue()


def who() -> str:
    """Return who runs this command and where: `ann (as root) on host1`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in a container
        user = f"user {os.getuid()}"
    person = os.environ.get("SUDO_USER", "")
    named = f"{person} (as {user})" if person and person != user else user
    return f"{named} on {socket.gethostname()}"


def ask(question: str, *, yes: bool) -> None:
    """Ask a person, unless they said yes already.

    Raises:
        click.Abort: they say no.
        ClickException: there is no terminal, so nobody to ask.
    """
    if yes:
        return
    if not is_terminal():
        raise click.ClickException(
            "Nothing was changed: without a terminal nobody can be asked. Run it with --yes if it shall be done."
        )
    click.confirm(question, abort=True)


def is_terminal() -> bool:
    """Return whether somebody could answer a question."""
    return sys.stdin.isatty()


def write_down(redis: RedisSettings, event: HistoryEvent, *, age_s: float = 0.0) -> str:
    """Write into the history what this command did `age_s` seconds ago; return why it could not, or an empty text."""
    try:
        ask_as_app(redis, lambda client: record_event(client, event, age_s=age_s), within_s=_WRITE_WITHIN_S)
    except RedisError as error:
        return f"It could not be written into the history (`flask sentinel history`): {error}"
    return ""
