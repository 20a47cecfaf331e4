"""Tables for operators in which nothing is ever shortened: what identifies a node is what one acts on.

Where the terminal is too narrow for a table's columns, each row becomes a few lines of its own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_BETWEEN = 2
_INDENT = "    "
# Nobody's terminal: a file or another program reads it.
WIDTH_OF_FILES = 220


@dataclass
class Sheet:
    """Rows under named columns; the first cell of a row says whose row it is."""

    columns: tuple[str, ...]
    rows: list[tuple[Text, ...]] = field(default_factory=list)

    def add(self, *cells: str | Text) -> None:
        """Add a row."""
        self.rows.append(tuple(cell if isinstance(cell, Text) else Text(cell) for cell in cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render a table, or lines where it would not fit."""
        if self._width() <= options.max_width:
            yield self._table()
        else:
            for row in self.rows:
                yield from self._lines(row, options.max_width)

    def _width(self) -> int:
        cells = [
            [cell_len(column), *(cell_len(row[at].plain) for row in self.rows)]
            for at, column in enumerate(self.columns)
        ]
        return sum(map(max, cells)) + _BETWEEN * (len(self.columns) - 1)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in self.columns:
            table.add_column(column, no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        return table

    def _lines(self, row: Sequence[Text], width: int) -> list[Text]:
        told = [
            f"{column}: {cell.plain}"
            for column, cell in zip(self.columns[1:], row[1:], strict=True)
            if cell.plain
        ]
        folded = textwrap.wrap(
            ", ".join(told),
            width=max(width, 20),
            initial_indent=_INDENT,
            subsequent_indent=_INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
        first = Text(f"{self.columns[0]} ", style="bold", overflow="ignore", no_wrap=True).append_text(row[0])
        return [first, *(Text(line, overflow="ignore", no_wrap=True) for line in folded)]


def console_for_operators() -> Console:
    """Return where to print: as wide as the terminal is, wide enough for every table where there is none."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_FILES
    return console
