"""Who imports whom, read from the source: for the tests that hold how the rooms may know each other."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

Graph = Mapping[str, Collection[str]]


@dataclass(frozen=True)
class Module:
    """One source file under its dotted name; a package goes by the name of its folder."""

    name: str
    path: Path

    @property
    def package(self) -> str:
        """What relative imports in it start from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @cached_property
    def imports(self) -> frozenset[str]:
        """The full names of all that it imports, wherever in it."""
        return frozenset(imported(self.path.read_text(encoding="utf-8"), self.package))


def modules_of(root: Path, *rooms: str) -> list[Module]:
    """Return the modules below some folders (or the single files `name.py`) of the repository."""
    paths = [
        path for room in rooms for path in ((root / room).rglob("*.py") if (root / room).is_dir() else [])
    ]
    paths += [root / f"{room}.py" for room in rooms if (root / f"{room}.py").is_file()]
    return [Module(_dotted(path.relative_to(root)), path) for path in sorted(paths)]


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, package: str) -> Iterator[str]:
    """Yield the full names of all that a module imports, wherever in it, dynamic ones by literal included."""
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


def graph_of(modules: Collection[Module]) -> dict[str, set[str]]:
    """Return which of the modules each of them imports, under TYPE_CHECKING and within functions, too.

    `from a.b import c` leads to `a.b.c` where that is a module, else to `a.b`. The packages on the way to a module
    count only where something of their own is taken.
    """
    names = {module.name for module in modules}
    return {module.name: _targets(module.imports, names) - {module.name} for module in modules}


def _targets(imports: Collection[str], names: Collection[str]) -> set[str]:
    taken = {name.rpartition(".")[0] for name in imports if name not in names}
    found = {name for name in imports if name in names} | {name for name in taken if name in names}
    return {name for name in found if name in taken or not any(each.startswith(f"{name}.") for each in found)}


def circles_in(graph: Graph) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or by way of others; Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for neighbour in sorted(graph[name]):
            if neighbour not in index:
                visit(neighbour)
                low[name] = min(low[name], low[neighbour])
            elif neighbour in stack:
                low[name] = min(low[name], index[neighbour])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                circles.append(sorted(group))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return sorted(circles)
