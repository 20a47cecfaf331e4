"""The last two hours as small pictures: a bar a minute for what was done, an area for what was owed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from verifier.ops.page.wording import amount, span
from verifier.store.facts import Facts
from verifier.store.ops.series import Minute, Series

WIDTH, HEIGHT = 240, 44
# Room for the line's own thickness.
_TOP = 2


@dataclass(frozen=True)
class Chart:
    """One picture: `path` is SVG's, in a box of WIDTH x HEIGHT, filled below."""

    name: str
    now: str
    """The figure of this moment."""
    peak: str
    path: str
    is_bad: bool = False

    @property
    def label(self) -> str:
        """Return it as a sentence, for who does not see it."""
        return f"{self.name}: {self.now}. {self.peak}."


def charts_of(facts: Facts, series: Series, oldest_limit_s: float) -> list[Chart]:
    """Return the pictures: what is owed, for how long, and what was done in each minute."""
    minutes = series.minutes
    return [
        _area(
            "Owed",
            amount(facts.owed),
            _values(minutes, lambda each: each.owed),
            lambda most: f"at most {amount(most)}",
        ),
        _area(
            "Oldest",
            span(facts.oldest_owed_s),
            _values(minutes, lambda each: each.oldest_s),
            lambda most: f"at most {span(most)}",
            is_bad=facts.oldest_owed_s > oldest_limit_s,
        ),
        _bars("Accepted", series, lambda each: each.accepted),
        _bars("Sent", series, lambda each: each.sent),
        _bars("Put off", series, lambda each: each.deferred),
        _bars("Given up", series, lambda each: each.rejected),
    ]


def _values(minutes: Sequence[Minute], value: Callable[[Minute], float | None]) -> list[float | None]:
    return [value(each) for each in minutes]


def _area(
    name: str,
    now: str,
    values: Sequence[float | None],
    in_words: Callable[[float], str],
    *,
    is_bad: bool = False,
) -> Chart:
    most = max((each for each in values if each is not None), default=0.0)
    step = WIDTH / max(1, len(values))
    parts: list[str] = []
    for start, run in _runs(values):
        line = " ".join(
            f"L{(start + at) * step:.1f} {_y(each, most):.1f} h{step:.1f}" for at, each in enumerate(run)
        )
        parts.append(f"M{start * step:.1f} {HEIGHT} {line} V{HEIGHT} Z")
    return Chart(name, now, in_words(most), " ".join(parts), is_bad)


def _bars(name: str, series: Series, value: Callable[[Minute], float | None]) -> Chart:
    known = [each or 0.0 for each in _values(series.minutes, value)]
    most = max(known, default=0.0)
    step = WIDTH / max(1, len(known))
    path = " ".join(
        f"M{at * step:.1f} {HEIGHT} V{_y(each, most):.1f} h{step - 0.5:.1f} V{HEIGHT} Z"
        for at, each in enumerate(known)
        if each
    )
    now = f"{amount(round(series.within_a_minute(value)))} / min"
    return Chart(name, now, f"at most {amount(most)}", path)


def _y(value: float, most: float) -> float:
    return HEIGHT - (HEIGHT - _TOP) * (value / most if most else 0.0)


def _runs(values: Sequence[float | None]) -> list[tuple[int, list[float]]]:
    """Return the stretches without a gap, each with where it begins."""
    runs: list[tuple[int, list[float]]] = []
    before: float | None = None
    for at, value in enumerate(values):
        if value is not None:
            if before is None:
                runs.append((at, []))
            runs[-1][1].append(value)
        before = value
    return runs
