"""What one app is made of, kept as a Flask extension: settings, the link to Redis, the service, the lookout, its metrics."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app
from prometheus_client import CollectorRegistry

from sentinel import MasterLink
from verifier.metrics.link import LinkMetrics
from verifier.metrics.page import MetricsPage
from verifier.metrics.state import StateCollector
from verifier.metrics.visits import VisitMetrics
from verifier.readiness import Lookout
from verifier.service import VerificationService
from verifier.settings import Settings
from verifier.wiring import link_of, lookout_of, store_of

_EXTENSION = "verifier"


@dataclass(frozen=True)
class Container:
    """What one app is made of."""

    settings: Settings
    link: MasterLink
    service: VerificationService
    lookout: Lookout
    visits: VisitMetrics
    metrics_page: MetricsPage


def make_container(settings: Settings) -> Container:
    """Make it from the settings; nothing connects before the first request. Raises SettingsError."""
    registry = CollectorRegistry()
    link = link_of(settings, observer=LinkMetrics(registry))
    visits = VisitMetrics(registry, settings.api_keys.names)
    return Container(
        settings,
        link,
        VerificationService(
            store_of(settings, link),
            settings.keys,
            settings.rules,
            settings.limits,
            deadline_s=settings.redis.request_deadline_s,
            test_addresses=settings.development or settings.unsafe_for_tests,
            outcomes=visits,
        ),
        lookout_of(settings, link),
        visits,
        MetricsPage(registry, StateCollector(link, settings)),
    )


def install(app: Flask, container: Container) -> None:
    """Keep the container in the app."""
    app.extensions[_EXTENSION] = container


def current_container() -> Container:
    """Return the container of the app that serves this request."""
    return container_of(current_app)


def container_of(app: Flask) -> Container:
    """Return the container of an app."""
    container: Container = app.extensions[_EXTENSION]
    return container


def current_service() -> VerificationService:
    """Return the service of the app that serves this request."""
    return current_container().service
