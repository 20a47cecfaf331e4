"""The rows of `make deployment-test`: all are told and documented, and no engine is no failure where it is optional."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.deployment import bootstrap
from tests.deployment.__main__ import main
from tests.deployment.judging import DOWN_AFTER_S, OUTAGE_LIMIT_S
from tests.deployment.rows import ROWS

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ROWS)
def test_every_row_has_a_story_and_stands_in_the_docs(name: str) -> None:
    """The last table has a line for each, and the list above it says what is done."""
    assert ROWS[name].story.endswith(".")
    page = (ROOT / "docs/deployment-test.md").read_text(encoding="utf-8")
    assert f"| {name} |" in page


def test_the_limit_of_an_outage_is_the_documented_one() -> None:
    """On the page of the table, which says both limits, and in the decision that gives the reason."""
    page = (ROOT / "docs/deployment-test.md").read_text(encoding="utf-8")
    more, stopped = OUTAGE_LIMIT_S - DOWN_AFTER_S, (ROWS["stop"].promise.outage_limit_s or 0) - DOWN_AFTER_S
    said = " ".join(page.split())
    assert f"of more than down-after ({DOWN_AFTER_S:g} s) and {more:g} s; in stop" in said
    assert f"and {stopped:g} s ([decision 19]" in said
    decision = (ROOT / "docs/decisions/0019-one-budget-of-time.md").read_text(encoding="utf-8")
    assert f"down-after and {more:g} s;" in " ".join(decision.split())


@pytest.mark.parametrize(("options", "code"), [([], 2), (["--optional"], 0)])
def test_without_an_engine_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], code: int
) -> None:
    """In a sentence, and as a failure only where somebody asked for the test itself."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["deployment", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    assert "The deployment was not tried: " in capsys.readouterr().out


def test_an_unknown_row_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is started."""
    monkeypatch.setattr(sys, "argv", ["deployment", "--rows", "kill,kil"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "kil is none of kill, " in capsys.readouterr().err


def test_nothing_is_installed_where_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """apt-get is called for what is missing only, and where it fails that is said."""
    called: list[tuple[str, ...]] = []

    def succeeds(*words: str) -> bool:
        called.append(words)
        return words[1] == "update"

    monkeypatch.setattr(bootstrap, "_succeeds", succeeds)
    monkeypatch.setattr(bootstrap.shutil, "which", lambda program: f"/usr/bin/{program}")
    bootstrap._install_missing()
    assert called == []
    monkeypatch.setattr(bootstrap.shutil, "which", lambda program: None if program == "runc" else program)
    with pytest.raises(bootstrap.NoEngine, match=r"apt-get install .* runc` failed"):
        bootstrap._install_missing()
    assert [words[1] for words in called] == ["update", "install"]
