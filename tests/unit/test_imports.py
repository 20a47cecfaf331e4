"""The rooms know each other only as CONTRIBUTING's table "Directions" says, and no two modules each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import sentinel
from tests.support.import_graph import Module, circles_in, graph_of, imported, modules_of

ROOT = Path(__file__).resolve().parents[2]
FACE = "sentinel/__init__.py"
MOST_MODULES_A_FOLDER = 16
# Flask-Mail builds the message, which needs an app to itself; it is not the web app.
EXCEPTIONS = {"workers/mail/message.py": {"flask"}}


@dataclass(frozen=True)
class Row:
    """One line of the table: a room is a folder without the rooms below it, or a single file."""

    room: str
    may_import: frozenset[str]
    never_imports: frozenset[str]


@cache
def _table() -> dict[str, Row]:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## Directions")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    rows = [[re.findall(r"`([^`]+)`", cell) for cell in line] for line in lines]
    return {room: Row(room, frozenset(may), frozenset(never)) for (room,), may, never in rows}


@cache
def _modules() -> list[Module]:
    return modules_of(ROOT, "sentinel", "verifier", "workers", "wsgi")


def _path(module: Module) -> str:
    return module.path.relative_to(ROOT).as_posix()


def _room(module: Module) -> str:
    """Return the row that the module stands in: its own, else that of the nearest folder."""
    path = Path(_path(module))
    places = [path.as_posix(), *(parent.as_posix() for parent in path.parents)]
    return next((place for place in places if place in _table()), "none")


@cache
def _neighbours() -> dict[str, frozenset[str]]:
    """Return which other rooms each module imports from, by its path."""
    rooms = {module.name: _room(module) for module in _modules()}
    graph = graph_of(_modules())
    return {
        _path(module): frozenset(rooms[name] for name in graph[module.name]) - {rooms[module.name]}
        for module in _modules()
    }


def _rows() -> Iterator[tuple[Module, Row]]:
    return ((module, _table()[_room(module)]) for module in _modules())


def _any(found: Mapping[str, AbstractSet[str]]) -> dict[str, AbstractSet[str]]:
    return {module: names for module, names in found.items() if names}


def _offered_by_the_face() -> set[str]:
    """Return the public names that the face imports from its rooms, for types only or not."""
    face = next(module for module in _modules() if _path(module) == FACE)
    names = face.imports - {module.name for module in _modules()}
    return {name.rpartition(".")[2] for name in names if name.startswith("sentinel.")}


def test_every_module_has_a_room() -> None:
    """Named in the table by its folder, or by itself."""
    assert [_path(module) for module in _modules() if _room(module) not in _table()] == []


def test_a_module_imports_only_what_its_room_may() -> None:
    """Under TYPE_CHECKING and within functions, too."""
    assert _any({_path(each): _neighbours()[_path(each)] - row.may_import for each, row in _rows()}) == {}


def test_a_module_imports_no_foreign_package_that_its_room_must_not() -> None:
    """A rule is pure, and the link knows no web framework."""
    found = {}
    for module, row in _rows():
        never = row.never_imports - EXCEPTIONS.get(_path(module), set())
        found[_path(module)] = {name for name in module.imports if name.partition(".")[0] in never}
    assert _any(found) == {}


def test_sentinel_is_imported_through_its_face() -> None:
    """From outside by a public name only; from inside never, which would be a circle."""
    public = {"sentinel", *(f"sentinel.{name}" for name in _offered_by_the_face())}
    found = {}
    for module in _modules():
        names = {name for name in module.imports if f"{name}.".startswith("sentinel.")}
        inside = module.name.partition(".")[0] == "sentinel"
        found[_path(module)] = names & {"sentinel"} if inside else names - public
    assert _any(found) == {}


def test_the_face_of_sentinel_has_what_it_offers() -> None:
    """Also what it imports only when it is asked for."""
    for name in _offered_by_the_face():
        assert getattr(sentinel, name) is not None


@pytest.mark.parametrize("room", _table())
def test_the_table_allows_nothing_that_is_not_done(room: str) -> None:
    """CONTRIBUTING states what is true; who drops the last import of a kind drops it from the table."""
    inside = [module for module in _modules() if _room(module) == room]
    assert inside, f"{room} has no module"
    used = frozenset().union(*(_neighbours()[_path(module)] for module in inside))
    assert _table()[room].may_import - used == set()


def test_the_table_has_all_that_the_project_promises() -> None:
    """Whatever else is written there, these stand."""
    table = _table()
    for room, row in table.items():
        if room.startswith("sentinel"):
            assert {"flask", "rq"} <= row.never_imports
            assert all(each.startswith("sentinel") for each in row.may_import)
        if room.startswith(("verifier", "wsgi")):
            assert not any(each.startswith("workers") for each in row.may_import)
        if room != FACE and not room.startswith("sentinel/"):
            assert not any(each.startswith("sentinel") and each != FACE for each in row.may_import)
        assert not {each for each in row.may_import if each.startswith("verifier/drill")}
    assert {"sentinel/local", "sentinel/topology"}.isdisjoint(table["sentinel/link"].may_import)
    assert {"sentinel/local", "sentinel/switchover"}.isdisjoint(table["sentinel/topology"].may_import)
    assert table["verifier/domain"].may_import == frozenset()
    assert {"flask", "redis", "rq"} <= table["verifier/domain"].never_imports
    assert table["verifier/store"].may_import <= {FACE, "verifier/domain", "verifier/settings"}


def test_no_two_modules_import_each_other() -> None:
    """Not by way of others either, nor only for their types."""
    assert circles_in(graph_of(_modules())) == []


def test_no_folder_has_more_modules_than_one_takes_in() -> None:
    """A room that grows beyond gets rooms of its own."""
    modules = modules_of(ROOT, "sentinel", "verifier", "workers", "tests")
    counts = Counter(Path(_path(module)).parent.as_posix() for module in modules)
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES_A_FOLDER} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import workers",
        "import workers.jobs as jobs",
        "from workers import jobs",
        "from workers.jobs import deliver",
        "def f():\n    import workers",
        "if TYPE_CHECKING:\n    from workers import jobs",
        "import_module('workers.cli')",
        "importlib.import_module('workers.cli')",
        "__import__('workers')",
    ],
)
def test_an_import_would_be_found(source: str) -> None:
    """In all its forms."""
    assert "workers" in {name.partition(".")[0] for name in imported(source, "verifier.web")}


def test_an_import_of_a_neighbour_is_none_of_another_room() -> None:
    """Relative ones stay inside."""
    assert set(
        imported(
            "from . import errors\nfrom .pages import Answer\nfrom ..container import Container",
            "verifier.web",
        )
    ) == {
        "verifier.web",
        "verifier.web.errors",
        "verifier.web.pages",
        "verifier.web.pages.Answer",
        "verifier.container",
        "verifier.container.Container",
    }


def test_a_circle_would_be_found(tmp_path: Path) -> None:
    """One that closes over three modules, a type and a function; a package on the way is no part of it."""
    sources = {
        "room/__init__.py": "from room.first import one",
        "room/first.py": "from room import second\none = 1",
        "room/second.py": "if TYPE_CHECKING:\n    from room.third import Third",
        "room/third.py": "def f():\n    from room.first import one",
        "room/fourth.py": "import room.first\nfrom room.fifth import five",
        "room/fifth.py": "from room import one\nfive = 5",
    }
    (tmp_path / "room").mkdir()
    for name, source in sources.items():
        (tmp_path / name).write_text(source, encoding="utf-8")
    graph = graph_of(modules_of(tmp_path, "room"))
    assert graph["room.first"] == {"room.second"}
    assert graph["room.fifth"] == {"room"}
    assert circles_in(graph) == [["room.first", "room.second", "room.third"]]


def test_two_circles_that_share_a_module_are_one() -> None:
    """And a module alone is none."""
    graph = {"a": {"b"}, "b": {"a", "c"}, "c": {"b", "d"}, "d": set(), "e": {"a"}}
    assert circles_in(graph) == [["a", "b", "c"]]
