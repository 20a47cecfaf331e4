"""What a worker process is made of, wired from the settings."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from sentinel import MasterLink
from verifier.domain.hosts import is_loopback_name
from verifier.metrics.link import LinkMetrics
from verifier.metrics.page import MetricsPage
from verifier.metrics.state import StateCollector
from verifier.settings import MailRelay, MailSettings, Settings, SettingsError, load_settings
from verifier.store.deliveries import Deliveries, Settlement
from verifier.wiring import deliveries_of, link_of
from workers.claiming import Claiming
from workers.delivery import Deliverer
from workers.health.pulse import PulseFile
from workers.mail.mailer import Mailer
from workers.metrics.counters import WorkerMetrics
from workers.recovery import Writing
from workers.retry_policy import STATES_OF_REDIS, Outage, RetryPolicy
from workers.smtp.relay_settings import RelaySettings
from workers.smtp.relays import Relays


@dataclass(frozen=True)
class WorkerContainer:
    """The parts of one worker process."""

    settings: Settings
    link: MasterLink
    retry_policy: RetryPolicy
    writing: Writing
    deliveries: Deliveries
    claiming: Claiming
    deliverer: Deliverer
    relays: Relays
    metrics: WorkerMetrics
    metrics_page: MetricsPage
    suspended: threading.Event
    """Set while somebody has suspended all work (`rq suspend`)."""

    def settle(self, settlements: list[Settlement]) -> list[str]:
        """Write settlements, however long Redis stays away; return what became of each. Raises Stopping."""

        def write() -> list[str]:
            try:
                return self.deliveries.settle(self.link.redis, settlements)
            except STATES_OF_REDIS:
                self.writing.failed()
                raise

        replies = self.retry_policy.until_it_works(write, also_while_stopping=True)
        for each in settlements:
            self.metrics.settled(each.outcome)
        return replies


def make_worker_container(settings: Settings) -> WorkerContainer:
    """Wire the parts; nothing connects yet.

    Raises:
        SettingsError: no sentinels are named, or the mail settings do not work together.
    """
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry, [_name_of(relay) for relay in settings.mail.relays])
    link = link_of(settings, observer=LinkMetrics(registry))
    retry_policy = RetryPolicy(link, Outage(), PulseFile())
    deliveries = deliveries_of(settings)
    relays, mailer = _mailer(settings, metrics)
    return WorkerContainer(
        settings=settings,
        link=link,
        retry_policy=retry_policy,
        writing=Writing(),
        deliveries=deliveries,
        claiming=Claiming(deliveries, link, retry_policy),
        deliverer=Deliverer(
            mailer, relays, settings.keys, settings.rules, least_life_s=deliveries.least_life_s
        ),
        relays=relays,
        metrics=metrics,
        metrics_page=MetricsPage(registry, StateCollector(link, settings)),
        suspended=threading.Event(),
    )


@functools.cache
def worker_container_of(pid: int) -> WorkerContainer:  # noqa: ARG001 - the key of the cache: a forked process makes its own
    """Return the container of this process, made from its environment at the first call."""
    return make_worker_container(load_settings())


def site_of(settings: Settings) -> str:
    """Return where people are asked for their codes: the first of the hosts; empty where it is this machine, or none."""
    if not settings.hosts or is_loopback_name(settings.hosts[0]):
        return ""
    return settings.hosts[0]


def _mailer(settings: Settings, metrics: WorkerMetrics) -> tuple[Relays, Mailer]:
    try:
        relays = Relays(
            [_relay(settings.mail, relay) for relay in settings.mail.relays],
            weights=[relay.weight for relay in settings.mail.relays if relay.weight is not None] or None,
            answered=metrics.answered,
        )
        pages_at = f"{settings.public_url}/verify/" if settings.public_url else ""
        return relays, Mailer(settings.mail.default_sender, settings.name, site_of(settings), pages_at)
    except ValueError as error:
        raise SettingsError(f"VERIFIER_MAIL_...: {error}") from None


def _relay(mail: MailSettings, relay: MailRelay) -> RelaySettings:
    return RelaySettings(
        name=_name_of(relay),
        host=relay.host,
        port=relay.port,
        username=relay.username,
        password=relay.password,
        security=relay.security,
        ca_file=mail.ca_file,
        verify_certificates=mail.verify_certificates,
        connect_timeout_s=mail.connect_timeout_s,
        command_timeout_s=mail.command_timeout_s,
        answer_timeout_s=mail.answer_timeout_s,
    )


def _name_of(relay: MailRelay) -> str:
    return f"{relay.host}:{relay.port}"
