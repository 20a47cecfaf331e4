"""The servers that README names as tried are those that CI runs the tests on."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _named_in_readme() -> list[str]:
    table = README.partition("| server | where")[2].partition("\n\n")[0]
    return re.findall(r"^\| ((?:Redis|Valkey) [0-9.]+) \|", table, flags=re.MULTILINE)


def test_the_readme_names_what_ci_runs() -> None:
    """A version that is added to one is added to the other; each is checked by what the server itself says."""
    machines = re.findall(r'is_one redis-server "([^"]+)"', CI)
    others = re.findall(r'again_on "([A-Z][a-z]+ [0-9.]+)" "\$server"', CI)
    assert len(machines) == 1
    assert sorted([*machines, *others]) == sorted(_named_in_readme())
    assert 'is_one "$2" "$1" ||' in CI


def test_the_tests_that_touch_redis_run_on_each() -> None:
    """The integration tests and the faults, on the server that is named."""
    assert (
        'export VERIFIER_REDIS_SERVER=$2\n    .venv/bin/pytest -n 4 --dist worksteal -m "not long" tests/integration/{sentinel,verifier,workers} tests/chaos'
        in CI
    )


def test_ci_defines_what_it_calls_before_it_calls_it() -> None:
    """A shell reads from the top; a function that is not there yet would count as a server that is the wrong one."""
    for name in re.findall(r"^(\w+)\(\) \{", CI, flags=re.MULTILINE):
        first = re.search(rf"^[^#\n]*\b{name}\b", CI, flags=re.MULTILINE)
        assert first is not None
        assert CI[first.start() :].startswith(f"{name}() {{")
