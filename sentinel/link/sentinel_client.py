"""Talking to one sentinel: who is the master, who are your peers.

One connection to each sentinel is kept and used by one thread at a time; a sentinel that stays busy with an earlier
question (because it hangs) is not asked again meanwhile.
"""

from __future__ import annotations

import threading
from typing import Any

import redis

from sentinel.access import Access
from sentinel.direct_connection import direct_connection
from sentinel.endpoints import Endpoint
from sentinel.error_classes import sentence, translate
from sentinel.errors import AccessRefused, PermanentError, TransientError, UnknownMasterName
from sentinel.link.cooldowns import Cooldowns
from sentinel.link.resolver import ResolvingConnection
from sentinel.protocol import address_in, address_of, all_fields_in, fields_in, number_in

# How long an earlier question of somebody else is waited for: an answer takes a millisecond.
WAIT_FOR_TURN_S = 0.05


class SentinelBusy(TransientError):
    """It has not answered an earlier question yet, so this one was not asked: nobody knows what it would say."""


class SentinelClient:
    """The questions to one sentinel."""

    def __init__(self, endpoint: Endpoint, access: Access, cooldowns: Cooldowns) -> None:
        self.endpoint = endpoint
        self._access = access
        self._cooldowns = cooldowns
        self._lock = threading.Lock()
        self._connection = direct_connection(
            endpoint, access.sentinel_login, access.tls, access.sentinel_timeout_s, ResolvingConnection
        )

    def master(self) -> Endpoint:
        """Return the address of the master as this sentinel sees it.

        `SENTINEL GET-MASTER-ADDR-BY-NAME` answers with the new master a second earlier than
        `SENTINEL MASTERS` does on the sentinel that leads a failover.

        Raises:
            UnknownMasterName: it watches no master of this name.
            AccessRefused: it refuses the login or the command.
            TransientError: it does not answer, or with rubbish.
        """
        reply = self._ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._access.master_name)
        if reply is None:
            raise UnknownMasterName(
                f"Sentinel {self.endpoint} watches no master named {self._access.master_name!r}. "
                "Check the master name in the settings against `sentinel monitor` in its configuration."
            )
        return self._usable(address_in(reply), reply)

    def peers(self) -> dict[Endpoint, bool]:
        """Return the other sentinels that this one knows, and whether it can reach them; raises as `master` does."""
        found = all_fields_in(self._ask("SENTINEL", "SENTINELS", self._access.master_name)) or []
        return {self._usable(address_of(peer), peer): "down" not in peer.get("flags", "") for peer in found}

    def replicas(self) -> list[Endpoint]:
        """Return the replicas that it knows, reachable or not; raises as `master` does."""
        # The older word for the same, which every version and the narrowest users' rights have.
        found = all_fields_in(self._ask("SENTINEL", "SLAVES", self._access.master_name)) or []
        return [self._usable(address_of(replica), replica) for replica in found]

    def takes_master_for_down(self) -> bool:
        """Return whether it has not heard of the master for its down-after, or was refused by it; raises as `master` does."""
        fields = fields_in(self._ask("SENTINEL", "MASTER", self._access.master_name)) or {}
        return "s_down" in fields.get("flags", "")

    def config_epoch(self) -> int:
        """Return the version of its configuration of the master; raises as `master` does."""
        fields = fields_in(self._ask("SENTINEL", "MASTER", self._access.master_name)) or {}
        epoch = number_in(fields.get("config-epoch"))
        if epoch is None:
            raise TransientError(f"Sentinel {self.endpoint} answers without a configuration epoch.")
        return epoch

    def down_after_s(self) -> float:
        """Return how long it waits for a silent node before it takes it for down, in seconds; raises as `master` does."""
        fields = fields_in(self._ask("SENTINEL", "MASTER", self._access.master_name)) or {}
        down_after_ms = number_in(fields.get("down-after-milliseconds"))
        if down_after_ms is None:
            raise TransientError(f"Sentinel {self.endpoint} answers without its down-after-milliseconds.")
        return down_after_ms / 1000

    def close(self) -> None:
        """Close the connection, unless somebody waits for an answer on it at this moment."""
        if self._lock.acquire(blocking=False):
            self._connection.disconnect()
            self._lock.release()

    def _ask(self, *question: str) -> Any:
        if not self._lock.acquire(timeout=WAIT_FOR_TURN_S):
            raise SentinelBusy(f"Sentinel {self.endpoint} is still busy with an earlier question.")
        try:
            return self._ask_alone(*question)
        finally:
            self._lock.release()

    def _ask_alone(self, *question: str) -> Any:
        fresh = not self._connection.is_connected
        if fresh:
            self._cooldowns.admit(self.endpoint)
        try:
            self._connection.send_command(*question)
            reply = self._connection.read_response()
        except Exception as error:
            self._connection.disconnect()
            # It may have closed an idle connection, which says nothing of it yet; a timeout does.
            if not fresh and not isinstance(error, redis.TimeoutError):
                return self._ask_alone(*question)
            raise self._failure(error) from error
        self._cooldowns.worked(self.endpoint)
        return reply

    def _failure(self, error: Exception) -> Exception:
        translated = translate(error, self.endpoint)
        if isinstance(translated, PermanentError):
            return AccessRefused(f"Sentinel {translated}")
        return self._failed(f"Sentinel {self.endpoint} gives no usable answer: {sentence(error)}")

    def _failed(self, reason: str) -> TransientError:
        self._cooldowns.failed(self.endpoint, reason)
        return TransientError(reason)

    def _usable(self, address: Endpoint | None, reply: object) -> Endpoint:
        if address is None:
            raise self._failed(
                f"Sentinel {self.endpoint} answers with something that is no address: {reply!r:.80}."
            )
        return address
