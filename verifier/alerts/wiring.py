"""From the settings to the thread."""

from __future__ import annotations

from dataclasses import replace

from sentinel import MasterLink
from verifier.alerts.canary import DEADLINE_S, Canary
from verifier.alerts.courier import Courier
from verifier.alerts.monitor import Monitor
from verifier.readiness import Limits
from verifier.service import VerificationService
from verifier.settings import Settings
from verifier.wiring import lookout_of, store_of


def monitor_of(settings: Settings, link: MasterLink) -> Monitor | None:
    """Return the thread, not started; None where nobody is to be told and no canary is sent."""
    alerts = settings.alerts
    if not alerts.webhook and not alerts.canary_address:
        return None
    return Monitor(
        link,
        lookout_of(settings, link),
        Limits.of(settings),
        Courier(alerts.webhook, settings.name),
        canary_of(settings, link),
    )


def canary_of(settings: Settings, link: MasterLink) -> Canary | None:
    """Return what sends the canary; None where there is none."""
    alerts = settings.alerts
    if not alerts.canary_address:
        return None
    service = VerificationService(
        store_of(settings, link),
        settings.keys,
        settings.rules,
        replace(settings.limits, enabled=False),
        deadline_s=DEADLINE_S,
        test_addresses=settings.development or settings.unsafe_for_tests,
    )
    return Canary(service, link, alerts.canary_address, alerts.canary_interval_s)
