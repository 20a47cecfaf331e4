"""Fill our queue through the store's own script: `python fill_ours.py MAILS [LIFETIME_S [RETENTION_S]]`.

The settings come from the environment, as the app's do. Each verification is accepted by the very step that
the app runs, only many in one round trip.
"""

from __future__ import annotations

import sys
import time

from sentinel import MasterLink
from verifier.domain.codes import new_verification_id
from verifier.settings import Settings, load_settings
from verifier.store.keyspace import Queue
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
            queue=Queue(settings.queue),
        )
        self._steps: list[Step] = []

    def _commit(self, step: Step) -> tuple[bytes, float, float]:
        self._steps.append(step)
        now = time.time()
        return b"accepted", now, now

    def write(self) -> None:
        """Run what was collected."""
        replies = run_steps(self._link.redis, self._steps, self._acknowledgement)
        assert all(reply[0] == b"accepted" for reply in replies), {reply[0] for reply in replies}
        self._steps.clear()


def fill(mails: int, lifetime_s: float, retention_s: float) -> None:
    """Accept so many verifications, each with an address of its own."""
    settings = load_settings(dotenv=None)
    link = MasterLink(access_of(settings.redis))
    store = CollectingStore(link, settings, retention_s)
    for number in range(mails):
        store.accept(
            new_verification_id(), f"user{number:06d}@example.org", settings.keys.current, lifetime_s
        )
        if (number + 1) % BATCH == 0 or number + 1 == mails:
            store.write()
    link.close()


if __name__ == "__main__":
    arguments = [float(text) for text in sys.argv[1:]]
    fill(int(arguments[0]), *(arguments[1:] + [600.0, 600.0][len(arguments) - 1 :]))
