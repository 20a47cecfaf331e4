"""What can be done with verifications: start, read, check, resend, cancel.

The rules of the domain are applied here, the store writes atomically, and nobody else calls the store. All of it is
judged by Redis's clock (store/redis_clock.py). Whoever asks may name a key for a request: a repeat with the same key
leads to the same answer, whether or not the first one arrived.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from verifier.domain.addresses import normalise_address
from verifier.domain.callers import Caller, CallerKind, require_seen, require_started
from verifier.domain.codes import (
    code_of,
    is_verification_id,
    new_verification_id,
    normalise_typed_code,
    same_code,
)
from verifier.domain.errors import (
    LimitReached,
    QueueFull,
    RequestReused,
    ResendTooSoon,
    ServiceUnavailable,
    TooManySends,
    VerificationEnded,
    VerificationNotFound,
    VerifierError,
)
from verifier.domain.keys import KeyRing
from verifier.domain.limits import Limits
from verifier.domain.requests import (
    fingerprint_of,
    is_same_body,
    key_id_in,
    may_be_same_body,
    request_id_of,
    resend_mark_in,
    resend_mark_of,
    verification_ids_of,
)
from verifier.domain.rules import Rules
from verifier.domain.verifications import Status, Verification
from verifier.domain.words import words
from verifier.loglines import about, current_request_id
from verifier.logs import ThrottledLog
from verifier.outcomes import Judgement, Outcomes, Submission, judgement_of, submission_of
from verifier.redis_errors import RETRY_AFTER_S, redis_within
from verifier.store.limits import Counting
from verifier.store.verifications import Attempt, Resend, VerificationStore

log = logging.getLogger(__name__)
throttled_log = ThrottledLog(log)

_MOST_READS_BEFORE_RESEND = 5


@dataclass(frozen=True)
class CheckResult:
    """What came of a typed code: whether it was the right one just now, and the verification after it."""

    valid: bool
    verification: Verification
    repeated: bool = False
    """Whether the same request came before."""


@dataclass(frozen=True)
class _Start:
    """What somebody asks for who starts a verification; see `VerificationService.start`."""

    address: str
    form_token: str
    request_key: str
    request_body: str | None
    caller: Caller | None
    language: str


class VerificationService:
    """The use cases. Raises only errors of the domain."""

    def __init__(
        self,
        store: VerificationStore,
        keys: KeyRing,
        rules: Rules,
        limits: Limits | None = None,
        *,
        deadline_s: float = 10.0,
        test_addresses: bool = False,
        outcomes: Outcomes | None = None,
    ) -> None:
        """Make it.

        Args:
            store: where verifications are kept.
            keys: codes are made with.
            rules: what is allowed when.
            limits: how often.
            deadline_s: what one request may wait for Redis in all, in seconds.
            test_addresses: whether addresses for tests are accepted.
            outcomes: who is told what came of each request.
        """
        self._store = store
        self._deadline_s = deadline_s
        self._test_addresses = test_addresses
        self._outcomes = outcomes or Outcomes()
        self._keys = keys
        self._counting = Counting(limits or Limits(), keys)
        self.rules = rules

    @property
    def clock(self) -> Callable[[], float]:
        """The clock by which codes live: it returns Redis's Unix time, in seconds."""
        return self._store.clock

    def start(
        self,
        address: str,
        *,
        form_token: str = "",
        request_key: str = "",
        request_body: str | None = None,
        caller: Caller | None = None,
        language: str = "",
    ) -> Verification:
        """Accept an address: once this returns, the mail goes out.

        Args:
            address: as it was typed.
            form_token: of the form that was sent; the same form with the same address leads to the same verification.
            request_key: named by a caller of the API; the same one leads to the same verification.
            request_body: what that caller says beside the address; a repeat says the same. None is not compared.
            caller: who starts it, and may do more with it than type its code; None is the program itself.
            language: of the mails, one that there is a catalogue of; empty is English.

        Where the same caller has one pending for the address, it leads to that one, with its attempts as they are, and
        counts as a resend, which sends none where that would not be allowed now.

        Raises:
            InvalidAddress, QueueFull, LimitReached: nothing was accepted.
            RequestReused: the request key was used for another address, or another body.
            ServiceUnavailable: nobody knows yet; trying again with the same token or key is safe.
        """
        try:
            verification, is_pending = self._start(
                _Start(address, form_token, request_key, request_body, caller, language)
            )
        except VerifierError as error:
            self._note_limit(error)
            self._outcomes.submitted(submission_of(error))
            raise
        self._outcomes.submitted(Submission.PENDING if is_pending else Submission.ACCEPTED)
        return verification

    def _start(self, asked: _Start) -> tuple[Verification, bool]:
        """Return the verification, and whether it was pending before."""
        normal = normalise_address(asked.address, for_tests=self._test_addresses)
        ids = self._ids_of(normal, asked.form_token, asked.request_key, asked.caller)
        first_id, *other_ids = ids
        with redis_within(self._deadline_s, first_id):
            verification = self._store.accept(
                first_id,
                normal,
                self._keys.current,
                self.rules.lifetime_s,
                other_ids,
                started_by=asked.caller.mark if asked.caller else "",
                started_with=self._fingerprint_of(asked.request_body),
                language=asked.language,
                http_request_id=current_request_id(),
                count=self._counting.start(normal, asked.caller, self.rules.max_check_attempts),
            )
            self._require_same_start(verification, normal, asked.request_body)
            is_pending = verification.id not in ids
            is_owed_now = not is_pending and (not verification.repeated or _is_of_this_request(verification))
            if is_pending:
                number = verification.delivery.number
                verification = self._sent_again(
                    verification, request_id_of(asked.request_key or asked.form_token), asked.caller
                )
                is_owed_now = verification.delivery.number > number
        if is_owed_now:
            _log_accepted(verification)
        return verification, is_pending

    def get(self, verification_id: str, *, caller: Caller | None = None) -> Verification:
        """Read a verification. Raises VerificationNotFound, also where it is not the caller's; ServiceUnavailable."""
        _require_id(verification_id)
        with redis_within(self._deadline_s, verification_id):
            verification = self._store.get(verification_id)
        require_seen(caller, verification)
        return verification

    def check(
        self,
        verification_id: str,
        typed: str,
        *,
        request_key: str = "",
        request_body: str | None = None,
        caller: Caller | None = None,
    ) -> CheckResult:
        """Judge a typed code. The attempt is counted before it is judged, and a code works once.

        A repeat with the same request key is not counted again, and gets the same answer.

        Raises:
            MalformedCode: what was typed can't be a code; no attempt is counted.
            LimitReached: too many wrong codes were typed for the address, or by the client; no attempt is counted.
            RequestReused: the request key was used for another code, or with another body.
            ServiceUnavailable: also where this process lacks the key of the code; then no attempt is counted.
            VerificationNotFound.
        """
        try:
            result = self._check(verification_id, typed, request_key, request_body, caller)
        except VerifierError as error:
            self._note_limit(error)
            self._outcomes.judged(judgement_of(error))
            raise
        self._outcomes.judged(Judgement.RIGHT if result.valid else Judgement.WRONG)
        return result

    def _check(
        self,
        verification_id: str,
        typed: str,
        request_key: str,
        request_body: str | None,
        caller: Caller | None,
    ) -> CheckResult:
        _require_id(verification_id)
        code = normalise_typed_code(typed, self.rules.code_digits)
        request_id = request_id_of(request_key)
        counters = self._counting.wrong_codes(caller)
        said = f"{verification_id}{code}{request_body or ''}"
        with redis_within(self._deadline_s, verification_id):
            attempt, verification, fingerprint = self._store.count_attempt(
                verification_id,
                self.rules.max_check_attempts,
                request_id,
                fingerprint_of(self._keys, said),
                list(self._keys.secrets),
                caller_mark=caller.mark if caller else "",
                counters=counters,
            )
            if attempt is Attempt.UNKNOWN_KEY:
                raise self._key_missing(verification.id, verification.key_id)
            repeated = attempt is Attempt.REPEATED
            if repeated:
                self._require_same_check(verification_id, said, fingerprint)
            if not attempt.may_be_judged or not self._is_code_of(verification, code):
                return CheckResult(False, verification, repeated)
            approved, verification = self._store.end(verification_id, Status.APPROVED, request_id, counters)
            return CheckResult(approved, verification, repeated)

    def resend(
        self,
        verification_id: str,
        *,
        request_key: str = "",
        request_body: str | None = None,
        caller: Caller | None = None,
    ) -> Verification:
        """Have the mail sent again, with the same code; a repeat with the same request key sends no other.

        Raises:
            VerificationEnded, ResendTooSoon, TooManySends, LimitReached: the rules do not allow it.
            RequestReused: the request key was used with another body.
            VerificationNotFound, StartedElsewhere: it is not the caller's.
            QueueFull, ServiceUnavailable.
        """
        try:
            _require_id(verification_id)
            with redis_within(self._deadline_s, verification_id):
                verification = self._resend(verification_id, request_id_of(request_key), caller, request_body)
        except VerifierError as error:
            self._note_limit(error)
            self._outcomes.resent(submission_of(error))
            raise
        self._outcomes.resent(Submission.ACCEPTED)
        if not verification.repeated:
            _log_accepted(verification)
        return verification

    def cancel(self, verification_id: str, *, caller: Caller | None = None) -> Verification:
        """Cancel a pending verification; canceling a canceled one changes nothing.

        Raises:
            VerificationEnded: it ended otherwise.
            VerificationNotFound, StartedElsewhere: it is not the caller's.
            ServiceUnavailable.
        """
        _require_id(verification_id)
        with redis_within(self._deadline_s, verification_id):
            verification = self._store.get(verification_id)
            require_started(caller, verification)
            # Of a canceled one, too: that the master has it is not yet a yes.
            if verification.decided is not Status.CANCELED:
                verification.require_pending(self.clock(), self.rules)
            canceled, verification = self._store.end(verification_id, Status.CANCELED)
        if not canceled and verification.decided is not Status.CANCELED:
            verification.require_pending(self.clock(), self.rules)
        return verification

    def status(self, verification: Verification) -> Status:
        """Return the status at this moment."""
        return verification.status(self.clock(), self.rules)

    def _resend(
        self, verification_id: str, request_id: str, caller: Caller | None, request_body: str | None = None
    ) -> Verification:
        mark = resend_mark_of(request_id, self._fingerprint_of(request_body))
        for _ in range(_MOST_READS_BEFORE_RESEND):
            verification = self._store.get(verification_id)
            require_started(caller, verification)
            repeated, fingerprint = resend_mark_in(verification.resent_by, request_id)
            if repeated:
                if not may_be_same_body(self._keys, request_body, fingerprint):
                    raise RequestReused
            else:
                verification.require_resendable(self.clock(), self.rules)
            counters = self._counting.mails(verification.address, caller)
            # Also for a repeat, which owes no other mail: that the master has the first try is not yet a yes.
            if self._store.resend(verification, mark, counters) is Resend.ACCEPTED:
                return replace(verification, repeated=True) if repeated else self._store.get(verification_id)
        raise ServiceUnavailable(words("This verification is changing too quickly. Please try again."), 1)

    def _sent_again(self, verification: Verification, request_id: str, caller: Caller | None) -> Verification:
        """Resend a pending verification where that is allowed now; return it as it is then."""
        try:
            return self._resend(verification.id, request_id, caller)
        except (ResendTooSoon, TooManySends, VerificationEnded, LimitReached, QueueFull):
            return verification

    def _note_limit(self, error: VerifierError) -> None:
        if isinstance(error, LimitReached):
            self._outcomes.limit_reached(error.limit)

    def _ids_of(self, address: str, form_token: str, request_key: str, caller: Caller | None) -> list[str]:
        if request_key:
            # Two holders of keys may think of the same key for a request.
            scope = caller.mark if caller and caller.kind is CallerKind.KEY else "api"
            return verification_ids_of(self._keys, scope, request_key)
        if form_token:
            # Somebody may go back, correct the address and send the same form once more.
            return verification_ids_of(self._keys, "form", f"{form_token}\0{address}")
        return [new_verification_id()]

    def _fingerprint_of(self, request_body: str | None) -> str:
        """Return what tells the body of a request whose caller named a key; nothing for others."""
        return "" if request_body is None else fingerprint_of(self._keys, request_body)

    def _require_same_start(self, found: Verification, address: str, request_body: str | None) -> None:
        if found.address != address:
            raise RequestReused
        if found.repeated and not may_be_same_body(self._keys, request_body, found.started_with):
            raise RequestReused

    def _require_same_check(self, verification_id: str, said: str, fingerprint: str) -> None:
        """Judge no repeat that may be of another code: it was not counted, so codes could be tried without end."""
        if key_id_in(fingerprint) not in self._keys.secrets:
            raise self._key_missing(verification_id, key_id_in(fingerprint))
        if not is_same_body(self._keys, said, fingerprint):
            raise RequestReused

    def _key_missing(self, verification_id: str, key_id: str) -> ServiceUnavailable:
        throttled_log.log(
            logging.ERROR,
            "The code of verification %s was made or typed under the secret key %r, which this process does not have: "
            "add it to VERIFIER_SECRET_KEYS and restart. No attempt was counted.",
            verification_id,
            key_id,
        )
        return ServiceUnavailable(
            words(
                "The code can't be checked at the moment, because this service is being updated. Your attempt was not "
                "counted. Try again in a few seconds."
            ),
            RETRY_AFTER_S,
        )

    def _is_code_of(self, verification: Verification, code: str) -> bool:
        expected = code_of(verification.id, verification.address, verification.key_id, self._keys, self.rules)
        return expected is not None and same_code(expected, code)


def _is_of_this_request(verification: Verification) -> bool:
    """Return whether this very HTTP request started it, in an earlier try whose answer got lost."""
    return verification.http_request_id == current_request_id() != ""


def _log_accepted(verification: Verification) -> None:
    with about(verification_id=verification.id):
        log.info("Delivery %d of verification %s is accepted.", verification.delivery.number, verification.id)


def _require_id(verification_id: str) -> None:
    if not is_verification_id(verification_id):
        raise VerificationNotFound
