"""The table, for people; and the figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from tests.deployment.judging import Result

COLUMNS = ("row", "accepted", "refused", "away", "lost", "twice", "outage s", "longest request s", "verdict")
_WIDTHS = (14, 8, 7, 4, 4, 5, 8, 17, 7)


def heading() -> str:
    """Return the table's first line."""
    return "  ".join(f"{name:>{width}}" for name, width in zip(COLUMNS, _WIDTHS, strict=True))


def cells(result: Result) -> tuple[str, ...]:
    """Return what stands in a row."""
    return (
        result.row,
        str(result.accepted),
        str(result.refused),
        str(result.away),
        str(result.lost),
        str(result.twice),
        f"{result.outage_s:.1f}",
        f"{result.longest_s:.1f}",
        "kept" if result.ok else "BROKEN",
    )


def lines(result: Result) -> Iterator[str]:
    """Yield the row of the table, and below it what was broken and remarked."""
    yield "  ".join(f"{cell:>{width}}" for cell, width in zip(cells(result), _WIDTHS, strict=True))
    yield from (f"    {breach}" for breach in result.breaches)
    yield from (f"    ({remark})" for remark in result.remarks)


def as_markdown(results: Iterable[Result]) -> str:
    """Return the table as it stands in docs/deployment-test.md."""
    rows = [COLUMNS, tuple("---" for _ in COLUMNS), *(cells(each) for each in results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_json(engine: str, rate: float, results: Iterable[Result]) -> str:
    """Return all figures."""
    return json.dumps({"engine": engine, "rate": rate, "rows": [asdict(each) for each in results]}, indent=2)
