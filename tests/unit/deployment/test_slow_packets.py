"""The wire format with which packets are held back: what goes to the kernel, and what is read from it."""

from __future__ import annotations

import errno
import struct

import pytest

from tests.deployment.slow_packets import attribute, message, packets_in, verdict

PACKET = 3 << 8
VERDICT = 3 << 8 | 1


def _handed_over(packet: int) -> bytes:
    header = attribute(1, struct.pack("!IHB", packet, 0x0800, 3))
    return message(PACKET, 0, 7, attribute(9, b"abc") + header)


def test_packets_are_found_in_what_the_kernel_hands_over() -> None:
    """Several at once, whatever other attributes they have."""
    assert packets_in(_handed_over(1) + _handed_over(70_000)) == [1, 70_000]
    assert packets_in(b"") == []


def test_a_refusal_of_the_kernel_is_raised_and_a_consent_is_not() -> None:
    """A queue that another program has, or no right to one."""
    refusal = struct.pack("=IHHIIi", 20, 2, 0, 0, 0, -errno.EPERM)
    with pytest.raises(OSError, match="refuses") as raised:
        packets_in(refusal)
    assert raised.value.errno == errno.EPERM
    assert packets_in(struct.pack("=IHHIIi", 20, 2, 0, 0, 0, 0)) == []


def test_a_verdict_names_queue_packet_and_decision() -> None:
    """In network order, the lengths in the machine's."""
    length, kind, flags = struct.unpack_from("=IHH", said := verdict(7, 70_000, 1))
    assert (length, kind, flags) == (len(said), VERDICT, 1)
    assert struct.unpack_from("!BBH", said, 16) == (0, 0, 7)
    assert struct.unpack_from("=HH", said, 20) == (12, 2)
    assert struct.unpack_from("!II", said, 24) == (1, 70_000)
