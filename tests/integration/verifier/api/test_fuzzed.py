"""schemathesis makes requests of all kinds from the OpenAPI document, and finds nothing. `make api-fuzz` runs it for longer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from redis import Redis

from tests.support.api.serving import served
from verifier import create_app
from verifier.container import Container, install
from verifier.domain.api_keys import entry_of, parse_api_keys
from verifier.settings import Settings

ROOT = Path(__file__).resolve().parents[4]
KEY = f"verifier_{'s' * 43}"
# For each request and phase; without it a short run that is the same each time.
EXAMPLES = int(os.environ.get("API_EXAMPLES", "0"))
WITHIN_S = 200


def test_schemathesis_finds_nothing(
    settings: Settings, container: Container, master: Redis, tmp_path: Path
) -> None:
    """All of its checks, on a closed API: each status, header, member and refusal is as documented, and none is a 5xx."""
    ours = replace(settings, api_open=False, api_keys=parse_api_keys(entry_of("shop", KEY)))
    app = create_app(ours)
    install(app, replace(container, settings=ours))
    report = tmp_path / "report.json"
    with served(app) as address:
        done = subprocess.run(
            [
                Path(sys.executable).with_name("st"),
                *("--config-file", ROOT / "tests/schemathesis.toml"),
                *("run", f"{address}/openapi.json"),
                *("--header", f"Authorization: Bearer {KEY}"),
                *("--max-examples", str(EXAMPLES or 10)),
                *(() if EXAMPLES else ("--generation-deterministic",)),
                "--continue-on-failure",
                "--no-color",
                *("--report", "json", "--report-json-path", report),
            ],
            cwd=tmp_path,
            text=True,
            capture_output=True,
            timeout=None if EXAMPLES else WITHIN_S,
            check=False,
        )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["operations"]["tested"] == 5
    assert told["test_cases"]["generated"] > 100
    assert (told["failures"], told["errors"]) == ([], [])
