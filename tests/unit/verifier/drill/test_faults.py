"""The faults as operators find them."""

from __future__ import annotations

import re
from pathlib import Path

from verifier.drill.faults import FAULTS

PAGE = Path(__file__).resolve().parents[4] / "docs" / "drill.md"


def test_the_page_lists_every_fault_and_no_other() -> None:
    """With what is allowed in it."""
    section = (
        PAGE.read_text(encoding="utf-8").partition("## What the drill practises")[2].partition("\n## ")[0]
    )
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`([a-z-]+)`", " ".join(first_cells))) == sorted(FAULTS)
