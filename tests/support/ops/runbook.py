"""The commands of the operators' pages: found in their text, and held against what there is, without running them."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import click
import yaml
from flask import Flask
from flask.cli import run_command

from verifier import cli

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("docs/runbook.md", "docs/procedures.md")
PROGRAMS = frozenset(
    [
        "flask",
        "rq",
        "docker",
        "sh",
        "systemctl",
        "journalctl",
        "redis-cli",
        "redis-check-aof",
        "ask_node",
        "ask_sentinel",
        "python",
        "make",
        "gunicorn",
        "curl",
        "kill",
        "cp",
        "mv",
        "rm",
        "tar",
        "chown",
        "chmod",
        "install",
        "apt",
        "git",
        "openssl",
        "sysctl",
        "export",
        "set",
        "sudo",
    ]
)
"""What begins a command in the midst of a sentence; in a block of code everything does."""
PLACEHOLDERS: Mapping[str, str] = {
    "HOST:PORT": "127.0.0.1:6379",
    "ID": "0123456789abcdef0123456789abcdef",
    "NAME": "kill",
}
_BLOCK = re.compile(r"(?<=\n\n)(?: {4}.*\n)+(?:\n(?: {4}.*\n)+)*")
_REDIS = re.compile(r"(?:CLIENT|CONFIG|REPLICAOF|SENTINEL) [A-Z ]+|sentinel [a-z]+ verifier")


def text_of_pages() -> str:
    """Return all pages, one behind the other."""
    return "\n\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)


def blocks(text: str) -> list[str]:
    """Return the blocks of code, without those that are no commands: JSON."""
    return [block for block in _BLOCK.findall(text) if not block.lstrip().startswith("{")]


def functions(text: str) -> str:
    """Return the shell functions that a page defines, as they stand there."""
    return "\n".join(block for block in blocks(text) if "() {" in block)


def commands(text: str) -> list[str]:
    """Return each command once, in the order of the page: lines of blocks, and what is one in a sentence."""
    found: dict[str, None] = {}
    for block in blocks(text):
        if "() {" not in block:
            lines = (re.sub(r"(?:^|\s)#.*$", "", line).strip() for line in block.splitlines())
            found |= dict.fromkeys(line for line in lines if line)
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", _BLOCK.sub("", text)))
    for span in spans:
        words = span.split()
        is_program = len(words) > 1 and words[0] in PROGRAMS
        if is_program or _REDIS.fullmatch(span):
            found[span] = None
    return list(found)


def parse_flask(command: str) -> None:
    """Have click read a command of `flask` without running it; raises UsageError where it is none."""
    app = Flask("verifier")
    cli.add_commands(app)
    app.cli.add_command(run_command)
    found: click.Command = app.cli
    words = [PLACEHOLDERS.get(word, word) for word in command.split()[1:] if word != "..."]
    while isinstance(found, click.Group) and words:
        name = words.pop(0)
        below = found.get_command(click.Context(found), name)
        if below is None:
            raise click.UsageError(f"{command}: there is no command {name}.")
        found = below
    if not isinstance(found, click.Group):
        found.make_context(command, words)


def names_of_tests(path: str) -> set[str]:
    """Return the tests of a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@cache
def _compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


_WITH_VALUE = {"--profile", "--entrypoint", "-f", "-u"}
_FLAGS = {"--rm", "--no-deps", "-d", "--force-recreate", "--build", "--no-log-prefix", "-T"}
_VERBS = {"run", "up", "stop", "restart", "logs", "exec", "build"}


def parse_compose(command: str) -> None:
    """Hold a command of `docker compose` against compose.yaml: files, profiles, services, and what runs in them."""
    words = shlex.split(command.partition("|")[0])[2:]
    assert set(_VERBS) & set(words), command
    options: dict[str, str] = {}
    left: list[str] = []
    while words:
        word = words.pop(0)
        if word in _WITH_VALUE:
            options[word] = words.pop(0)
        elif word.startswith("-") and not (left[:1] in (["run"], ["exec"]) and len(left) > 1):
            assert word in _FLAGS, f"{command}: {word}"
        elif left[:1] in (["run"], ["exec"]) and len(left) == 2:
            _inside(left[1], [word, *words], options)
            break
        else:
            left.append(word)
    verb, *services = left
    assert verb in _VERBS, command
    known = _compose()["services"]
    assert [name for name in services if name not in known and name != "NAME"] == [], command
    if (profile := options.get("--profile")) is not None:
        assert profile in known[services[0]]["profiles"], command
    if (file := options.get("-f")) is not None:
        assert (ROOT / file).exists(), command


def _inside(service: str, words: list[str], options: Mapping[str, str]) -> None:
    """Hold what runs in a container against the image."""
    if service == "ops" and "--entrypoint" not in options:
        parse_flask(" ".join(["flask", *words]))
    elif options.get("--entrypoint") == "rq":
        parse_rq(" ".join(["rq", *words]))
    else:
        assert service.startswith("redis-"), service
        assert words[0] == "first-master", words


def parse_rq(command: str) -> None:
    """Hold a command of RQ against its own."""
    from rq.cli import main  # noqa: PLC0415 - slow to import, and no test but these needs it

    name, *rest = command.split()[1:]
    found = main.commands[name]
    found.make_context(name, rest)


def parse_script(command: str) -> None:
    """Hold `sh SCRIPT WORD` against the script: it is there, and has the word as a case."""
    _, script, *words = shlex.split(command)
    text = (ROOT / script).read_text(encoding="utf-8")
    for word in words[:1]:
        assert re.search(rf"\b{re.escape(word)}\b", text), command


def parse_systemctl(command: str) -> None:
    """Hold a command of systemd against the units that are shipped."""
    _, verb, *units = command.split()
    assert verb in {"start", "stop", "restart", "reload"}, command
    for unit in units:
        name = unit.partition("@")[0] + ("@" if "@" in unit else "")
        shipped = [name, f"{name}.service"]
        assert unit == "UNIT" or any((ROOT / "deploy" / "systemd" / each).exists() for each in shipped), (
            command
        )
