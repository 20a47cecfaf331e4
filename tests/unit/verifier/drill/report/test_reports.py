"""Tables, JSON and the page say what was found."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sentinel import shipped_times_ms
from tests.unit.verifier.drill.builders import outcome
from verifier.drill.faults import FAULTS
from verifier.drill.game_day import Plan, Results
from verifier.drill.outcome import Breach
from verifier.drill.report.files import html_report, json_report
from verifier.drill.report.presenting import what_to_look_at
from verifier.drill.report.table import FIGURES, is_broken, legend, seconds, tables
from verifier.drill.rig.conditions import Conditions
from verifier.drill.rig.systems import verifier

PLAN = Plan(faults=tuple(FAULTS.values()), systems=(verifier(),))
QUICK = Conditions("Redis 7.0.15", down_after_ms=1500, failover_timeout_ms=5000)
SHIPPED = Conditions("Redis 7.0.15", *shipped_times_ms())
GOOD = outcome()
BAD = replace(outcome("hang", lost=7), breaches=(Breach("lost", "7 <accepted> were never mailed."),))


def test_results_are_kept_only_without_any_breach() -> None:
    """A breach of ours, alone or together, breaks the drill; one of a peer does not."""
    peer = replace(BAD, system="rq")
    assert Results(QUICK, (GOOD, peer), (), ()).kept
    assert not Results(QUICK, (GOOD, BAD), (), ()).kept
    assert not Results(QUICK, (GOOD,), (Breach("first_mail_s", "Slow."),), ()).kept


def test_tables_fit_a_terminal_and_show_every_fault() -> None:
    """Each table has a row for each outcome and is at most 80 columns wide."""
    console = Console(width=80, record=True, file=None, quiet=True)
    found = list(tables([GOOD, replace(BAD, fault="double-failover")]))
    assert [each.row_count for each in found] == [2, 2, 2, 2]
    with console.capture() as captured:
        for each in found:
            console.print(each)
    assert all(len(line) <= 80 for line in captured.get().splitlines())
    assert "\u2026" not in captured.get()  # nothing is shortened


def test_durations_are_written_as_people_read_them() -> None:
    """Below a second in milliseconds, above in seconds, and a dash where there is none."""
    assert [seconds(each) for each in (0.0194, 2.34, None)] == ["19 ms", "2.3 s", "-"]


def test_json_holds_every_figure() -> None:
    """The document has the verdict, and for each outcome its counts, costs and breaches."""
    document = json.loads(json_report(PLAN, Results(QUICK, (GOOD, BAD), (), ())))
    assert document["kept"] is False
    assert (document["server"], document["down_after_ms"]) == ("Redis 7.0.15", 1500)
    assert document["times_as_shipped"] is False
    assert document["outcomes"][1]["counts"]["lost"] == 7
    assert document["outcomes"][1]["breaches"][0]["figure"] == "lost"
    assert document["outcomes"][0]["costs"]["web-1"]["cpu_percent"] == 0.3


def test_page_needs_nothing_else_and_escapes_what_it_is_told() -> None:
    """The report loads nothing from anywhere, marks broken figures and shows sentences as text."""
    page = html_report(PLAN, Results(QUICK, (GOOD, BAD), (), ()))
    assert not re.search(r"(?:src|href)=|url\(|@import|<script", page)
    assert str(QUICK) in page
    assert "7 &lt;accepted&gt; were never mailed." in page
    assert '<td class="bad">7</td>' in page
    assert page.count("<svg") == 2


def test_each_column_is_explained() -> None:
    """In the terminal and on the page, by its heading."""
    told = list(legend())
    page = html_report(PLAN, Results(QUICK, (GOOD,), (), ()))
    for columns in FIGURES.values():
        for column in columns:
            assert any(line.startswith(f"{column.heading} ") for line in told)
            assert f"<dt>{column.heading}</dt>" in page


def test_only_what_breaks_a_promise_is_red() -> None:
    """The cell that shows it, and no other of its row; a figure that may be as high as it likes never is."""
    unwell = replace(
        outcome("pause", refused=9, twice=2),
        owed=3,
        healthy=False,
        breaches=(Breach("healthy", "Not whole."), Breach("lost", "Owed.")),
    )
    red = {column.heading for columns in FIGURES.values() for column in columns if is_broken(column, unwell)}
    assert red == {"lost", "whole again"}
    assert FIGURES["What people got"][3].write(unwell) == "0 (+3 owed)"
    page = html_report(PLAN, Results(QUICK, (GOOD,), (), ()))
    assert 'class="bad"' not in page
    assert page.count("var(--bad)") == 1


@pytest.mark.parametrize(
    ("results", "files", "says"),
    [
        (
            Results(QUICK, (GOOD, BAD), (), ()),
            ["r.json"],
            ["Read first: hang;", "r.json", "drill --fault hang --html"],
        ),
        (Results(QUICK, (GOOD,), (), ()), [], ["Read first: kill, where", "Next: flask drill --shipped,"]),
        (Results(SHIPPED, (GOOD,), (), ()), [], ["Next: flask drill --shipped --html"]),
        (
            Results(SHIPPED, (GOOD,), (), ()),
            ["r.html"],
            ["The report: /", "Next: flask drill --shipped --rate 100,"],
        ),
    ],
)
def test_a_drill_ends_with_what_to_look_at(results: Results, files: list[str], says: list[str]) -> None:
    """Which rows, where the report is, and the next command."""
    told = "\n".join(what_to_look_at(PLAN, results, [Path(each) for each in files]))
    assert [words for words in says if words not in told] == []
