"""One mail over one open session, in as few round trips as the relay allows.

With PIPELINING (RFC 2920) the envelope and DATA go out in one write and cost one round trip, the
message a second one; without it MAIL, RCPT, DATA and the message cost one each. DATA ends its group:
nothing of the message is sent before the relay's 354, so a refused recipient costs no bytes, and no
command follows a message in the same write. A RSET that is due goes in front of MAIL.

The life of a transaction: every reply is read and judged by `workers.smtp.answers`; the first refusal
is the outcome, whatever follows it; what leaves the state of the session open closes it.
"""

from __future__ import annotations

import re
import smtplib
from dataclasses import replace

from workers.smtp.answers import (
    CLOSING,
    Outcome,
    Stage,
    accepted,
    outcome_of_error,
    outcome_of_reply,
    smtputf8_missing,
)
from workers.smtp.dialogue import RelayDialogue
from workers.smtp.outgoing_mail import OutgoingMail

_LONE_END = re.compile(rb"\r\n|\r|\n")


class Transaction:
    """Sends one mail; `run` is called once and never raises for what a relay does."""

    def __init__(self, dialogue: RelayDialogue, mail: OutgoingMail, relay: str) -> None:
        """The dialogue is open; it is closed here when it cannot carry another mail."""
        self._dialogue = dialogue
        self._mail = mail
        self._relay = relay
        self._stage = Stage.MAIL
        self._refusal: Outcome | None = None
        self._dot_sent = False
        self.found_dead = False

    def run(self) -> Outcome:
        """Return the outcome; `found_dead` is true when the session was closed before it took anything."""
        if self._mail.needs_smtputf8 and not self._dialogue.has_extn("smtputf8"):
            return smtputf8_missing(self._relay)
        try:
            outcome = self._envelope() or self._body()
        except (OSError, ValueError) as error:
            outcome = self._lost(error)
        return self._without_code(outcome)

    def _envelope(self) -> Outcome | None:
        """Return the refusal, or None: the relay waits for the message."""
        mail_from, rcpt_to = self._commands()
        if self._dialogue.has_extn("pipelining"):
            return self._in_one_write(mail_from, rcpt_to)
        return self._step_by_step(mail_from, rcpt_to)

    def _in_one_write(self, mail_from: bytes, rcpt_to: bytes) -> Outcome | None:
        dialogue = self._dialogue
        reset, dialogue.needs_rset = dialogue.needs_rset, True
        dialogue.write((b"RSET\r\n" if reset else b"") + mail_from + rcpt_to + b"DATA\r\n")
        if reset:
            self._read_reset_reply()
        mail_taken = self._read_reply(Stage.MAIL)
        rcpt_taken = self._read_reply(Stage.RCPT)
        data_taken = self._read_reply(Stage.DATA)
        if self._refusal is not None and data_taken:
            self._end_empty(mail_taken=mail_taken, rcpt_taken=rcpt_taken)
        return self._refusal

    def _step_by_step(self, mail_from: bytes, rcpt_to: bytes) -> Outcome | None:
        dialogue = self._dialogue
        if dialogue.needs_rset:
            dialogue.write(b"RSET\r\n")
            self._read_reset_reply()
        dialogue.needs_rset = True
        for stage, command in ((Stage.MAIL, mail_from), (Stage.RCPT, rcpt_to), (Stage.DATA, b"DATA\r\n")):
            dialogue.write(command)
            if not self._read_reply(stage):
                break
        return self._refusal

    def _body(self) -> Outcome:
        self._stage = Stage.BODY
        self._dialogue.write(in_wire_form(self._mail.payload))
        self._dot_sent = True
        self._dialogue.wait_for_the_answer()
        code, words = self._dialogue.getreply()
        self._dialogue.needs_rset = False
        outcome = outcome_of_reply(Stage.BODY, code, words, self._relay)
        if code == CLOSING or outcome.ambiguous:
            self._dialogue.close()
        return outcome

    def _read_reply(self, stage: Stage) -> bool:
        """Read the reply to one command; the first refusal is kept, a 421 ends the dialogue."""
        if self._refusal is None:
            self._stage = stage
        code, words = self._dialogue.getreply()
        if accepted(stage, code):
            return True
        if self._refusal is None:
            self._refusal = outcome_of_reply(stage, code, words, self._relay)
        if code // 100 not in (4, 5) or code == CLOSING:
            raise smtplib.SMTPServerDisconnected("the relay ends the session, or its reply is not SMTP")
        return False

    def _read_reset_reply(self) -> None:
        if self._dialogue.getreply()[0] // 100 != 2:
            raise smtplib.SMTPServerDisconnected("the relay refuses RSET")

    def _end_empty(self, *, mail_taken: bool, rcpt_taken: bool) -> None:
        """End the message, empty, where the relay says 354 although it refused (RFC 2920)."""
        if rcpt_taken or not mail_taken:
            # It may think it has a recipient; an empty mail must not go to anybody.
            self._dialogue.close()
            return
        self._dialogue.write(b".\r\n")
        self._dialogue.getreply()

    def _lost(self, error: OSError | ValueError) -> Outcome:
        """Return the outcome of a broken dialogue; a refusal read before that still counts."""
        self._dialogue.close()
        silent = isinstance(error, TimeoutError)
        outcome = self._refusal or outcome_of_error(self._stage, error, self._relay, dot_sent=self._dot_sent)
        untouched = outcome.stage is Stage.MAIL and outcome.code in (None, CLOSING)
        self.found_dead = untouched and not silent
        return outcome

    def _commands(self) -> tuple[bytes, bytes]:
        mail, offers = self._mail, self._dialogue.has_extn
        options = f" SIZE={len(mail.payload)}" if offers("size") else ""
        if offers("8bitmime") and not mail.payload.isascii():
            options += " BODY=8BITMIME"
        if mail.needs_smtputf8:
            options += " SMTPUTF8"
        mail_from = f"MAIL FROM:<{mail.sender}>{options}\r\n"
        return mail_from.encode(), f"RCPT TO:<{mail.recipient}>\r\n".encode()

    def _without_code(self, outcome: Outcome) -> Outcome:
        """Blank the code out: a relay may quote the mail in its reply, and replies are kept."""
        code = self._mail.code
        if not code or code not in outcome.reply:
            return outcome
        words = outcome.reply.replace(code, "*" * len(code))
        return replace(outcome, reply=words)


def in_wire_form(payload: bytes) -> bytes:
    """Return the message as it goes over the wire: CRLF ends only, leading dots doubled, the final dot."""
    ends = payload.count(b"\r\n")
    if not ends == payload.count(b"\n") == payload.count(b"\r"):
        # A lone CR or LF is read as a line's end by some servers and not by others.
        payload = _LONE_END.sub(b"\r\n", payload)
    if b"\n." in payload or payload.startswith(b"."):
        payload = (b"\n" + payload).replace(b"\n.", b"\n..")[1:]
    return payload + (b".\r\n" if payload.endswith(b"\n") else b"\r\n.\r\n")
