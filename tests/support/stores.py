"""Verifications in the real store, made and looked at with few words."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from redis import Redis

from sentinel import MasterLink, TransientError
from verifier.domain.codes import new_verification_id
from verifier.domain.verifications import Verification
from verifier.settings import Settings
from verifier.store import keyspace
from verifier.store.records import new_verification
from verifier.store.verifications import Resend, VerificationStore
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
        """Give the same store with room for fewer mails."""
        return Store(self._link, replace(self.settings, max_owed_mails=owed_mails))

    def new(self, *, life_s: float = 600, now: float | None = None) -> Verification:
        """Make a verification up, without writing it."""
        now = time.time() if now is None else now
        return new_verification(
            new_verification_id(), "ann@example.org", self.settings.keys.current, now, now + life_s
        )

    def accepted(self, *, life_s: float = 600, age_s: float = 0) -> Verification:
        """Accept a verification, which was so many seconds ago; return it as it is then."""
        verification = self.accept(
            new_verification_id(), "ann@example.org", self.settings.keys.current, life_s
        )
        if age_s:
            self.age(verification.id, age_s)
        return self.get(verification.id) if age_s else verification

    def age(self, verification_id: str, seconds: float) -> None:
        """Let so much time have passed for a verification since it was accepted."""
        key = keyspace.record_key(verification_id)
        for name in ("created_at", "expires_at", "queued_at", "last_sent_at"):
            before: Any = self._link.redis.hget(key, name)
            if before is not None:
                self._link.redis.hset(key, name, f"{float(before) - seconds:.3f}")

    def attempted(self, verification_id: str, max_attempts: int = 5) -> tuple[bool, Verification]:
        """Count an attempt; return whether it may be judged."""
        attempt, verification, _ = self.count_attempt(
            verification_id, max_attempts, secrets.token_hex(8), "", list(self.settings.keys.secrets)
        )
        return attempt.may_be_judged, verification

    def asked_again(self, verification: Verification) -> Resend:
        """Ask for the mail again, as a request of its own."""
        return self.resend(verification, secrets.token_hex(8))

    def resent(self, verification: Verification) -> Verification:
        """Owe the mail of a verification once more; return it as it is then."""
        self.asked_again(self.get(verification.id))
        return self.get(verification.id)


def waiting_jobs(client: Redis) -> list[str]:
    """Give the ids of the jobs in the queue, head first."""
    jobs: Any = client.lrange(keyspace.QUEUE, 0, -1)
    return list(jobs)


def due_in_s(client: Redis, verification: Verification) -> float | None:
    """Give in how many seconds a mail is due by Redis's clock; None where none is owed."""
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

    def run_and_lose(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        if left[0]:
            left[0] -= 1
            raise TransientError("The answer got lost.")
        return result

    monkeypatch.setattr(module, "run_steps", run_and_lose)
    return lambda: left[0]
