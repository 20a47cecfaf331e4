"""Documents and deployment keep up with the code."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import click
import pytest
from flask import Flask

from verifier import cli
from verifier.settings import known_names
from verifier.settings.loading import OTHER_NAMES
from verifier.store import keyspace
from workers.worker import MailWorker

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"\bVERIFIER_[A-Z0-9_]+\b")
SETTINGS = sorted(known_names() - OTHER_NAMES)


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", [".env.example", "docs/settings.md"])
def test_every_setting_is_documented(document: str) -> None:
    """By its whole name: that of a longer one does not count."""
    named = set(NAME.findall(_read(document)))
    assert [name for name in SETTINGS if name not in named] == []


@pytest.mark.parametrize("document", [".env.example", "docs/settings.md", "docs/security.md", "README.md"])
def test_no_document_names_a_setting_that_is_none(document: str) -> None:
    """Somebody renamed it, or mistyped it; the form that reads a file counts as the setting."""
    known = known_names() | {f"{name}_FILE" for name in SETTINGS} | {"VERIFIER_"}
    prefixes = tuple(name for name in NAME.findall(_read(document)) if name.endswith("_"))
    named = {name for name in NAME.findall(_read(document)) if name not in prefixes}
    assert named - known == set()


def test_the_example_sets_each_name_once() -> None:
    """A line, commented out or not, for each setting, and none for what other parts set by themselves."""
    lines = re.findall(r"^#?\s?(VERIFIER_[A-Z0-9_]+)=", _read(".env.example"), flags=re.MULTILINE)
    assert sorted(set(lines)) == sorted(lines)
    assert set(lines) >= set(SETTINGS)
    assert "VERIFIER_EMBEDDED_MAILBOX" not in lines


def test_the_readmes_make_targets_exist() -> None:
    """What a reader is told to type works."""
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", _read("README.md"), flags=re.DOTALL))
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", code))
    targets = set(re.findall(r"^([a-z][a-z-]*):", _read("Makefile"), flags=re.MULTILINE))
    assert "run" in named
    assert named - targets == set()


def test_the_readmes_links_lead_somewhere() -> None:
    """Within the repository, and so do its pictures."""
    links = re.findall(r"(?:\]\(|src=\")(?!https?:|#|mailto:)([^)#\s\"]+)", _read("README.md"))
    assert "docs/pictures/mailbox.png" in links
    assert [link for link in links if not (ROOT / link).exists()] == []


def _anchors(page: Path) -> set[str]:
    """Return what GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["docs/runbook.md", "docs/procedures.md"])
def test_the_operators_links_lead_somewhere(page: str) -> None:
    """To a page that is there, and to a heading of it."""
    links = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)#?([^)\s]*)\)", _read(page))
    assert len(links) > 10
    for path, anchor in links:
        target = (ROOT / "docs" / path) if path else ROOT / page
        assert target.is_file(), path
        assert not anchor or anchor in _anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize("page", ["docs/runbook.md", "docs/procedures.md"])
def test_the_tests_that_a_page_names_exist(page: str) -> None:
    """By file and function."""
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", _read(page)):
        assert f"\ndef {name}(" in _read(path), f"{path}::{name}"


PAGES = sorted(
    str(page.relative_to(ROOT))
    for folder in (".", "docs", "docs/decisions", "sentinel")
    for page in (ROOT / folder).glob("*.md")
)
# Written or made by commands, and not in the repository.
MADE = {".env", ".venv"}
PATH = re.compile(r"(?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|lua|md|yaml|toml|in|txt|conf|sh|acl)")

# Of a limit.
RATE = re.compile(r"\d+/\d+[smhd]")


def _code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("page", PAGES)
def test_the_paths_in_a_page_exist(page: str) -> None:
    """From the root of the repository, or from the folder of the page."""
    places = (ROOT, (ROOT / page).parent)
    named = {
        span for span in _code_spans(_read(page)) if PATH.fullmatch(span) and not RATE.fullmatch(span)
    } - MADE
    assert [path for path in sorted(named) if not any((place / path).exists() for place in places)] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_in_a_page_exist(page: str) -> None:
    """`flask <group> <command>`, wherever somebody is told to type it."""
    app = Flask("verifier")
    cli.add_commands(app)
    context = click.Context(app.cli)
    for group, command in re.findall(r"\bflask (sentinel|deliveries) ([a-z-]+)", _read(page)):
        found = app.cli.get_command(context, group)
        assert isinstance(found, click.Group)
        assert command in found.list_commands(context), f"flask {group} {command}"


def _tree() -> dict[str, str]:
    """Read CONTRIBUTING's tree: each path and its line."""
    found: dict[str, str] = {}
    parents: list[str] = []
    block = re.search(r"(?:^    .+\n)+(?=\n## Directions)", _read("CONTRIBUTING.md"), flags=re.MULTILINE)
    assert block is not None
    for line in block[0].splitlines():
        name, _, meaning = line.strip().partition("  ")
        depth = (len(line) - len(line.lstrip()) - 4) // 2
        parents[depth:] = [name]
        for each in name.split(", "):
            found["".join([*parents[:depth], each])] = meaning.strip()
    return found


