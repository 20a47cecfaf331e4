"""What is kept of the canary, without Redis and without a relay."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from verifier.alerts.canary import Canary
from verifier.domain.verifications import DeliveryStatus
from verifier.store.alerts import CanaryRecord
from verifier.store.records import new_verification

NOW = 1000.0
FOUND = new_verification("0" * 32, "canary@example.org", "k1", NOW - 60, NOW + 60)


@pytest.mark.parametrize("status", [DeliveryStatus.DEFERRED, DeliveryStatus.REJECTED])
def test_a_relays_words_are_kept_without_addresses(status: DeliveryStatus) -> None:
    """`/readyz` tells them to whoever asks, and alerts to a chat."""
    said = "relay:25: 450 4.2.0 <canary@example.org>: greylisted for verify@ours.example"
    found = replace(FOUND, delivery=replace(FOUND.delivery, status=status, relay_reply=said))
    service = SimpleNamespace(get=lambda _: found, cancel=lambda _: found)
    link = SimpleNamespace(run=lambda *_: None)
    canary = Canary(cast("Any", service), cast("Any", link), found.address, 60.0)
    record = canary._looked_after(CanaryRecord(pending=found.id), NOW)
    assert "450 4.2.0" in record.reply
    assert "canary@" not in record.reply
    assert "verify@" not in record.reply
