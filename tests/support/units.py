"""systemd's units as the tests read them: what is set, and the command and environment that systemd would make of it."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"


@dataclass(frozen=True)
class Unit:
    """A unit's settings by name, each with all of its lines."""

    name: str
    settings: Mapping[str, tuple[str, ...]]

    def all(self, setting: str) -> tuple[str, ...]:
        """Return every value of a setting; nothing where it is not set."""
        return self.settings.get(setting, ())

    def one(self, setting: str) -> str:
        """Return the value of a setting that stands there once."""
        (value,) = self.all(setting)
        return value

    def seconds(self, setting: str) -> float:
        """Return a time in plain seconds."""
        return float(self.one(setting))


def read_unit(path: Path) -> Unit:
    """Read a file. Sections are not told apart: no setting of ours has two meanings."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in path.read_text().splitlines():
        if line and line[0] not in "#;[":
            name, _, value = line.partition("=")
            found[name].append(value)
    return Unit(path.name, {name: tuple(values) for name, values in found.items()})


def services() -> list[Unit]:
    """Return all services that go on; the order to be the first master is carried out once."""
    found = [read_unit(path) for path in sorted(UNITS.glob("*.service"))]
    return [unit for unit in found if unit.one("Type") != "oneshot"]


def read_environment_file(path: Path) -> dict[str, str]:
    """Read a file as EnvironmentFile= does: no substitution, quotes are taken off."""
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[name] = "".join(shlex.split(value))
    return found


def with_specifiers(text: str, specifiers: Mapping[str, str]) -> str:
    """Put values in place of %i, %S and %d."""
    for specifier, value in specifiers.items():
        text = text.replace(f"%{specifier}", value)
    return text


def environment_of(unit: Unit, specifiers: Mapping[str, str]) -> dict[str, str]:
    """Return what Environment= sets."""
    pairs = (word for line in unit.all("Environment") for word in shlex.split(line))
    return dict(with_specifiers(pair, specifiers).split("=", 1) for pair in pairs)


def command_of(unit: Unit) -> list[str]:
    """Return the command of ExecStart= as it stands."""
    return shlex.split(unit.one("ExecStart"))
