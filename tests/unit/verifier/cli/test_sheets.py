"""Tables in which nothing is shortened, however narrow the terminal is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from verifier.cli.sheets import Sheet

NODES = ("redis-1.europe-west.example.org:6379", "[2001:db8:0:0:0:0:0:1]:6380", "10.0.0.1:6381")


def _printed(width: int) -> str:
    sheet = Sheet(("Node", "Role", "Follows", "Seen"))
    for node in NODES:
        sheet.add(node, Text("replica", style="red"), NODES[0], "")
    console = Console(file=io.StringIO(), width=width, soft_wrap=True)
    console.print(sheet)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 80, 81, 100, 220])
def test_what_identifies_a_node_is_never_shortened(width: int) -> None:
    """Each endpoint stands in one piece on one line, at its own row and where others name it."""
    printed = _printed(width)
    lines = printed.splitlines()
    for node in NODES:
        assert any(node in line for line in lines)
    assert printed.count(NODES[0]) == len(NODES) + 1
    assert "…" not in printed


def test_a_wide_terminal_has_a_table() -> None:
    """One line a row, and one of names."""
    lines = _printed(220).splitlines()
    assert len(lines) == len(NODES) + 1
    assert lines[0].split() == ["Node", "Role", "Follows", "Seen"]


def test_a_narrow_one_has_lines() -> None:
    """Each value beside its name; what is empty is left out."""
    printed = _printed(80)
    assert f"Node {NODES[1]}\n    Role: replica, Follows: {NODES[0]}\n" in printed
    assert "Seen" not in printed
