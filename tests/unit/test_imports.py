"""Imports point one way: `sentinel` knows nobody, `verifier` knows no worker."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sentinel", "verifier", "workers")

FORBIDDEN = {
    "sentinel": {"verifier", "workers", "flask", "rq", "wsgi", "tests"},
    "verifier": {"workers", "wsgi", "tests"},
    "workers": {"flask", "wsgi", "tests"},
    "verifier/domain": {"flask", "redis", "rq", "sentinel", "workers"},
}
# Flask-Mail builds the message, which needs an app to itself; it is not the web app.
ALLOWED = {"workers/mail/message.py": {"flask"}}


def imported(source: str, package: str) -> Iterator[str]:
    """Give the full names of all modules that a module imports, wherever in it, dynamic ones by literal included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and node.args
            and _name_of(node.func) in {"import_module", "__import__"}
        ):
            argument = node.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize(
    ("folder", "module"),
    [(folder, str(path.relative_to(ROOT))) for folder in FORBIDDEN for path in _modules(folder)],
)
def test_imports_point_one_way(folder: str, module: str) -> None:
    """Wherever in a module they stand."""
    path = ROOT / module
    package = ".".join(path.relative_to(ROOT).parent.parts)
    tops = {name.partition(".")[0] for name in imported(path.read_text(encoding="utf-8"), package)}
    assert not tops & (FORBIDDEN[folder] - ALLOWED.get(module, set()))


def test_every_room_is_looked_at() -> None:
    """The test above would pass on an empty folder."""
    assert all(len(_modules(room)) > 5 for room in ROOMS)
    assert set(ROOMS) <= set(FORBIDDEN)


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
