"""One outcome as a plot: what was accepted and mailed a second, over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from verifier.drill.outcome import Outcome
from verifier.drill.rig import svg
from verifier.drill.rig.svg import element

WIDTH, HEIGHT = 760, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 34, 24
# What is made up for after an outage comes in a burst that would flatten everything else.
HIGHEST_IN_RATES = 4.0
_STEPS_S = (1, 2, 5, 10, 20, 30, 60)


@dataclass(frozen=True)
class _Frame:
    """Where values lie on the plot."""

    seconds: float
    highest: float

    def x(self, seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.seconds

    def y(self, rate: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(rate, self.highest) / self.highest


def plot(outcome: Outcome) -> Markup:
    """Plot an outcome."""
    series = outcome.series
    frame = _Frame(len(series.accepted) * series.bin_s, outcome.rate * HIGHEST_IN_RATES)
    parts = [
        *_grid(frame, outcome.rate),
        _outage(frame, outcome),
        _area(frame, series.mailed, series.bin_s),
        _line(frame, series.accepted, series.bin_s, "accepted"),
        *([_line(frame, series.refused, series.bin_s, "refused")] if any(series.refused) else []),
        *_marks(frame, outcome.marks),
    ]
    return svg.plot(f"{outcome.system} {outcome.fault}: accepted and mailed per second", WIDTH, HEIGHT, parts)


def _grid(frame: _Frame, rate: float) -> Iterator[Markup]:
    for factor in range(int(HIGHEST_IN_RATES) + 1):
        y = frame.y(factor * rate)
        yield element("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y)
        yield element("text", f"{factor * rate:g}", class_="tick", x=LEFT - 6, y=y + 4, text_anchor="end")
    step = next((each for each in _STEPS_S if frame.seconds / each <= 14), _STEPS_S[-1])
    for second in range(0, int(frame.seconds * 0.98) + 1, step):
        yield element(
            "text", f"{second} s", class_="tick", x=frame.x(second), y=HEIGHT - 8, text_anchor="middle"
        )


def _outage(frame: _Frame, outcome: Outcome) -> Markup:
    begin, end = frame.x(outcome.marks["fault"]), frame.x(outcome.marks["fault_ended"])
    width, height = max(0.0, end - begin), HEIGHT - TOP - BOTTOM
    return element("rect", class_="outage", x=begin, y=TOP, width=width, height=height)


def _points(frame: _Frame, values: Sequence[float], bin_s: float) -> str:
    return " ".join(
        f"{frame.x((number + 0.5) * bin_s):.1f},{frame.y(value):.1f}" for number, value in enumerate(values)
    )


def _line(frame: _Frame, values: Sequence[float], bin_s: float, kind: str) -> Markup:
    return element("polyline", class_=kind, points=_points(frame, values, bin_s))


def _area(frame: _Frame, values: Sequence[float], bin_s: float) -> Markup:
    last = frame.x((len(values) - 0.5) * bin_s)
    first, ground = frame.x(0.5 * bin_s), frame.y(0)
    around = f"{first:.1f},{ground:.1f} {_points(frame, values, bin_s)} {last:.1f},{ground:.1f}"
    return element("polygon", class_="mailed", points=around)


def _marks(frame: _Frame, marks: dict[str, float]) -> Iterator[Markup]:
    """Draw each moment with its name; names take turns in two rows, so that close ones can be read."""
    for number, (name, at) in enumerate(sorted(marks.items(), key=lambda each: each[1])):
        x, y = frame.x(at), 12 + 14 * (number % 2)
        yield element("line", class_="mark", x1=x, x2=x, y1=y + 3, y2=HEIGHT - BOTTOM)
        yield element("text", f"{name} {at:.1f} s", class_="name", x=x + 3, y=y)
