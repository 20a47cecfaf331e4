"""The users of the embedded topology, each with a random password of its own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, fields
from pathlib import Path

from sentinel.access import Login


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everybody on the data nodes (`redis_*`) and the sentinels (`sentinel_*`).

    A field's name and `_password` make the secret's file name, in the templates, in compose and here.
    """

    redis_app: Login
    redis_replica: Login
    redis_sentinel: Login
    redis_health: Login
    redis_ops: Login
    redis_drill: Login
    sentinel_peer: Login
    sentinel_app: Login
    sentinel_health: Login
    sentinel_ops: Login

    @classmethod
    def random(cls) -> Credentials:
        """Make a random password for each."""
        return cls(
            **{one.name: Login(one.name.partition("_")[2], secrets.token_hex(24)) for one in fields(cls)}
        )

    def write(self, directory: Path) -> None:
        """Write each password into a file of its own that only we can read."""
        directory.mkdir(mode=0o700)
        for one in fields(self):
            file = directory / f"{one.name}_password"
            file.touch(mode=0o600)
            file.write_text(getattr(self, one.name).password + "\n")
