"""One outcome as a drawing: what was accepted and mailed a second, over time. Plain SVG, no scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from verifier.drill.outcome import Outcome

WIDTH, HEIGHT = 760, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 34, 24
# What is made up for after an outage comes in a burst that would flatten everything else.
HIGHEST_IN_RATES = 4.0
_STEPS_S = (1, 2, 5, 10, 20, 30, 60)


@dataclass(frozen=True)
class _Frame:
    """Where values lie on the drawing."""

    seconds: float
    highest: float

    def x(self, seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.seconds

    def y(self, rate: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(rate, self.highest) / self.highest


def plot(outcome: Outcome) -> Markup:
    """Draw an outcome."""
    series = outcome.series
    frame = _Frame(len(series.accepted) * series.bin_s, outcome.rate * HIGHEST_IN_RATES)
    parts = [
        *_grid(frame, outcome.rate),
        _outage(frame, outcome),
        _area(frame, series.mailed, series.bin_s),
        _line(frame, series.accepted, series.bin_s, "accepted"),
        _line(frame, series.refused, series.bin_s, "refused") if any(series.refused) else "",
        *_marks(frame, outcome.marks),
    ]
    title = escape(f"{outcome.contestant} {outcome.fault}: accepted and mailed per second")
    return Markup(  # noqa: S704 - numbers of ours, and words escaped above
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{"".join(parts)}</svg>'
    )


def _grid(frame: _Frame, rate: float) -> Iterator[str]:
    for factor in range(int(HIGHEST_IN_RATES) + 1):
        y = frame.y(factor * rate)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{factor * rate:g}</text>'
    step = next((each for each in _STEPS_S if frame.seconds / each <= 14), _STEPS_S[-1])
    for second in range(0, int(frame.seconds * 0.98) + 1, step):
        x = frame.x(second)
        yield f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{second} s</text>'


def _outage(frame: _Frame, outcome: Outcome) -> str:
    begin, end = outcome.marks["fault"], outcome.marks["fault_ended"]
    x, width = frame.x(begin), frame.x(end) - frame.x(begin)
    return (
        f'<rect class="outage" x="{x:.1f}" y="{TOP}" width="{max(0.0, width):.1f}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/>'
    )


def _points(frame: _Frame, values: Sequence[float], bin_s: float) -> str:
    return " ".join(
        f"{frame.x((number + 0.5) * bin_s):.1f},{frame.y(value):.1f}" for number, value in enumerate(values)
    )


def _line(frame: _Frame, values: Sequence[float], bin_s: float, kind: str) -> str:
    return f'<polyline class="{kind}" points="{_points(frame, values, bin_s)}"/>'


def _area(frame: _Frame, values: Sequence[float], bin_s: float) -> str:
    last = frame.x((len(values) - 0.5) * bin_s)
    first, ground = frame.x(0.5 * bin_s), frame.y(0)
    around = f"{first:.1f},{ground:.1f} {_points(frame, values, bin_s)} {last:.1f},{ground:.1f}"
    return f'<polygon class="mailed" points="{around}"/>'


def _marks(frame: _Frame, marks: dict[str, float]) -> Iterator[str]:
    """Draw each moment with its name; names take turns in two rows, so that close ones can be read."""
    for number, (name, at) in enumerate(sorted(marks.items(), key=lambda each: each[1])):
        x, y = frame.x(at), 12 + 14 * (number % 2)
        yield f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{y + 3}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text class="name" x="{x + 3:.1f}" y="{y}">{escape(name)} {at:.1f} s</text>'
