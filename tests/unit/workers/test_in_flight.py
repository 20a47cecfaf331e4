"""The claims in flight."""

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


def test_what_is_added_is_in_flight_until_it_is_removed() -> None:
    """Each claim once, however often it is added."""
    in_flight = InFlight(8)
    claims = [_claim(number) for number in range(3)]
    in_flight.add(claims)
    in_flight.add(claims[:1])
    assert len(in_flight) == 3
    assert in_flight.claims() == claims
    in_flight.remove(claims[:2])
    assert in_flight.claims() == claims[2:]


def test_removing_what_is_not_in_flight_does_nothing() -> None:
    """Nor of the same delivery under another lease."""
    in_flight = InFlight(8)
    in_flight.add([_claim(1, "ours")])
    in_flight.remove([_claim(1, "theirs"), _claim(2)])
    assert len(in_flight) == 1


@pytest.mark.parametrize(("in_flight_already", "capacity"), [(0, 8), (1, 7), (4, 4)])
def test_there_is_capacity_at_once_while_half_of_it_is_free(in_flight_already: int, capacity: int) -> None:
    """For as many as are still free."""
    in_flight = InFlight(8)
    in_flight.add([_claim(number) for number in range(in_flight_already)])
    started_at = time.monotonic()
    assert in_flight.wait_for_capacity(30) == capacity
    assert time.monotonic() - started_at < 20


@pytest.mark.parametrize(("in_flight_already", "capacity"), [(5, 3), (8, 0), (10, 0)])
def test_a_full_worker_is_waited_for_and_what_capacity_there_is_is_returned(
    in_flight_already: int, capacity: int
) -> None:
    """Never less than none."""
    in_flight = InFlight(8)
    in_flight.add([_claim(number) for number in range(in_flight_already)])
    started_at = time.monotonic()
    assert in_flight.wait_for_capacity(0.05) == capacity
    assert time.monotonic() - started_at >= 0.05


def test_removing_wakes_whoever_waits() -> None:
    """For capacity, and until nothing is in flight."""
    in_flight = InFlight(2)
    claims = [_claim(1), _claim(2)]
    in_flight.add(claims)
    with ThreadPoolExecutor(2) as pool:
        capacity = pool.submit(in_flight.wait_for_capacity, 30)
        empty = pool.submit(in_flight.wait_until_empty, 30)
        in_flight.remove(claims)
        assert capacity.result(20) == 2
        assert empty.result(20) is True


def test_claims_that_stay_in_flight_are_not_waited_for_forever() -> None:
    """A worker that stops has other things to do."""
    in_flight = InFlight(2)
    in_flight.add([_claim(1)])
    assert in_flight.wait_until_empty(0.05) is False
