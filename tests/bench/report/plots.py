"""The plots of a run by file name: panels of horizontal bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tests.bench.results import Results
from verifier.drill.rig import svg
from verifier.drill.rig.svg import element

WIDTH, LABEL_WIDTH, VALUE_WIDTH = 760, 230, 110
BAR, GAP, TITLE, PADDING = 18, 7, 30, 16
INK, SOFT, PAPER = "#1b2430", "#546072", "#ffffff"
OURS, THEIRS = "#1f6f54", "#b9c3d0"


@dataclass(frozen=True)
class Bar:
    """One value."""

    label: str
    value: float
    text: str
    ours: bool


@dataclass(frozen=True)
class Panel:
    """Bars on one scale, which begins at zero."""

    title: str
    bars: Sequence[Bar]


def plots(results: Results) -> dict[str, str]:
    """Return each plot that there is something for."""
    found = {
        "throughput.svg": (list(_throughput(results)), "Mails a second, Verifier beside its peers"),
        "web.svg": (list(_web(results)), "Latency and requests a second, Verifier beside Flask with RQ"),
        "growth.svg": (list(_growth(results)), "Mails a second by the length of the queue"),
    }
    return {name: draw(panels, summary) for name, (panels, summary) in found.items() if panels}


def draw(panels: Sequence[Panel], summary: str) -> str:
    """Return the panels below each other; `summary` is for those who cannot see them."""
    parts = [element("rect", width=WIDTH, height="100%", fill=PAPER)]
    top = PADDING
    for panel in panels:
        parts += _panel(panel, top)
        top += TITLE + len(panel.bars) * (BAR + GAP) + PADDING
    look = {"width": WIDTH, "height": top, "font_family": "system-ui, sans-serif", "font_size": 13}
    return svg.plot(summary, WIDTH, top, parts, **look) + "\n"


def _panel(panel: Panel, top: int) -> Iterator[Markup]:
    longest = max(bar.value for bar in panel.bars) or 1
    longest_width = WIDTH - LABEL_WIDTH - VALUE_WIDTH - 2 * PADDING
    yield element("text", panel.title, x=PADDING, y=top + 14, fill=INK, font_weight=600)
    x = PADDING + LABEL_WIDTH
    for number, bar in enumerate(panel.bars):
        y = top + TITLE + number * (BAR + GAP)
        width = max(1.0, longest_width * bar.value / longest)
        yield element("text", bar.label, x=x - 8, y=y + 13, fill=INK, text_anchor="end")
        yield element("rect", x=x, y=y, width=width, height=BAR, rx=2, fill=OURS if bar.ours else THEIRS)
        yield element("text", bar.text, x=x + width + 6, y=y + 13, fill=SOFT)


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
