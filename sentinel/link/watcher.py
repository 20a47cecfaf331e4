"""The thread that listens to every sentinel for what happens to the master.

It is an accelerator. What a sentinel says is a hint only: when a majority confirms that the master has moved, `follow`
hangs up on the old one and wakes whoever waits. Apart from the hold of writes during a promotion, everything is right
without it, only slower.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable

from sentinel.endpoints import Endpoint
from sentinel.errors import PermanentError
from sentinel.link.directory import Directory
from sentinel.link.failover_signal import FailoverSignal
from sentinel.link.hints import Hints
from sentinel.link.subscription import (
    FAILOVER_ABORTED,
    FAILOVER_ENDED,
    SELECTED_REPLICA,
    SWITCH_MASTER,
    TOLD,
    Subscription,
)
from sentinel.master_events import MasterEvents
from sentinel.protocol import address_in

log = logging.getLogger(__name__)

TICK_S = 0.5


class Watcher:
    """The thread. Start it after forks; `stop` ends it within a moment."""

    def __init__(
        self,
        directory: Directory,
        failover_signal: FailoverSignal,
        events: MasterEvents,
        *,
        follow: Callable[[Endpoint], None],
        look_again: Callable[[], None],
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Do nothing yet.

        Args:
            directory: which sentinels there are.
            failover_signal: holds writes while a replica is being promoted.
            events: keeps what is announced, for the history of the master.
            follow: is called with the new master when a majority confirms that the master has moved.
            look_again: is called when the master may have moved while nobody was listening.
            tick: is called every half a second.
        """
        self._directory = directory
        self._failover_signal = failover_signal
        self._events = events
        self._hints = Hints(directory, follow)
        self._look_again = look_again
        self._each_tick = tick
        self._stopping = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._wake_writer, self._wake_reader = socket.socketpair()
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._subscriptions: dict[Endpoint, Subscription] = {}
        self._reported: dict[Endpoint, str] = {}
        self._has_asked_all = False
        self._told = (-1, -1)
        self._thread = threading.Thread(target=self._run, name="sentinel-watcher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; safe to call twice."""
        self._hints.stop()
        self._stopping.set()
        with contextlib.suppress(OSError):  # it has ended already
            self._wake_writer.send(b".")
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._tick()
            except Exception:
                # Whatever it is, a dead watcher would be noticed only in the next failover.
                log.exception("The sentinel watcher failed unexpectedly; it continues in one second")
                self._stopping.wait(1.0)
        for subscription in self._subscriptions.values():
            subscription.drop()
        self._selector.close()
        self._wake_writer.close()
        self._wake_reader.close()

    def _tick(self) -> None:
        self._subscribe_where_due()
        self._end_first_hold()
        for key, _ in self._selector.select(timeout=TICK_S):
            if key.data is not None:
                self._attempt(key.data, self._read_messages)
        now = time.monotonic()
        for subscription in list(self._subscriptions.values()):
            if subscription.subscribed:
                self._attempt(subscription, lambda each: each.check_alive(now))
        self._tell_who_is_heard()
        self._each_tick()

    def _tell_who_is_heard(self) -> None:
        subscriptions = self._subscriptions.values()
        heard = sum(each.subscribed for each in subscriptions), len(subscriptions)
        if heard != self._told:
            self._told = heard
            self._directory.observer.sentinels(*heard)

    def _subscribe_where_due(self) -> None:
        self._directory.learn_sentinels()
        known = self._directory.sentinels()
        for endpoint in self._subscriptions.keys() - set(known):
            self._unregister(self._subscriptions[endpoint])
            self._subscriptions.pop(endpoint).drop()
        for endpoint in known:
            subscription = self._subscriptions.setdefault(
                endpoint, Subscription(endpoint, self._directory.access)
            )
            if not subscription.subscribed and time.monotonic() >= subscription.next_attempt_at:
                self._attempt(subscription, self._subscribe)

    def _end_first_hold(self) -> None:
        """Let this process write for the first time, unless a failover that began before it is still on."""
        if not self._has_asked_all:
            self._has_asked_all = True
            self._failover_signal.release()

    def _subscribe(self, subscription: Subscription) -> None:
        self._selector.register(subscription.subscribe(), selectors.EVENT_READ, subscription)
        self._reported.pop(subscription.endpoint, None)
        # The master may have moved while nobody was listening.
        self._look_again()
        if subscription.leads_failover:
            self._hold(subscription)
        for channel, text in subscription.early_messages():
            self._act_on(subscription, channel, text.split(" "))

    def _hold(self, leader: Subscription) -> None:
        self._failover_signal.hold(leader.endpoint, self._directory.last_master)

    def _read_messages(self, subscription: Subscription) -> None:
        for channel, text in subscription.messages():
            self._act_on(subscription, channel, text.split(" "))

    def _act_on(self, sentinel: Subscription, channel: str, words: list[str]) -> None:
        name = self._directory.access.master_name
        if channel == SWITCH_MASTER and len(words) == 5 and words[0] == name:
            master = address_in(words[3:5])
            if master is not None:
                self._hints.add(sentinel.endpoint, master)
                self._events.moved(address_in(words[1:3]), master)
        elif channel == SELECTED_REPLICA and len(words) == 8 and words[5] == name:
            self._events.selected(sentinel.endpoint)
            self._hold(sentinel)
        elif channel in TOLD and words[:2] == ["master", name]:
            self._events.announced(sentinel.endpoint, channel, words[2:])
        elif channel in FAILOVER_ENDED | FAILOVER_ABORTED and words[:2] == ["master", name]:
            if channel in FAILOVER_ENDED:
                self._look_again()
            else:
                self._events.announced(sentinel.endpoint, channel, words[2:])
            # Only the one that leads it ends it: nobody else can have others' writes go to the old master.
            self._failover_signal.release(sentinel.endpoint)

    def _attempt(self, subscription: Subscription, step: Callable[[Subscription], None]) -> None:
        """Do a step; on failure drop this sentinel's connection, and log why once."""
        try:
            step(subscription)
        except Exception as error:  # noqa: BLE001 - a sentinel may answer with anything, rubbish included
            self._unregister(subscription)
            subscription.drop()
            self._report(subscription.endpoint, error)

    def _unregister(self, subscription: Subscription) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data is subscription:
                self._selector.unregister(key.fileobj)

    def _report(self, endpoint: Endpoint, error: Exception) -> None:
        kind = "permanent" if isinstance(error, PermanentError) else "transient"
        if self._reported.get(endpoint) == kind:
            return
        self._reported[endpoint] = kind
        level = logging.ERROR if kind == "permanent" else logging.DEBUG
        log.log(level, "Failovers are not announced to us by sentinel %s: %s", endpoint, error)
