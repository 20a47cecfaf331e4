"""What the outcomes at one relay say of it: does it work, since when does it fail, has it recovered.

Pure but for its own state: every method takes `now` of one clock that never jumps. A silence or a lost
connection after the recipient was named (RCPT, DATA, the message) may be the recipient's doing, since relays ask
the recipient's server before they answer. It counts as the relay's failure only when mails to different
domains met it within a minute and no mail went through in between: nobody can switch off the mail of others by
typing an address whose server is slow. Not thread-safe: its owner holds the lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from workers.smtp.answers import Kind, Outcome, Stage, without_addresses
from workers.smtp.relay_breaker import Pass, RelayBreaker

SILENCES_TOGETHER_S = 60.0
# A probe that proves nothing yet, since the relay failed later than at the login, is repeated after this.
PROBE_AGAIN_AFTER_S = 10.0

_STAGES = list(Stage)


class Recovered(Enum):
    """What a failing relay has shown."""

    PROBED = auto()  # it can be reached again; only a mail can prove more
    WORKS = auto()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sentence about a relay that fails, and whether it does so by refusing us (our login, our sender)."""

    sentence: str
    refuses_us: bool


class RelayState:
    """One relay's breaker, its last failure, and whether it has recovered."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        """Begin as a relay that works."""
        self.breaker = RelayBreaker(jitter)
        self.last_failure: Outcome | None = None
        self._failing_since = 0.0
        self._silence: tuple[str, float] | None = None  # the domain, and when
        self._probe_again_at = 0.0
        self._recovered: Recovered | None = None

    def admit(self, now: float) -> Pass | None:
        """Let a mail through; None while none may be sent."""
        return self.breaker.admit(now)

    def probe_is_due(self, now: float) -> bool:
        """Return whether its cooldown is over, no mail is trying and no probe has answered a moment ago."""
        breaker = self.breaker
        cooldown_is_over = breaker.open_until is not None and now >= max(
            breaker.open_until, self._probe_again_at
        )
        return cooldown_is_over and not breaker.probing

    def gave_up(self, admitted_as: Pass) -> None:
        """Note that a mail or a probe ended without telling anything about the relay."""
        self.breaker.gave_up(admitted_as)

    def note(self, outcome: Outcome, domain: str, admitted_as: Pass, now: float) -> bool:
        """Note what became of a mail to this domain, or of a probe; return whether it begins a cooldown."""
        if self._is_its_failure(outcome, domain, now):
            return self._fail(outcome, admitted_as, now)
        if self._proves_that_it_works(outcome):
            self._works()
        else:
            self.gave_up(admitted_as)
        return False

    def note_answered_probe(self, now: float) -> None:
        """Note that connect and login worked: proof enough where it had failed there."""
        if self.last_failure is None or self.last_failure.stage is Stage.CONNECT:
            self._works()
            return
        self.gave_up(Pass.PROBE)
        self._probe_again_at = now + PROBE_AGAIN_AFTER_S
        self._recovered = self._recovered or Recovered.PROBED

    def note_unclear_probe(self, now: float) -> None:
        """Note a probe that found no free connection while others are in use."""
        self.gave_up(Pass.PROBE)
        self._probe_again_at = now + PROBE_AGAIN_AFTER_S

    def take_recovered(self) -> Recovered | None:
        """Return what the relay has shown since the last call."""
        recovered, self._recovered = self._recovered, None
        return recovered

    def cooldown_left_s(self, now: float) -> float:
        """Return for how many more seconds nobody is let through; 0 when the next mail may be sent or probes."""
        until = self.breaker.open_until
        return 0.0 if until is None else max(0.0, until - now)

    def trouble(self, name: str, now: float) -> Trouble | None:
        """Return what is wrong with a relay that fails, None about one that works."""
        if self.last_failure is None:
            return None
        failure, left_s = self.last_failure, self.cooldown_left_s(now)
        what = " ".join(str(part) for part in (failure.code, failure.reply) if part)
        when = f"in {left_s:.0f} s" if left_s >= 1 else "now"
        return Trouble(
            f"Relay {name} has failed for {max(0.0, now - self._failing_since):.0f} s, "
            f"last at {failure.stage.value} with: {what.rstrip('.')}. It is asked again {when}.",
            refuses_us=failure.kind is Kind.RELAY_REFUSES_US,
        )

    def _is_its_failure(self, outcome: Outcome, domain: str, now: float) -> bool:
        if not outcome.relay_failed or not outcome.recipient_may_be_why:
            return outcome.relay_failed
        before, self._silence = self._silence, (domain, now)
        return before is not None and before[0] != domain and now - before[1] <= SILENCES_TOGETHER_S

    def _fail(self, outcome: Outcome, admitted_as: Pass, now: float) -> bool:
        if self.last_failure is None:
            self._failing_since = now
        # It is shown beside the mails of others, and in the health report.
        self.last_failure = replace(outcome, reply=without_addresses(outcome.reply), ambiguous=False)
        self._recovered = None
        return self.breaker.failed(now, admitted_as)

    def _proves_that_it_works(self, outcome: Outcome) -> bool:
        """Return whether a mail came past the stage where the relay had failed, or was answered there."""
        if outcome.kind is Kind.SENT:
            self._silence = None
            return True
        if self.last_failure is None:
            return True
        further = _STAGES.index(outcome.stage) - _STAGES.index(self.last_failure.stage)
        return further > 0 or (further == 0 and outcome.code is not None)

    def _works(self) -> None:
        if self.last_failure is not None:
            self._recovered = Recovered.WORKS
        self.last_failure, self._probe_again_at = None, 0.0
        self.breaker.worked()
