"""The plots of a run, by file name."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.plot import Bar, Panel, draw
from tests.bench.results import Results


def plots(results: Results) -> dict[str, str]:
    """Give each plot that there is something for."""
    found = {}
    if panels := list(_throughput(results)):
        found["throughput.svg"] = draw(panels, "Mails a second, Verifier beside its peers")
    if panels := list(_web(results)):
        found["web.svg"] = draw(panels, "Latency and requests a second, Verifier beside Flask with RQ")
    if panels := list(_growth(results)):
        found["growth.svg"] = draw(panels, "Mails a second by the length of the queue")
    return found


def _throughput(results: Results) -> Iterator[Panel]:
    for relay in results.throughput or []:
        bars = [
            Bar(each.name, each.rate, f"{each.rate:,.0f}/s", each.key.startswith("verifier"))
            for each in relay.results
        ]
        yield Panel(f"Mails a second, a relay that answers after {relay.delay_ms} ms", bars)


def _web(results: Results) -> Iterator[Panel]:
    latency = results.latency or []
    for name in ("p50", "p99") if latency else ():
        bars = [
            Bar(each.name, value, f"{value:.1f} ms", each is latency[0])
            for each in latency
            for value in [each.p50_ms if name == "p50" else each.p99_ms]
        ]
        yield Panel(f"From POST to the mail at the relay, {name} (shorter is better)", bars)
    accepting = results.accepting or []
    if accepting:
        bars = [Bar(each.name, each.rate, f"{each.rate:,.0f}/s", each is accepting[0]) for each in accepting]
        yield Panel("POST /v1/verifications, requests a second", bars)


def _growth(results: Results) -> Iterator[Panel]:
    if results.growth:
        bars = [
            Bar(f"{mails:,}", rate, f"{rate:,.0f}/s", True) for mails, rate in results.growth.rates.items()
        ]
        yield Panel("Mails a second, by the number of mails queued", bars)
