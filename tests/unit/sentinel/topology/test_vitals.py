"""What INFO tells of a node."""

from __future__ import annotations

import pytest

from sentinel.endpoints import Endpoint
from sentinel.protocol import info_in
from sentinel.topology.vitals import Vitals, vitals_in

MASTER = """# Server
used_memory:1000
maxmemory:2000
mem_not_counted_for_evict:200
loading:0
rdb_bgsave_in_progress:0
rdb_last_bgsave_status:ok
aof_enabled:1
aof_rewrite_in_progress:1
aof_last_bgrewrite_status:ok
aof_last_write_status:ok
min_slaves_good_slaves:2
slave0:ip=10.0.0.1,port=6380,state=online,offset=14,lag=0
slave1:ip=10.0.0.1,port=6381,state=wait_bgsave,offset=0,lag=0
slave2:ip=::1,port=6382,state=online,offset=14,lag=4
"""


def test_a_masters_vitals() -> None:
    """What does not count against the memory limit is left out, and so is a replica that is not online yet."""
    vitals = vitals_in(info_in(MASTER))
    assert vitals == Vitals(
        memory_used=800,
        memory_limit=2000,
        fork="AOF",
        rewrite_failed=False,
        loading=False,
        close_replicas=2,
        lags=((Endpoint("10.0.0.1", 6380), 0), (Endpoint("::1", 6382), 4)),
    )
    assert vitals.memory_share == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("aof_enabled:1\naof_last_write_status:err", "AOF"),
        ("aof_enabled:1\nrdb_last_bgsave_status:err", None),
        ("aof_enabled:0\nrdb_last_bgsave_status:err", "RDB"),
        ("", None),
    ],
)
def test_what_stops_writes_for_the_disks_sake(lines: str, error: str | None) -> None:
    """A failed snapshot does not, where the append-only file is what is kept."""
    assert vitals_in(info_in(lines)).disk_error == error


def test_nothing_is_guessed() -> None:
    """Without INFO all is unknown; without a limit there is no share of it."""
    assert vitals_in({}) == Vitals()
    assert Vitals().memory_share is None
    assert Vitals(memory_used=1, memory_limit=0).memory_share is None
