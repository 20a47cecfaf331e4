"""The outcomes as tables for the terminal: one row per fault, red where a promise is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from verifier.drill.outcome import Outcome


@dataclass(frozen=True)
class Column:
    """One figure: its heading, how it is written, which breaches make it red, and what it means."""

    heading: str
    write: Callable[[Outcome], str]
    figures: tuple[str, ...]
    meaning: str


def seconds(value: float | None) -> str:
    """Write a duration as precisely as it is of interest."""
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _connects(outcome: Outcome) -> str:
    busiest = outcome.worst(lambda cost: cost.connects_per_s)
    return f"{busiest:.1f}/s" if busiest else "-"


def _cpu(outcome: Outcome) -> str:
    web, worker = (outcome.worst(lambda cost: cost.cpu_percent, kind) for kind in ("web", "worker"))
    return f"{web:.1f} / {worker:.1f} %"


def _memory(outcome: Outcome) -> str:
    return f"{outcome.worst(lambda cost: cost.memory_growth_bytes) / 1024 / 1024:+.1f} MiB"


def _checks(outcome: Outcome) -> str:
    counts = outcome.counts
    return f"{counts.checks - counts.checks_refused - counts.checks_wrong}/{counts.checks}"


def _twice(outcome: Outcome) -> str:
    counts = outcome.counts
    return f"{counts.twice} ({counts.differing} differ)" if counts.differing else str(counts.twice)


def _lost(outcome: Outcome) -> str:
    owed = f" (+{outcome.owed} owed)" if outcome.owed else ""
    return f"{outcome.counts.lost}{owed}"


def _whole(outcome: Outcome) -> str:
    return "yes" if outcome.healthy and not outcome.trouble else "no"


FIGURES = {
    "What people got": (
        Column(
            "accepted", lambda each: str(each.counts.accepted), ("accepted",), "submissions that got a yes"
        ),
        Column(
            "refused",
            lambda each: str(each.counts.refused),
            ("refused",),
            "those that did not; in some faults a 503 with Retry-After is what is promised",
        ),
        Column(
            "cut off",
            lambda each: str(each.counts.cut_off),
            ("cut_off",),
            "those whose connection broke before an answer",
        ),
        Column("lost", _lost, ("lost",), "accepted and never mailed, or still owed in the end"),
        Column(
            "twice",
            _twice,
            ("twice",),
            "mailed more than once; promised in some faults, with the same code and Message-ID",
        ),
    ),
    "How long it took people": (
        Column(
            "codes taken",
            _checks,
            ("checks",),
            "right codes that were typed and taken, of all that were typed",
        ),
        Column(
            "longest wait",
            lambda each: seconds(each.counts.longest_wait_s),
            ("longest_wait_s",),
            "for the answer to a submission",
        ),
        Column(
            "latest mail",
            lambda each: seconds(each.counts.longest_mail_delay_s),
            ("longest_mail_delay_s",),
            "the longest time from a yes to its mail",
        ),
    ),
    "How the service followed": (
        Column(
            "to switch",
            lambda each: seconds(each.counts.switch_s),
            ("switch_s",),
            "from the fault to the first +switch-master; - where no master moves",
        ),
        Column(
            "then accept",
            lambda each: seconds(each.counts.first_accept_s),
            ("first_accept_s",),
            "from there to the first yes",
        ),
        Column(
            "then mail",
            lambda each: seconds(each.counts.first_mail_s),
            ("first_mail_s",),
            "from there to the first mail of a submission accepted after it",
        ),
        Column(
            "alarm",
            lambda each: seconds(each.alarm_s),
            ("alarm_s",),
            "from the fault to the first line of a log that is a warning or worse; - where none is",
        ),
        Column(
            "exits",
            lambda each: str(each.worker_exits),
            ("worker_exits",),
            "workers that ended by themselves",
        ),
        Column(
            "whole again",
            _whole,
            ("healthy", "trouble"),
            "whether the fault was done as it should, and all nodes, sentinels and web processes were healthy in the end",
        ),
    ),
    "What it cost while it lasted": (
        Column(
            "lasted",
            lambda each: seconds(each.outage_s),
            (),
            "for how long the outage, or its quiet part, was measured",
        ),
        Column("CPU web / worker", _cpu, ("cpu",), "of a core, of the busiest process of each, meanwhile"),
        Column("memory", _memory, ("memory",), "by how much the process grew that grew most"),
        Column(
            "connects",
            _connects,
            ("connects",),
            "attempts to connect a second with the dead node, by the process that tried most; - where not counted",
        ),
        Column(
            "log lines",
            lambda each: str(each.worst(lambda cost: cost.log_lines, "worker")),
            ("log_lines",),
            "those of the worker that wrote most",
        ),
    ),
}


def tables(outcomes: Sequence[Outcome]) -> Iterator[Table]:
    """Lay out the outcomes, whosever they are, in tables that a terminal is wide enough for."""
    for title, columns in FIGURES.items():
        laid_out = Table(
            title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False
        )
        laid_out.add_column("fault", no_wrap=True)
        for column in columns:
            laid_out.add_column(column.heading, justify="right", overflow="fold")
        for outcome in outcomes:
            name = Text(name_of(outcome), style="bold red" if outcome.breaches else "green")
            laid_out.add_row(name, *(_cell(column, outcome) for column in columns))
        yield laid_out


def legend() -> Iterator[str]:
    """Say what each column means, a line a column."""
    for columns in FIGURES.values():
        for column in columns:
            yield f"{column.heading:18}{column.meaning}"


def is_broken(column: Column, outcome: Outcome) -> bool:
    """Return whether a figure breaks a promise."""
    return any(breach.figure in column.figures for breach in outcome.breaches)


def name_of(outcome: Outcome) -> str:
    """Name an outcome; the project's own by the fault alone."""
    return outcome.fault if outcome.system == "verifier" else f"{outcome.system}: {outcome.fault}"


def _cell(column: Column, outcome: Outcome) -> Text:
    return Text(column.write(outcome), style="bold red" if is_broken(column, outcome) else "")
