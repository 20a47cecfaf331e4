"""`flask alerts`: whether anybody is told."""

from __future__ import annotations

import time

import click

from verifier.alerts.book import State
from verifier.alerts.webhook import TEST, payload, post
from verifier.settings import SettingsError, load_settings


@click.group("alerts")
def alerts_group() -> None:
    """Alerts by the webhook of VERIFIER_ALERT_WEBHOOK."""


@alerts_group.command("test")
def test_command() -> None:
    """Post a test message, and say what came back. Exits with 1 where it was not taken."""
    try:
        settings = load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    if not settings.alerts.webhook:
        raise click.ClickException("VERIFIER_ALERT_WEBHOOK is not set, so nobody is told of alerts.")
    body = payload(TEST, State.FIRING, "This is a test, and nothing is wrong.", time.time(), settings.name)
    failure = post(settings.alerts.webhook, body)
    if failure is not None:
        raise click.ClickException(f"The webhook did not take the message: {failure}.")
    click.echo("The webhook took the message: look whether it shows where you read it.")
