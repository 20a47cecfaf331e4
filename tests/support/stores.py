"""Verifications in the real store, made and looked at with few words."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from redis import Redis

from sentinel import MasterLink, TransientError
from verifier.domain.codes import new_verification_id
from verifier.domain.verifications import Delivery, DeliveryStatus, Verification
from verifier.settings import Settings
from verifier.store import keyspace
from verifier.store.verifications import VerificationStore
from verifier.wiring import acknowledgement_of


class Store(VerificationStore):
    """The project's store on the test's settings."""

    def __init__(self, link: MasterLink, settings: Settings) -> None:
        super().__init__(
            link,
            acknowledgement_of(settings.redis),
            retention_s=settings.retention_s,
            max_owed_mails=settings.max_owed_mails,
        )
        self.settings = settings

    def limited_to(self, owed_mails: int) -> Store:
        """Return the same store with room for fewer mails."""
        return Store(self._link, replace(self.settings, max_owed_mails=owed_mails))

    def new(self, *, life_s: float = 600, now: float | None = None) -> Verification:
        """Make a verification up, without writing it."""
        now = time.time() if now is None else now
        return Verification(
            id=new_verification_id(),
            address="ann@example.org",
            key_id=self.settings.keys.current,
            created_at=now,
            expires_at=now + life_s,
            last_sent_at=now,
            delivery=Delivery(1, DeliveryStatus.QUEUED, queued_at=now),
        )

    def accepted(self, *, life_s: float = 600, now: float | None = None) -> Verification:
        """Accept a verification."""
        verification = self.new(life_s=life_s, now=now)
        self.accept(verification)
        return verification

    def resent(self, verification: Verification) -> Verification:
        """Owe the mail of a verification once more; give it as it is then."""
        self.resend(self.get(verification.id), time.time())
        return self.get(verification.id)


def waiting_jobs(client: Redis) -> list[str]:
    """Return the ids of the jobs in the queue, head first."""
    jobs: Any = client.lrange(keyspace.QUEUE, 0, -1)
    return list(jobs)


def due_in_s(client: Redis, verification: Verification) -> float | None:
    """Return in how many seconds a mail is due by Redis's clock; None where none is owed."""
    score: Any = client.zscore(keyspace.DUE, verification.id)
    seconds, microseconds = client.time()
    return None if score is None else float(score) - seconds - microseconds / 1e6


def make_due(client: Redis, *verifications: Verification) -> None:
    """Let the time pass until these mails are due."""
    for verification in verifications:
        assert client.zadd(keyspace.DUE, {verification.id: 1}, xx=True, ch=True) == 1


def lose_answers(monkeypatch: pytest.MonkeyPatch, module: ModuleType, how_many: int = 1) -> Callable[[], int]:
    """Have the next steps that a module runs work and their answers get lost; gives how many are still to come."""
    real = module.run_steps  # type: ignore[attr-defined]
    left = [how_many]

    def run_and_lose(*arguments: Any) -> Any:
        result = real(*arguments)
        if left[0]:
            left[0] -= 1
            raise TransientError("The answer got lost.")
        return result

    monkeypatch.setattr(module, "run_steps", run_and_lose)
    return lambda: left[0]
