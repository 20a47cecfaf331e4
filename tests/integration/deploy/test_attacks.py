"""A small version of each attack of `make attack`, on one service as a deployment has it.

Slow and silent clients are test_proxy's.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sentinel import LocalTopology
from tests.attack.catalogue import ATTACKS, SLOW_CLIENTS
from tests.attack.outcome import SMALL, Attack
from tests.attack.target import Target
from tests.support.proxy import needs_nginx

# One service for all of them.
pytestmark = needs_nginx


@pytest.fixture(scope="module")
def target(topology: LocalTopology, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The service, on an empty Redis."""
    topology.heal()
    with Target(topology, tmp_path_factory.mktemp("attack")) as running:
        yield running


@pytest.mark.parametrize(
    "attack", [each for each in ATTACKS if each is not SLOW_CLIENTS], ids=lambda attack: attack.name
)
def test_the_bound_holds(target: Target, attack: Attack) -> None:
    """Whatever a hostile client does."""
    outcome = attack.run(target, SMALL)
    assert outcome.holds, f"{attack.name}: promised {outcome.bound}; measured {outcome.measured}"
