"""What a worker has in hand."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from verifier.domain.verifications import Delivery, DeliveryStatus, Verification
from verifier.store.deliveries import Claim
from workers.in_flight import InFlight


def _claim(number: int, lease: str = "lease") -> Claim:
    delivery = Delivery(1, DeliveryStatus.SENDING)
    return Claim(Verification(f"{number:032x}", "a@example.org", "k", 0, 600, delivery), 1, lease)


def test_what_is_taken_is_held_until_it_is_let_go() -> None:
    """Each claim once, however often it is taken."""
    in_flight = InFlight(8)
    claims = [_claim(number) for number in range(3)]
    in_flight.add(claims)
    in_flight.add(claims[:1])
    assert len(in_flight) == 3
    assert in_flight.held() == claims
    in_flight.remove(claims[:2])
    assert in_flight.held() == claims[2:]


def test_letting_go_of_what_is_not_held_does_nothing() -> None:
    """Nor of the same delivery under another lease."""
    in_flight = InFlight(8)
    in_flight.add([_claim(1, "ours")])
    in_flight.remove([_claim(1, "theirs"), _claim(2)])
    assert len(in_flight) == 1


@pytest.mark.parametrize(("held", "room"), [(0, 8), (1, 7), (4, 4)])
def test_there_is_room_at_once_while_half_of_it_is_free(held: int, room: int) -> None:
    """For as many as are still free."""
    in_flight = InFlight(8)
    in_flight.add([_claim(number) for number in range(held)])
    started_at = time.monotonic()
    assert in_flight.wait_for_room(30) == room
    assert time.monotonic() - started_at < 5


@pytest.mark.parametrize(("held", "room"), [(5, 3), (8, 0), (10, 0)])
def test_full_hands_are_waited_for_and_what_room_there_is_is_told(held: int, room: int) -> None:
    """Never less than none."""
    in_flight = InFlight(8)
    in_flight.add([_claim(number) for number in range(held)])
    started_at = time.monotonic()
    assert in_flight.wait_for_room(0.05) == room
    assert time.monotonic() - started_at >= 0.05


def test_letting_go_wakes_whoever_waits() -> None:
    """For room, and for empty hands."""
    in_flight = InFlight(2)
    claims = [_claim(1), _claim(2)]
    in_flight.add(claims)
    with ThreadPoolExecutor(2) as pool:
        room = pool.submit(in_flight.wait_for_room, 30)
        empty = pool.submit(in_flight.wait_until_empty, 30)
        in_flight.remove(claims)
        assert room.result(10) == 2
        assert empty.result(10) is True


def test_hands_that_stay_full_are_not_waited_for_forever() -> None:
    """A worker that stops has other things to do."""
    in_flight = InFlight(2)
    in_flight.add([_claim(1)])
    assert in_flight.wait_until_empty(0.05) is False
