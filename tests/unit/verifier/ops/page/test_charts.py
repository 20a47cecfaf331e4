"""Two hours as small pictures."""

from __future__ import annotations

import re

from verifier.ops.page.charts import HEIGHT, WIDTH, Chart, charts_of
from verifier.store.facts import Facts
from verifier.store.ops.series import Minute, Series

FACTS = Facts(owed=3, oldest_owed_s=130.0, last_sent_s=1.0, workers=(), replicas=2, memory_share=None)


def charts(*minutes: Minute, into_last_s: float = 0.0) -> dict[str, Chart]:
    return {each.name: each for each in charts_of(FACTS, Series(minutes, into_last_s), 120.0)}


def test_figures_are_those_of_now() -> None:
    """What is owed as Redis says, and about what was done in the last sixty seconds."""
    found = charts(
        Minute(1, owed=5, oldest_s=9, accepted=60, sent=40, deferred=4, rejected=0),
        Minute(2, owed=3, oldest_s=130, accepted=30, sent=10, deferred=0, rejected=2),
        into_last_s=30,
    )
    assert [each.now for each in found.values()] == [
        "3", "2 min", "60 / min", "30 / min", "2 / min", "2 / min",
    ]  # fmt: skip
    assert found["Sent"].peak == "at most 40"
    assert found["Oldest"].is_bad
    assert not found["Owed"].is_bad


def test_a_gap_is_a_gap() -> None:
    """Nobody wrote anything down, so no line runs through it."""
    path = charts(Minute(1, owed=5), Minute(2), Minute(3, owed=2))["Owed"].path
    assert path.count("M") == path.count("Z") == 2


def test_nothing_leaves_its_box() -> None:
    """Whatever the figures are."""
    minutes = [Minute(at, owed=at**3, oldest_s=0.0, accepted=1e9, sent=0) for at in range(120)]
    for chart in charts(*minutes).values():
        for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", chart.path):
            assert 0 <= float(x) <= WIDTH
            assert 0 <= float(y) <= HEIGHT


def test_before_the_first_minute_there_is_an_empty_picture() -> None:
    """A service that was just started."""
    assert {each.path for each in charts(Minute(1), Minute(2)).values()} == {""}
