"""What people type after `flask deliveries`: ids and durations."""

from __future__ import annotations

import re
from dataclasses import dataclass

import click

_NAME = re.compile(r"([0-9a-f]{32})(?:-([0-9]{1,4}))?")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([smhd]?)")
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Name:
    """A verification, and one of its deliveries unless the newest is meant."""

    verification_id: str
    number: int | None

    def __str__(self) -> str:
        """Return it as it was typed."""
        return self.verification_id if self.number is None else f"{self.verification_id}-{self.number}"


class NameType(click.ParamType[Name]):
    """A verification's id, or the id of one of its deliveries."""

    name = "id"

    def convert(self, value: str | Name, param: click.Parameter | None, ctx: click.Context | None) -> Name:
        """Read it, in upper or lower case."""
        found = _NAME.fullmatch(str(value).strip().lower())
        if found is None:
            self.fail(
                f"{value!r} is not an id: 32 hexadecimal digits, and maybe -1 for delivery 1.", param, ctx
            )
        return Name(found[1], None if found[2] is None else int(found[2]))


class DurationType(click.ParamType[float]):
    """A duration such as 90, 90s, 5m, 2h or 1d."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        found = _DURATION.fullmatch(str(value).strip().lower())
        if found is None:
            self.fail(f"{value!r} is not a duration such as 90s, 5m, 2h or 1d.", param, ctx)
        return float(found[1]) * _UNIT_S[found[2]]
