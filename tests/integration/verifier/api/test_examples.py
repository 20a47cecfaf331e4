"""The examples of docs/api.md run as they stand, through a first answer that is a 503."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from tests.support.api.serving import served
from verifier import create_app
from verifier.container import Container, install
from verifier.domain.api_keys import entry_of, parse_api_keys
from verifier.domain.codes import code_of
from verifier.domain.errors import ServiceUnavailable
from verifier.domain.verifications import Verification
from verifier.settings import Settings
from verifier.store import keyspace

GUIDE = Path(__file__).resolve().parents[4] / "docs/api.md"
KEY = f"verifier_{'s' * 43}"
EXAMPLES = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
# The programs that each wants, and how a file with it is run.
PROGRAMS = {"sh": ("sh", "curl", "jq"), "python": (sys.executable,), "javascript": ("node",)}
SUFFIXES = {"javascript": ".mjs"}
WITHIN_S = 100


class LosesTheFirstAnswer:
    """A service that starts what it is asked for, and then says that nobody knows."""

    def __init__(self, container: Container) -> None:
        self._service = container.service
        self._told = False
        self.clock = container.service.clock
        self.rules = container.service.rules

    def start(self, address: str, **how: object) -> Verification:
        """Start it, and lose the answer once."""
        started = self._service.start(address, **how)  # type: ignore[arg-type]
        if not self._told:
            self._told = True
            raise ServiceUnavailable("We don't know yet whether this was done.", 1)
        return started

    def __getattr__(self, name: str) -> object:
        return getattr(self._service, name)


@pytest.fixture
def address(settings: Settings, container: Container, master: Redis) -> Iterator[str]:
    """Where the API is, closed but for KEY."""
    ours = replace(settings, api_open=False, api_keys=parse_api_keys(entry_of("shop", KEY)))
    app = create_app(ours)
    install(app, replace(container, settings=ours, service=LosesTheFirstAnswer(container)))  # type: ignore[arg-type]
    with served(app) as found:
        yield found


def _require(programs: tuple[str, ...]) -> None:
    missing = [each for each in programs if shutil.which(each) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(
            f"CI is set and there is no {missing[0]}: install it, the examples of docs/api.md need it."
        )
    if missing:
        pytest.skip(f"There is no {missing[0]} on the PATH, so this example of docs/api.md is not run.")


def test_there_is_an_example_in_each_language() -> None:
    """And no other code that nobody runs."""
    assert [language for language, _ in EXAMPLES] == list(PROGRAMS)


@pytest.mark.parametrize("example", EXAMPLES, ids=[language for language, _ in EXAMPLES])
def test_an_example_runs(
    settings: Settings, address: str, master: Redis, tmp_path: Path, example: tuple[str, str]
) -> None:
    """From the start to the right code, with one mail."""
    language, code = example
    _require(PROGRAMS[language])
    file = tmp_path / f"example{SUFFIXES.get(language, '')}"
    file.write_text(code, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "VERIFIER_URL": address, "VERIFIER_KEY": KEY}
    with subprocess.Popen(
        [PROGRAMS[language][0], file],
        env=environment,
        cwd=tmp_path,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        try:
            assert running.stdout is not None
            first = running.stdout.readline()
            found = re.search(r"[0-9a-f]{32}", first)
            assert found, first + running.communicate(timeout=WITHIN_S)[1]
            typed = code_of(found[0], "ada@example.org", "test", settings.keys, settings.rules)
            output, complaints = running.communicate(f"{typed}\n", timeout=WITHIN_S)
        finally:
            running.kill()
    assert (running.returncode, complaints) == (0, "")
    assert output.lower().split()[-1] == "true"
    assert master.llen(keyspace.QUEUE) == 1
    assert len(master.keys(keyspace.record_key("*"))) == 1
