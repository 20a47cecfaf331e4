"""Stock peers for comparison."""

from __future__ import annotations
from verifier.drill.contestants import Contestant


def find_peer(name: str) -> Contestant | None:
    return None
