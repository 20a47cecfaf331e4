"""What an embedded topology can be made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.local.credentials import Credentials
from sentinel.local.options import LocalOptions
from sentinel.local.running_topology import TopologyError
from sentinel.local.topology import LocalTopology


@pytest.mark.parametrize(("sentinels", "quorum"), [(1, 1), (2, 2), (3, 2), (5, 3)])
def test_quorum_is_the_majority(sentinels: int, quorum: int) -> None:
    """The quorum is the majority of the sentinels."""
    assert LocalOptions(sentinels=sentinels).quorum == quorum


def test_more_required_replicas_than_there_are_is_refused() -> None:
    """A topology that would refuse every write does not start."""
    with pytest.raises(ValueError, match="min_replicas_to_write=1 with 0 replicas would refuse every write"):
        LocalOptions(replicas=0)


def test_no_sentinel_is_refused() -> None:
    """Without a sentinel nobody could be asked for the master."""
    with pytest.raises(ValueError, match="at least one sentinel"):
        LocalOptions(sentinels=0)


def test_superuser_without_users_is_refused() -> None:
    """A superuser beside open doors would be a misunderstanding."""
    with pytest.raises(ValueError, match="superuser=True needs acl=True"):
        LocalOptions(acl=False, superuser=True)


def test_directory_in_use_is_refused(tmp_path: Path) -> None:
    """Files of an earlier topology are neither overwritten nor started from."""
    (tmp_path / "old").touch()
    options = LocalOptions(directory=tmp_path, redis_server=Path("/bin/false"))
    with pytest.raises(TopologyError, match="is not empty: name a new directory"):
        LocalTopology(options).start()


def test_passwords_differ_and_stay_out_of_reprs() -> None:
    """Every user has a password of its own, and printing the credentials shows none."""
    credentials = Credentials.random()
    passwords = {getattr(credentials, name).password for name in Credentials.__slots__}
    assert len(passwords) == len(Credentials.__slots__)
    assert not any(password in repr(credentials) for password in passwords)


def test_secret_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """Each password lies in a file only we can read."""
    Credentials.random().write(tmp_path / "secrets")
    files = list((tmp_path / "secrets").iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert len(files) == len(Credentials.__slots__)
