"""Documents and deployment keep up with the code."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("document", [".env.example", "docs/settings.md", "README.md"])
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
    """Within the repository."""
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", _read("README.md"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_queue_has_a_consumer() -> None:
    """The worker works on each queue that anything is put into."""
    named = {value for name, value in vars(keyspace).items() if name.endswith("QUEUE_NAME")}
    source = (ROOT / "workers" / "worker.py").read_text(encoding="utf-8")
    consumed = {getattr(keyspace, name) for name in re.findall(r"\[keyspace\.(\w*QUEUE_NAME)\]", source)}
    assert named
    assert consumed == named
    assert f"{MailWorker.queue_class.redis_queue_namespace_prefix}{keyspace.QUEUE_NAME}" == keyspace.QUEUE


def test_a_job_names_a_function_that_exists() -> None:
    """It is named by its dotted path, so nothing else would notice."""
    module, _, function = keyspace.DELIVER.rpartition(".")
    assert callable(getattr(import_module(module), function))


def test_every_command_exists() -> None:
    """The same for the commands of `flask`."""
    for module, attribute in cli._COMMANDS.values():
        assert callable(getattr(import_module(module), attribute))
