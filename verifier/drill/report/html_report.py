"""The results as one HTML page that needs nothing else: tables, sentences, a plot per fault."""

from __future__ import annotations

from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from verifier.drill.faults import FAULTS
from verifier.drill.game_day import Plan, Results
from verifier.drill.outcome import Outcome
from verifier.drill.report.plot import plot
from verifier.drill.report.table import FIGURES, is_broken, name_of

_templates = Environment(
    loader=PackageLoader("verifier.drill.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def html_report(plan: Plan, results: Results) -> str:
    """Return the whole page."""
    return _templates.get_template("report.html").render(
        plan=plan,
        results=results,
        figures=FIGURES,
        name_of=name_of,
        is_broken=is_broken,
        story_of=_story_of,
        plot=plot,
        made_at=datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
    )


def _story_of(outcome: Outcome) -> str:
    story = FAULTS[outcome.fault].story
    return story[0].upper() + story[1:] + "."
