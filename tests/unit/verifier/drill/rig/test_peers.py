"""The stock peers stand alone: their virtualenv has nothing of this project and not all of its dependencies."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from verifier.drill.rig.systems import CELERY, DRAMATIQ, PEERS, RQ, SystemUnderTest

MODULES = sorted(PEERS.glob("*.py"))
INSTALLED = {"flask", "flask_mail", "rq", "redis", "celery", "dramatiq"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_peer_imports_only_what_its_virtualenv_has(module: Path) -> None:
    """Its neighbours by their bare names, the standard library, and the libraries under test."""
    imported = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported <= INSTALLED | {each.stem for each in MODULES} | sys.stdlib_module_names


@pytest.mark.parametrize("peer", [RQ, CELERY, DRAMATIQ], ids=lambda peer: peer.name)
def test_modules_that_a_peer_is_started_with_exist(peer: SystemUnderTest) -> None:
    """Its web is served from one of them, and they are all that is on its path of imports."""
    assert peer.app.partition(":")[0] in {each.stem for each in MODULES}
    assert peer.import_path == str(PEERS)
