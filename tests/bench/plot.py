"""A plot of horizontal bars as SVG, in a few lines: no library is needed for rectangles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

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


def draw(panels: Sequence[Panel], summary: str) -> str:
    """Give the panels below each other; `summary` is for those who cannot see them."""
    parts: list[str] = []
    top = PADDING
    for panel in panels:
        parts += _panel(panel, top)
        top += TITLE + len(panel.bars) * (BAR + GAP) + PADDING
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="13">\n<title>{escape(summary)}</title>\n'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def _panel(panel: Panel, top: int) -> list[str]:
    longest = max(bar.value for bar in panel.bars) or 1
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH - 2 * PADDING
    parts = [_text(PADDING, top + 14, panel.title, INK, ' font-weight="600"')]
    for number, bar in enumerate(panel.bars):
        y = top + TITLE + number * (BAR + GAP)
        width = max(1.0, room * bar.value / longest)
        x = PADDING + LABEL_WIDTH
        parts += [
            _text(x - 8, y + 13, bar.label, INK, ' text-anchor="end"'),
            f'<rect x="{x}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" fill="{OURS if bar.ours else THEIRS}"/>',
            _text(x + width + 6, y + 13, bar.text, SOFT, ""),
        ]
    return parts


def _text(x: float, y: float, words: str, colour: str, more: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}"{more}>{escape(words)}</text>'
