"""What people are told when Redis lets a request down."""

from __future__ import annotations

import pytest

from sentinel import Backpressure, CircuitOpen, PermanentError, TransientError
from verifier.domain.errors import ServiceUnavailable
from verifier.redis_errors import redis_within


@pytest.mark.parametrize("error", [Backpressure, CircuitOpen, TransientError, PermanentError])
def test_no_503_claims_that_nothing_was_done(error: type[Exception]) -> None:
    """A request has several commands and tries: what failed last says nothing of those before it."""
    with pytest.raises(ServiceUnavailable, match="safe") as refusal, redis_within(1.0):
        raise error("no")
    assert refusal.value.code == "service_unavailable"
    assert not any(claim in str(refusal.value) for claim in ("nothing was done", "not accepted"))
