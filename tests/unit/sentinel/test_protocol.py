"""Replies of Redis and of Sentinel, well-formed and otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.endpoints import Endpoint
from sentinel.protocol import (
    Role,
    RoleReply,
    address_in,
    address_of,
    all_fields_in,
    fields_in,
    flags_of,
    info_in,
    number_in,
    role_in,
)

MASTER = Endpoint("10.0.0.1", 6379)
REPLIES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.binary(max_size=5) | st.just("slave"),
    lambda inner: st.lists(inner, max_size=6),
)


@pytest.mark.parametrize(
    ("reply", "role"),
    [
        (["master", 7, []], RoleReply(Role.MASTER, 7)),
        ([b"master", 7, []], RoleReply(Role.MASTER, 7)),
        (["slave", "10.0.0.1", 6379, "connected", 7], RoleReply(Role.REPLICA, 7, MASTER, "connected")),
        ([b"slave", b"10.0.0.1", 6379, b"sync", -1], RoleReply(Role.REPLICA, -1, MASTER, "sync")),
        (["slave", "10.0.0.1"], None),
        (["slave", "", 6379, "connect", -1], None),
        (["sentinel", ["mymaster"]], None),
        ("master", None),
        (None, None),
        (ConnectionError("gone"), None),
    ],
)
def test_role(reply: object, role: RoleReply | None) -> None:
    """Whether the connection decodes text or not."""
    assert role_in(reply) == role


@pytest.mark.parametrize(
    ("reply", "address"),
    [
        (["10.0.0.1", "6379"], MASTER),
        (["10.0.0.1", 6379], MASTER),
        (["10.0.0.1", "0"], None),
        (["10.0.0.1", "65536"], None),
        (["10.0.0.1"], None),
        (["", "6379"], None),
        ([None, None], None),
        (None, None),
        ("10.0.0.1", None),
    ],
)
def test_address(reply: object, address: Endpoint | None) -> None:
    """A host, and a port that can be one."""
    assert address_in(reply) == address


def test_description_of_a_node() -> None:
    """Sentinel describes nodes and sentinels in flat lists."""
    flat = ["ip", "10.0.0.1", "port", "6379", "flags", "slave,s_down"]
    fields = fields_in(flat)
    assert fields is not None
    assert address_of(fields) == MASTER
    assert flags_of(fields) == {"slave", "s_down"}
    assert all_fields_in([flat, []]) == [fields, {}]
    assert all_fields_in([flat, "x"]) is None
    assert address_of({"ip": "10.0.0.1"}) is None


def test_info_and_numbers() -> None:
    """What can't be read is left out."""
    assert info_in("# Replication\r\nrole:master\r\nmaster_link:a:b\r\n") == {
        "role": "master",
        "master_link": "a:b",
    }
    assert info_in(None) == {}
    assert [number_in(each) for each in ("12", 12, "-1", "x", "", None)] == [12, 12, -1, None, None, None]


@given(reply=REPLIES)
def test_no_reply_is_a_mistake_of_ours(reply: object) -> None:
    """Whatever somebody answers, it is read or it is None."""
    for read in (role_in, address_in, fields_in, all_fields_in, info_in, number_in):
        read(reply)
