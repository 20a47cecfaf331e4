"""Talking to one sentinel: who is the master, who are your peers.

One connection to each sentinel is kept and used by one thread at a time; a sentinel that is still busy
with an earlier question (because it hangs) is not asked again meanwhile.
"""

from __future__ import annotations

import threading
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sentinel.access import Access, Login
from sentinel.backoff import Cooldowns
from sentinel.endpoints import Endpoint
from sentinel.error_classes import sentence, translate
from sentinel.errors import AccessRefused, PermanentError, TransientError, UnknownMasterName


def plain_connection(endpoint: Endpoint, login: Login, timeout_s: float, connect_timeout_s: float) -> Any:
    """Give an unconnected redis-py connection that never retries by itself and says nothing of itself."""
    return redis.Connection(
        host=endpoint.host,
        port=endpoint.port,
        socket_timeout=timeout_s,
        socket_connect_timeout=connect_timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        # CLIENT SETINFO exists from Redis 7.2 and is no right of ours.
        driver_info=None,
        decode_responses=True,
        **login.arguments(),
    )


class SentinelClient:
    """The questions to one sentinel."""

    def __init__(self, endpoint: Endpoint, access: Access, rests: Cooldowns) -> None:
        self.endpoint = endpoint
        self._access = access
        self._cooldowns = rests
        self._lock = threading.Lock()
        self._connection = plain_connection(
            endpoint, access.sentinel_login, access.sentinel_timeout_s, access.sentinel_timeout_s
        )

    def master(self) -> Endpoint:
        """Give the address of the master as this sentinel sees it.

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
        return self._endpoint_in(reply)

    def peers(self) -> list[Endpoint]:
        """Give the other sentinels that this one knows and can reach; raises as `master` does."""
        found = _entries(self._ask("SENTINEL", "SENTINELS", self._access.master_name))
        return [self._place(peer) for peer in found if "down" not in peer.get("flags", "")]

    def replicas(self) -> list[Endpoint]:
        """Give the replicas that it knows, reachable or not; raises as `master` does."""
        # The older word for the same, which every version and the narrowest users' rights have.
        found = _entries(self._ask("SENTINEL", "SLAVES", self._access.master_name))
        return [self._place(replica) for replica in found]

    def _place(self, entry: dict[str, str]) -> Endpoint:
        return self._endpoint_in([entry.get("ip"), entry.get("port")])

    def config_epoch(self) -> int:
        """Give the version of its configuration of the master; raises as `master` does."""
        reply = self._ask("SENTINEL", "MASTER", self._access.master_name)
        try:
            return int(_entries([reply])[0]["config-epoch"])
        except (IndexError, KeyError, ValueError):
            raise TransientError(f"Sentinel {self.endpoint} answers without a configuration epoch.") from None

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def _ask(self, *question: str) -> Any:
        if not self._lock.acquire(blocking=False):
            raise TransientError(f"Sentinel {self.endpoint} is still busy with an earlier question.")
        try:
            return self._ask_alone(*question)
        finally:
            self._lock.release()

    def _ask_alone(self, *question: str) -> Any:
        fresh = not self._connection.is_connected
        if fresh and (rest_s := self._cooldowns.remaining_s(self.endpoint)) > 0:
            reason = self._cooldowns.reason(self.endpoint)
            raise TransientError(f"{reason} The next attempt is in {rest_s:.1f} s.")
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

    def _endpoint_in(self, reply: object) -> Endpoint:
        if isinstance(reply, list) and len(reply) == 2:
            host, port = str(reply[0]), str(reply[1])
            if host and host != "None" and port.isdigit() and 0 < int(port) < 65536:
                return Endpoint(host, int(port))
        raise self._failed(
            f"Sentinel {self.endpoint} answers with something that is no address: {reply!r:.80}."
        )


def _entries(reply: object) -> list[dict[str, str]]:
    """Read Sentinel's lists of lists of field, value, field, value ..."""
    lists = [entry for entry in reply if isinstance(entry, list)] if isinstance(reply, list) else []
    return [dict(zip(map(str, entry[::2]), map(str, entry[1::2]), strict=False)) for entry in lists]
