"""The results as files: an HTML page that needs nothing else, and JSON to compare with that of another day."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
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
    """Return the whole page: tables, sentences, a plot per fault."""
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


def json_report(plan: Plan, results: Results) -> str:
    """Return one JSON document."""
    document = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "rate": plan.rate,
        "workers": plan.workers,
        **asdict(results.conditions),
        "times_as_shipped": results.conditions.are_shipped,
        "kept": results.kept,
        "together": [asdict(breach) for breach in results.together],
        "outcomes": [asdict(outcome) for outcome in results.outcomes],
    }
    return json.dumps(document, indent=1) + "\n"


def _story_of(outcome: Outcome) -> str:
    story = FAULTS[outcome.fault].story
    return story[0].upper() + story[1:] + "."
