"""What commands have in common: settings, the way to Redis, and errors as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import click

from sentinel import TRANSIENT, Backpressure, MasterLink, PermanentError
from verifier.container import make_deliveries, make_link
from verifier.settings import Settings, SettingsError, load_settings
from verifier.store.deliveries import Deliveries


@dataclass(frozen=True)
class CommandContext:
    """What a command on deliveries works with."""

    settings: Settings
    link: MasterLink
    deliveries: Deliveries


@contextmanager
def command_context() -> Iterator[CommandContext]:
    """Make a context from the environment, and close its link in the end. Raises ClickException."""
    with errors_as_sentences():
        settings = load_settings()
        with closing(make_link(settings.redis, watch=False)) as link:
            yield CommandContext(settings, link, make_deliveries(settings))


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Raise ClickException, which click prints, where a setting is wrong or Redis does not do what it is asked."""
    try:
        yield
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    except Backpressure as error:
        raise click.ClickException(f"Redis has no memory left for this: {error}") from None
    except PermanentError as error:
        raise click.ClickException(f"Redis can't be used: {error}") from None
    except TRANSIENT as error:
        raise click.ClickException(f"Redis can't be reached at the moment, try again: {error}") from None
