"""`flask check-settings`: everything that is wrong, at once and in sentences."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from verifier.cli.check_settings import check_settings_command
from verifier.domain.keys import new_secret

RIGHT = f"VERIFIER_SECRET_KEYS=k:{new_secret()}\nVERIFIER_SENTINELS=10.0.0.1:26379\n"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An environment without settings, in an empty directory; what a test loads is undone."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("VERIFIER_")]:
        del os.environ[name]
    monkeypatch.chdir(tmp_path)
    yield
    os.environ.clear()
    os.environ.update(before)


def _check(text: str) -> Result:
    return CliRunner().invoke(check_settings_command, ["--file", "-"], input=text)


def test_right_settings_pass() -> None:
    """Exit code 0 and one sentence."""
    done = _check(RIGHT)
    assert (done.exit_code, done.output) == (0, "The settings are right.\n")


def test_a_file_named_env_is_read_by_itself(tmp_path: Path) -> None:
    """As app and worker would find it."""
    (tmp_path / ".env").write_text(RIGHT + "VERIFIER_MAIL_PORT=0\n")
    done = CliRunner().invoke(check_settings_command, [])
    assert done.exit_code == 1
    assert "VERIFIER_MAIL_PORT: " in done.output


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Wrong values, what is missing and misspelt names, each with its name and no value of a secret."""
    done = _check("VERIFIER_CODE_DIGITS=many\nVERIFIER_MAIL_PORT=99999\nVERIFIER_MAIL_SERVR=a\nPORT=8000\n")
    assert done.exit_code == 1
    lines = done.output.splitlines()
    for beginning in (
        "VERIFIER_CODE_DIGITS: ",
        "VERIFIER_MAIL_PORT: ",
        "VERIFIER_SECRET_KEYS: It is not set",
    ):
        assert any(line.startswith(beginning) for line in lines), beginning
    assert "VERIFIER_MAIL_SERVR is not a setting; did you mean VERIFIER_MAIL_SERVER?" in lines


def test_sentinels_are_wanted() -> None:
    """Without them only `flask run` could start."""
    done = _check(RIGHT.splitlines()[0])
    assert (done.exit_code, done.output) == (1, "VERIFIER_SENTINELS: It is not set.\n")


def test_a_certificate_that_is_no_file_is_told() -> None:
    """With the setting and the path."""
    done = _check(RIGHT + "VERIFIER_MAIL_CA_FILE=/nowhere/ca.pem\n")
    assert done.exit_code == 1
    assert "VERIFIER_MAIL_CA_FILE: there is no file /nowhere/ca.pem." in done.output.splitlines()
