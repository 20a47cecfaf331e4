"""What the limits count, and under which keys: for a start and a resend, and for a typed code.

The scripts that accept, resend and count an attempt take from all of these or from none (lua/prelude/limits.lua), in the
same step. Addresses and networks stand in the keys' names as keyed digests, their tags. An attempt learns the address only
from the record, which therefore holds its tag.
"""

from __future__ import annotations

import base64
import functools
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from verifier.domain.addresses import canonical_address, domain_of
from verifier.domain.callers import Caller, CallerKind
from verifier.domain.errors import LimitReached
from verifier.domain.keys import KeyRing
from verifier.domain.limits import Limit, Limits, parse_limit
from verifier.domain.networks import UNKNOWN, client_network
from verifier.store import keyspace
from verifier.store.scripts import Argument

LOGINS = "logins_per_network"
LOGINS_PER_NETWORK = parse_limit("10/10m, 50/1d")
_PURPOSE = "limit"
_TAG_BYTES = 12
# In a key, what the script puts the address's tag for.
_ADDRESS = "@"


class Counter(NamedTuple):
    """One limit for one subject; `name` is that of the limit's field in `Limits`."""

    name: str
    key: str
    packed_rates: bytes
    """As the script reads them."""


def arguments_of(counters: Sequence[Counter]) -> list[Argument]:
    """Return the arguments of a script: how many follow, then those of all counters."""
    flat: list[Argument] = [2 * len(counters)]
    for counter in counters:
        flat += counter[1:]
    return flat


def _packed_rates(limit: Limit) -> bytes:
    """Return the rates as the script unpacks them, each with room for a third number."""
    return b"".join(struct.pack(">ddd", rate.window_s, rate.step_s, 0.0) for rate in limit.rates)


def limit_reached(counters: Sequence[Counter], position: bytes | int, wait_s: bytes) -> LimitReached:
    """Return the error for what a script has answered: which of the counters, from 1 on, and for how long."""
    return LimitReached(counters[int(position) - 1].name, float(wait_s))


@dataclass(frozen=True)
class StartCount:
    """What a start is counted as, and whether it leads to what the caller has pending already."""

    counters: Sequence[Counter] = ()
    address_tag: str = ""
    pending_key: str = ""
    """Where the caller's pending verification of the address is found; empty where nobody is the same caller."""
    max_attempts: int = 0
    """With so many attempts a pending one has ended."""


NOT_COUNTED = StartCount()


class Counting:
    """Makes the counters for what somebody does."""

    def __init__(self, limits: Limits, keys: KeyRing) -> None:
        self.limits = limits
        self._key = keys.derive(keys.current, _PURPOSE) or b""
        self._packed_rates = {
            name: _packed_rates(limit)
            for name, limit in vars(limits).items()
            if limits.enabled and isinstance(limit, Limit) and limit
        }
        # Networks, domains and API keys come again and again; addresses mostly do not.
        self._known_tag = functools.lru_cache(maxsize=4096)(self._tag)

    def start(self, address: str, caller: Caller | None, max_attempts: int) -> StartCount:
        """Return what a start for an address (in its normal form) is counted as."""
        address_tag = self._tag("address", canonical_address(address))
        return StartCount(
            self._mails(address, address_tag, caller),
            address_tag,
            self._pending_key(address, caller),
            max_attempts,
        )

    def mails(self, address: str, caller: Caller | None) -> list[Counter]:
        """Return what a mail to an address (in its normal form) counts towards."""
        return self._mails(address, self._tag("address", canonical_address(address)), caller)

    def _mails(self, address: str, address_tag: str, caller: Caller | None) -> list[Counter]:
        client, network = self._client(caller)
        key_name = caller.name if caller is not None and caller.kind is CallerKind.KEY else ""
        return self._counters(
            ("mails_per_address", address_tag),
            ("mails_per_address_and_network", f"{address_tag}:{client}" if client else ""),
            ("mails_per_network", network),
            ("mails_per_api_key", self._known_tag("key", key_name) if key_name else ""),
            ("mails_per_domain", self._known_tag("domain", domain_of(address))),
            ("mails", "all"),
        )

    def wrong_codes(self, caller: Caller | None) -> list[Counter]:
        """Return what a typed code counts towards; the script puts in the tag of the address."""
        client, network = self._client(caller)
        return self._counters(
            ("wrong_codes_per_address", _ADDRESS),
            ("wrong_codes_per_address_and_network", f"{_ADDRESS}:{client}" if client else ""),
            ("wrong_codes_per_network", network),
        )

    def logins(self, client_ip: str) -> Counter:
        """Return what a try to log in at the operators' page counts towards; also where all other limits are off."""
        tag = self._tag("network", self._network(client_ip))
        return Counter(LOGINS, keyspace.limit_key(LOGINS, tag), _packed_rates(LOGINS_PER_NETWORK))

    def _counters(self, *named: tuple[str, str]) -> list[Counter]:
        """Return those that have a subject and limit something."""
        return [
            Counter(name, keyspace.limit_key(name, subject), packed)
            for name, subject in named
            if subject and (packed := self._packed_rates.get(name))
        ]

    def _client(self, caller: Caller | None) -> tuple[str, str]:
        """Return the tag of the client, and that of its network.

        A backend that does not say for whom it asks is a client without a network. The program itself is none.
        """
        if caller is None:
            return "", ""
        if caller.kind is CallerKind.KEY and not caller.client_ip:
            return self._known_tag("key", caller.name), ""
        tag = self._known_tag("network", self._network(caller.client_ip))
        return tag, tag

    def _network(self, client_ip: str) -> str:
        if not client_ip:
            return UNKNOWN
        return client_network(client_ip, self.limits.ipv4_prefix, self.limits.ipv6_prefix)

    def _pending_key(self, address: str, caller: Caller | None) -> str:
        if caller is None or caller.kind is CallerKind.OPEN:
            return ""
        # Those who share a backend do not share a verification, where it says who they are.
        person = self._network(caller.client_ip) if caller.kind is CallerKind.KEY else ""
        return keyspace.PENDING_PREFIX + self._tag("pending", f"{caller.mark}\0{person}\0{address}")

    def _tag(self, kind: str, text: str) -> str:
        digest = hmac.digest(self._key, f"{kind}\0{text}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:_TAG_BYTES]).decode()
