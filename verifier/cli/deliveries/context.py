"""What each command works with: the settings, the link to the master, the steps; and where it prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
from rich.console import Console

from sentinel import TRANSIENT, Backpressure, MasterLink, PermanentError
from verifier.loglines import masked
from verifier.settings import Settings, SettingsError, load_settings
from verifier.store.deliveries import Deliveries
from verifier.wiring import deliveries_of, link_of

_WIDTH_OF_FILES = 220


@dataclass(frozen=True)
class CommandContext:
    """What a command works with."""

    settings: Settings
    link: MasterLink
    deliveries: Deliveries

    def discreet(self, text: str) -> str:
        """Return a text with its addresses as the log may have them (VERIFIER_LOG_ADDRESSES)."""
        return text if self.settings.logs.shows_addresses else masked(text)


@contextmanager
def command_context() -> Iterator[CommandContext]:
    """Make a context from the environment, and close its link in the end. Raises ClickException."""
    try:
        settings = load_settings()
        link = link_of(settings, watch=False)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    try:
        yield CommandContext(settings, link, deliveries_of(settings))
    except Backpressure as error:
        raise click.ClickException(f"Redis has no memory left for it: {error}") from None
    except PermanentError as error:
        raise click.ClickException(f"Redis can't be used: {error}") from None
    except TRANSIENT as error:
        raise click.ClickException(f"Redis can't be reached at the moment, try again: {error}") from None
    finally:
        link.close()


def console_for_deliveries() -> Console:
    """Return where to print: as wide as the terminal is, wide enough for all where there is none."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    return console
