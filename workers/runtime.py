"""What a worker process is made of, wired from the settings."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from sentinel.link import MasterLink
from verifier.deliveries import Deliveries, Settlement
from verifier.mail_relays import MailRelay
from verifier.parts import access_of, acknowledgement_of
from verifier.settings import MailSettings, Settings, SettingsError, load_settings
from workers.claiming import Claiming
from workers.jobs import Delivering
from workers.mailer import Mailer
from workers.outage import Outage
from workers.patience import Patience
from workers.relays import Relays
from workers.smtp import RelaySettings


@dataclass(frozen=True)
class Runtime:
    """The parts of one worker process."""

    settings: Settings
    link: MasterLink
    patience: Patience
    deliveries: Deliveries
    claiming: Claiming
    delivering: Delivering
    relays: Relays

    def settle(self, settlements: list[Settlement]) -> list[str]:
        """Write down what became of claims, however long Redis stays away. Raises Stopping."""
        return self.patience.until_it_works(
            lambda: self.deliveries.settle(self.link.redis, settlements), also_while_stopping=True
        )


def make_runtime(settings: Settings) -> Runtime:
    """Wire the parts; nothing connects yet.

    Raises:
        SettingsError: no sentinels are named, or the mail settings do not work together.
    """
    if not settings.redis.sentinels:
        raise SettingsError("VERIFIER_SENTINELS: name the sentinels as host:port,host:port,...")
    link = MasterLink(access_of(settings.redis), patience_s=settings.redis.request_deadline_s)
    patience = Patience(link, Outage())
    deliveries = Deliveries(acknowledgement_of(settings.redis), settings.rules)
    relays, mailer = _mailer(settings)
    return Runtime(
        settings=settings,
        link=link,
        patience=patience,
        deliveries=deliveries,
        claiming=Claiming(deliveries, link, patience),
        delivering=Delivering(mailer, settings.keys, settings.rules, deliveries.least_life_s),
        relays=relays,
    )


@functools.cache
def runtime_of(pid: int) -> Runtime:  # noqa: ARG001 - the key of the cache: a forked process makes its own
    """Give the runtime of this process, made from its environment at the first call."""
    return make_runtime(load_settings())


def _mailer(settings: Settings) -> tuple[Relays, Mailer]:
    try:
        relays = Relays(
            [_relay(settings.mail, relay) for relay in settings.mail.relays],
            weights=[relay.weight for relay in settings.mail.relays if relay.weight is not None] or None,
        )
        return relays, Mailer(settings.mail.default_sender, settings.name, relays)
    except ValueError as error:
        raise SettingsError(f"VERIFIER_MAIL_...: {error}") from None


def _relay(mail: MailSettings, relay: MailRelay) -> RelaySettings:
    return RelaySettings(
        name=f"{relay.host}:{relay.port}",
        host=relay.host,
        port=relay.port,
        username=relay.username,
        password=relay.password,
        security=relay.security,
        ca_file=mail.ca_file,
        verify_certificates=mail.verify_certificates,
        connect_timeout_s=mail.connect_timeout_s,
        command_timeout_s=mail.command_timeout_s,
    )
