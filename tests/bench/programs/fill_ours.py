"""Fill our queue through the store's own script: `python fill_ours.py MAILS [LIFETIME_S [RETENTION_S]]`.

The settings come from the environment, as the app's do. Each verification is accepted by the very step that
the app runs, only many in one round trip.
"""

from __future__ import annotations

import sys
import time

from sentinel import MasterLink
from verifier.domain.codes import new_verification_id
from verifier.domain.verifications import Delivery, DeliveryStatus, Verification
from verifier.settings import Settings, load_settings
from verifier.store.scripts import Step, run_steps
from verifier.store.verifications import VerificationStore
from verifier.wiring import access_of, acknowledgement_of

BATCH = 200


class CollectingStore(VerificationStore):
    """The store, but for the last moment: steps are kept, to be run many at a time."""

    def __init__(self, link: MasterLink, settings: Settings, retention_s: float) -> None:
        super().__init__(
            link,
            acknowledgement_of(settings.redis),
            retention_s=retention_s,
            max_owed_mails=settings.max_owed_mails,
        )
        self._steps: list[Step] = []

    def _commit(self, step: Step) -> bytes:
        self._steps.append(step)
        return b"accepted"

    def write(self) -> None:
        """Run what was collected."""
        replies = run_steps(self._link.redis, self._steps, self._acknowledgement)
        assert all(reply == b"accepted" for reply in replies), set(replies)
        self._steps.clear()


def fill(mails: int, lifetime_s: float, retention_s: float) -> None:
    """Accept so many verifications, each with an address of its own."""
    settings = load_settings(dotenv=None)
    link = MasterLink(access_of(settings.redis))
    store = CollectingStore(link, settings, retention_s)
    for number in range(mails):
        store.accept(_verification(number, settings.keys.current, lifetime_s))
        if (number + 1) % BATCH == 0 or number + 1 == mails:
            store.write()
    link.close()


def _verification(number: int, key_id: str, lifetime_s: float) -> Verification:
    now = time.time()
    return Verification(
        id=new_verification_id(),
        address=f"user{number:06d}@example.org",
        key_id=key_id,
        created_at=now,
        expires_at=now + lifetime_s,
        last_sent_at=now,
        delivery=Delivery(1, DeliveryStatus.QUEUED, queued_at=now),
    )


if __name__ == "__main__":
    arguments = [float(text) for text in sys.argv[1:]]
    fill(int(arguments[0]), *(arguments[1:] + [600.0, 600.0][len(arguments) - 1 :]))
