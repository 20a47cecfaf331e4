"""The progress display: one line a round, with a bar and the counts so far."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from verifier.drill.round import Round


class ProgressDisplay(Progress):
    """A progress bar over all rounds; quiet where nobody looks at a terminal."""

    def __init__(self, console: Console, rounds: int) -> None:
        super().__init__(
            SpinnerColumn(),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self.add_task("", total=rounds)

    def describe(self, text: str) -> None:
        """Show what is going on now."""
        self.update(self._task, description=text)

    def follow(self, title: str, current: Round) -> None:
        """Show the counts of a round so far."""
        load = current.load
        accepted = sum(each.accepted for each in load.submissions)
        self.describe(f"{title}: {accepted} accepted, {len(current.mails)} mailed, {load.in_flight} waiting")

    def done(self) -> None:
        """Note that one round is over."""
        self.advance(self._task)
