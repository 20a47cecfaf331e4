"""The results as JSON, for whoever compares them with those of another day."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from datetime import UTC, datetime

from verifier.drill.game_day import Plan, Results


def json_report(plan: Plan, results: Results) -> str:
    """Return one JSON document."""
    document = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "rate": plan.rate,
        "workers": plan.workers,
        "down_after_ms": plan.down_after_ms,
        "kept": results.kept,
        "together": [asdict(breach) for breach in results.together],
        "outcomes": [asdict(outcome) for outcome in results.outcomes],
    }
    return json.dumps(document, indent=1) + "\n"