def test_the_tree_of_contributing_exists() -> None:
    """Each line a room, with what it is for."""
    assert [path for path in _tree() if not any(ROOT.glob(path.rstrip("/")))] == []
    assert [path for path, meaning in _tree().items() if not meaning] == []


@pytest.mark.parametrize("package", ["sentinel", "verifier", "workers"])
def test_every_room_stands_in_the_tree(package: str) -> None:
    """A new folder with modules gets its line in the same commit."""
    folders = {f"{path.parent.relative_to(ROOT).as_posix()}/" for path in (ROOT / package).rglob("*.py")}
    assert sorted(folders - set(_tree())) == []


@cache
def _names_in_the_code() -> frozenset[str]:
    """All that is defined: classes, functions, constants, attributes and arguments."""
    found: set[str] = set()
    for package in ("sentinel", "verifier", "workers"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef | ast.FunctionDef):
                    found.add(node.name)
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    found.add(node.id)
                elif isinstance(node, ast.arg):
                    found.add(node.arg)
    return frozenset(found)


def _glossary() -> dict[str, list[str]]:
    """Read each term and the names that it goes by in the code."""
    lines = re.findall(r"^\| (.+?) \| .+ \| ?(.*?) ?\|$", _read("docs/glossary.md"), flags=re.MULTILINE)
    return {term: _code_spans(names) for term, names in lines if term != "term"}


def test_what_is_in_the_glossary_exists() -> None:
    """Each name in its last column is a file or a name of the code."""
    named = {name for names in _glossary().values() for name in names}
    paths = {name for name in named if "/" in name}
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    assert sorted(named - paths - _names_in_the_code()) == []


@pytest.mark.parametrize("room", ["sentinel/link", "workers"])
def test_what_needs_explaining_is_in_the_glossary(room: str) -> None:
    """Each module of the two rooms with the most terms of their own; a command's module explains itself."""
    named = {name for names in _glossary().values() for name in names}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / room).glob("*.py")}
    assert sorted(modules - named - {f"{room}/__init__.py", f"{room}/cli.py"}) == []


OLD_WORDS = re.compile(
    r"(?<![a-z])(keeper|stencil|interview|contestants?|patience|conversations?|fences?|scenes?|desk|bury|unbury"
    r"|flask sentinel failover)(?![a-z])",
    re.IGNORECASE,
)


def test_no_word_of_old_is_left() -> None:
    """What has a new name is called by it, in the code as well; the benchmarks are written by their command."""
    files = {ROOT / page for page in PAGES if page != "docs/benchmarks.md"}
    for package in ("sentinel", "verifier", "workers", "tests"):
        files |= {
            path for suffix in ("py", "lua", "sh", "html") for path in (ROOT / package).rglob(f"*.{suffix}")
        }
    found = {
        path.relative_to(ROOT).as_posix(): OLD_WORDS.findall(path.read_text(encoding="utf-8"))
        for path in files - {Path(__file__).resolve()}
    }
    assert {path: words for path, words in found.items() if words} == {}


@cache
def _sentences_in_the_code() -> str:
    texts = []
    for package in ("sentinel", "verifier", "workers"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            texts += [str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return "\n".join(texts)


def test_the_runbooks_log_lines_are_logged() -> None:
    """Whoever searches the page for a line of the log finds it; `...` stands for what differs."""
    section = _read("docs/runbook.md").partition("## The log says ...")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `(.+?)` \|", section, flags=re.MULTILINE)
    assert len(lines) > 4
    pieces = [piece.strip(" ,") for line in lines for piece in line.split("...")]
    assert [piece for piece in pieces if piece and piece not in _sentences_in_the_code()] == []


def test_every_queue_has_a_consumer() -> None:
    """Web and workers take its name from one setting, and the worker works on nothing else."""
    source = (ROOT / "workers" / "worker.py").read_text(encoding="utf-8")
    assert "keyspace.Queue(container.settings.queue)" in source
    assert source.count("[self._queue.name]") == 1
    wiring = (ROOT / "verifier" / "wiring.py").read_text(encoding="utf-8")
    assert wiring.count("Queue(settings.queue)") == 3
    prefix = MailWorker.queue_class.redis_queue_namespace_prefix
    assert keyspace.Queue("mails").key == f"{prefix}mails"


def test_a_job_names_a_function_that_exists() -> None:
    """It is named by its dotted path, so nothing else would notice."""
    module, _, function = keyspace.DELIVER.rpartition(".")
    assert callable(getattr(import_module(module), function))


def test_every_command_exists() -> None:
    """The same for the commands of `flask`."""
    for module, attribute in cli._COMMANDS.values():
        assert callable(getattr(import_module(module), attribute))
