"""The message as it goes over the wire, and envelopes that cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.smtp.outgoing_mail import OutgoingMail
from workers.smtp.transaction import in_wire_form


@pytest.mark.parametrize(
    ("payload", "wire"),
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"", b"\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.b\r\n..\r\n", b"a\r\n..b\r\n...\r\n.\r\n"),
        (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\rb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a.\r\n", b"a.\r\n.\r\n"),
    ],
)
def test_dots_are_doubled_and_line_ends_are_one_kind(payload: bytes, wire: bytes) -> None:
    """And the final dot stands alone."""
    assert in_wire_form(payload) == wire


def unstuffed(wire: bytes) -> bytes:
    """What a strict server takes out of the bytes on the wire."""
    lines = wire.split(b"\r\n")
    end = lines.index(b".")
    assert end == len(lines) - 2, "the message ended early"
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:end])


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a", b"\xff"]), max_size=30).map(b"".join))
def test_no_message_can_end_itself(payload: bytes) -> None:
    """Whatever it holds, a strict server reads exactly its lines, and a lax one finds no other end."""
    wire = in_wire_form(payload)
    lines = payload.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removesuffix(b"\n").split(b"\n")
    assert unstuffed(wire) == b"".join(line + b"\r\n" for line in lines)
    assert wire.count(b"\r") == wire.count(b"\n") == wire.count(b"\r\n")


@pytest.mark.parametrize(
    "address",
    ["", "nobody", "a@b\r\nRCPT TO:<c@d>", "a@b> SIZE=1", "<a@b>", "a b@c", "a@b\x00", "a@b\n", "@b", "a@"],
)
def test_an_envelope_cannot_carry_a_command(address: str) -> None:
    """Refused before any relay sees it, as sender and as recipient."""
    with pytest.raises(ValueError, match="one address"):
        OutgoingMail("us@example.org", address, "<a@b>", b"")
    with pytest.raises(ValueError, match="one address"):
        OutgoingMail(address, "you@example.org", "<a@b>", b"")


def test_a_mails_repr_holds_neither_message_nor_code() -> None:
    """It may end in a log."""
    mail = OutgoingMail("us@example.org", "you@example.org", "<a@b>", b"secret 123456", code="123456")
    assert "123456" not in repr(mail)
