"""The users of the embedded topology, each with a random password of its own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and its password, which no repr shows."""

    username: str
    password: str = field(repr=False)


def _user(username: str) -> Credential:
    return Credential(username, secrets.token_hex(24))


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everybody on the data nodes (`redis_*`) and the sentinels (`sentinel_*`).

    A field's name and `_password` make the secret's file name, in the templates, in compose and here.
    """

    redis_app: Credential
    redis_replica: Credential
    redis_sentinel: Credential
    redis_health: Credential
    redis_ops: Credential
    redis_drill: Credential
    sentinel_peer: Credential
    sentinel_app: Credential
    sentinel_health: Credential
    sentinel_ops: Credential

    @classmethod
    def random(cls) -> Credentials:
        """Make up a password for each."""
        return cls(**{one.name: _user(one.name.partition("_")[2]) for one in fields(cls)})

    def write(self, directory: Path) -> None:
        """Write each password into a file of its own that only we can read."""
        directory.mkdir(mode=0o700)
        for one in fields(self):
            file = directory / f"{one.name}_password"
            file.touch(mode=0o600)
            file.write_text(getattr(self, one.name).password + "\n")
