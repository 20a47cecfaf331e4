"""The files of TLS: which can be used, a sentence for each that can't, and their renewal."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from sentinel import Endpoint, Tls, TlsFilesWrong, TlsRefused
from sentinel.tls import shake_hands
from verifier.settings import SettingsError, load_redis_settings

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="there is no openssl to make files with"
)
SCRIPT = Path(__file__).parents[3] / "sentinel" / "config" / "make-secrets.sh"


def _make(order: str, directory: Path) -> None:
    subprocess.run(["/bin/sh", SCRIPT, order, directory], check=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files as the documented command makes them."""
    directory = tmp_path_factory.mktemp("tls") / "secrets"
    _make("tls", directory)
    return directory


@pytest.fixture
def files(made: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(made, tmp_path / "secrets"))


def _tls(files: Path) -> Tls:
    return Tls(files / "redis_tls_ca", files / "verifier_tls_cert", files / "verifier_tls_key")


def test_files_that_fit(files: Path) -> None:
    """The context is kept while nothing changes."""
    assert _tls(files).context() is _tls(files).context()


@pytest.mark.parametrize(
    ("spoiled", "text", "words"),
    [
        ("redis_tls_ca", None, "redis_tls_ca can't be read (No such file or directory): correct the path"),
        ("redis_tls_ca", "no certificate", "should hold the authority's certificate, but is no PEM file"),
        ("redis_tls_ca", "-----BEGIN CERTIFICATE-----\nx\n", "holds no certificate that can be read"),
        ("verifier_tls_cert", None, "verifier_tls_cert can't be read"),
        ("verifier_tls_cert", "", "should hold the client certificate, but is no PEM file"),
        ("verifier_tls_key", None, "verifier_tls_key can't be read"),
        ("verifier_tls_key", "", "should hold the client certificate's key, but is no PEM file"),
        ("verifier_tls_key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nx\n", "is encrypted"),
        ("verifier_tls_key", "-----BEGIN PRIVATE KEY-----\nx\n", "no certificate and key that can be read"),
    ],
)
def test_each_file_that_cannot_be_used_is_named(
    files: Path, spoiled: str, text: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start, by the settings, in a sentence."""
    (files / spoiled).unlink()
    if text is not None:
        (files / spoiled).write_text(text)
    with pytest.raises(TlsFilesWrong) as caught:
        _tls(files).context()
    assert words in str(caught.value)
    monkeypatch.setenv("VERIFIER_REDIS_TLS", "true")
    for name, file in (("CA", "redis_tls_ca"), ("CERT", "verifier_tls_cert"), ("KEY", "verifier_tls_key")):
        monkeypatch.setenv(f"VERIFIER_REDIS_TLS_{name}_FILE", str(files / file))
    with pytest.raises(SettingsError) as refused:
        load_redis_settings(None)
    assert str(refused.value).startswith("VERIFIER_REDIS_TLS: ")
    assert words in str(refused.value)


def test_a_key_of_another_certificate_is_named(files: Path) -> None:
    """Both are fine, but no pair."""
    shutil.copy(files / "redis_tls_key", files / "verifier_tls_key")
    with pytest.raises(TlsFilesWrong, match="does not belong to the certificate"):
        _tls(files).context()


def test_a_certificate_without_a_key_is_refused(files: Path) -> None:
    """One is of no use without the other."""
    with pytest.raises(TlsFilesWrong, match="name both files, or none"):
        Tls(files / "redis_tls_ca", files / "verifier_tls_cert").context()


def test_renewed_files_count_when_all_of_them_fit(files: Path) -> None:
    """In between, the former hold."""
    before = _tls(files).context()
    renewed = files.parent / "renewed"
    shutil.copytree(files, renewed)
    _make("renew-tls", renewed)
    shutil.copy(renewed / "verifier_tls_key", files)
    assert _tls(files).context() is before
    shutil.copy(renewed / "verifier_tls_cert", files)
    assert _tls(files).context() is not before


def test_making_again_keeps_and_renewing_replaces(files: Path) -> None:
    """The authority stays in both."""
    before = {each.name: each.read_bytes() for each in files.iterdir()}
    _make("tls", files)
    assert {each.name: each.read_bytes() for each in files.iterdir()} == before
    _make("renew-tls", files)
    after = {each.name: each.read_bytes() for each in files.iterdir()}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"redis_tls_cert", "redis_tls_key", "verifier_tls_cert", "verifier_tls_key"}
    assert after.keys() == before.keys()


def test_off_looks_at_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """compose names the files in any case."""
    monkeypatch.setenv("VERIFIER_REDIS_TLS", "no")
    monkeypatch.setenv("VERIFIER_REDIS_TLS_CA_FILE", "/nowhere")
    assert load_redis_settings(None).tls is None


def test_neither_on_nor_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt switch must not mean that nothing is encrypted."""
    monkeypatch.setenv("VERIFIER_REDIS_TLS", "ja")
    with pytest.raises(SettingsError, match="VERIFIER_REDIS_TLS: must be true or false"):
        load_redis_settings(None)


def test_an_answer_in_another_protocol_is_named() -> None:
    """A server without TLS that answers says so by what it answers."""
    ours, theirs = socket.socketpair()
    threading.Thread(target=theirs.sendall, args=(b"-ERR unknown command\r\n",)).start()
    with ours, theirs, pytest.raises(TlsRefused, match="does not speak TLS: turn TLS on there, or off"):
        shake_hands(Tls(), ours, Endpoint("redis-1", 6379), 5)
