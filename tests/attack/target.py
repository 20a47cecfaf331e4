"""The service under attack, as a deployment has it: the shipped proxy, gunicorn, a worker, and a relay that keeps the mails.

Limits are on, with the values that are shipped; the API wants a key; TLS ends before the proxy. The clients come from
127.0.0.0/8, which holds as many client networks as an attack wants, and no header has to be believed for that.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session
from redis import Redis

from sentinel import LocalTopology, wait_for
from tests.attack.clients import HOST, Browser, Client
from tests.support.clock import move_limits
from tests.support.proxy import Proxy
from tests.support.sink import MailSink
from tests.support.web import KEYS, Web
from verifier.domain.addresses import canonical_address
from verifier.domain.api_keys import entry_of, new_api_key
from verifier.domain.limits import Limits
from verifier.domain.rules import Rules
from verifier.drill.rig.process import RigProcess
from verifier.drill.rig.systems import bare_environment, verifier
from verifier.store import keyspace

WORKER_STARTS_WITHIN_S = 60
MAILED_WITHIN_S = 90


class Mailbox(MailSink):
    """Everybody's mail, and to whom the relay was told to bring each."""

    def __init__(self) -> None:
        super().__init__()
        self.recipients: list[tuple[str, ...]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep a mail."""
        reply = await super().handle_DATA(server, session, envelope)
        self.recipients.append(tuple(envelope.rcpt_tos))
        return reply

    def mails_for(self, address: str) -> int:
        """Return how many mails went to a mailbox, however its address was written."""
        wanted = canonical_address(address)
        return sum(canonical_address(each) == wanted for mail in self.recipients for each in mail)


class Target:
    """Runs while it is entered, on a topology that is there, whose Redis is empty."""

    limits = Limits()
    rules = Rules()

    def __init__(self, topology: LocalTopology, directory: Path) -> None:
        """Plan it; `directory` gets the logs."""
        self.topology = topology
        self.directory = directory
        self._numbers = itertools.count()
        self._stack = ExitStack()
        self.shop, self.rival = new_api_key(), new_api_key()
        """Keys of the API, of two backends that know nothing of each other."""
        self.mailbox = Mailbox()
        self.settings: dict[str, str] = {}
        self.web: Web
        self.proxy: Proxy

    def __enter__(self) -> Self:
        with self.redis() as client:
            # Mails that somebody else owes here would be waited for: nobody has the keys of their codes.
            client.flushall()
        with ExitStack() as stack:
            stack.enter_context(self.mailbox)
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def port(self) -> int:
        """Where clients reach it."""
        return self.proxy.port

    def networks(self) -> Iterator[str]:
        """Yield addresses, each in a client network that nobody came from before."""
        for number in self._numbers:
            yield f"127.{1 + number // 250}.{number % 250}.1"

    def client(self, *, key: str = "") -> Client:
        """Return a program in a network of its own."""
        return Client(self.port, next(self.networks()), key=key)

    def browser(self) -> Browser:
        """Return a browser that has never been here, in a network of its own."""
        return Browser(self.port, next(self.networks()))

    def redis(self) -> Redis:
        """Return the superuser's client, to see what really happened."""
        return self.topology.admin(self.topology.current_master())

    def wait_until_all_is_mailed(self) -> bool:
        """Wait until no mail is owed, so that what comes then belongs to what is done then."""
        with self.redis() as client:
            return wait_for(lambda: not client.zcard(keyspace.DUE), MAILED_WITHIN_S)

    def let_time_pass(self, seconds: float) -> None:
        """Let time pass for the limits alone."""
        with self.redis() as client:
            whole_s, _ = client.time()
            move_limits(client, seconds, float(whole_s))

    def _start(self, stack: ExitStack) -> None:
        system = verifier()
        keys = ",".join((entry_of("shop", self.shop), entry_of("rival", self.rival)))
        ours = {"VERIFIER_HOSTS": f"{HOST},127.0.0.1", "VERIFIER_RATE_LIMITS_ENABLED": "true"}
        self.web = stack.enter_context(
            Web(
                self.topology,
                self.directory,
                **ours,
                VERIFIER_API_OPEN="false",
                VERIFIER_API_KEYS=keys,
                VERIFIER_TRUSTED_PROXIES="1",
                # What has reached gunicorn.
                GUNICORN_CMD_ARGS="--access-logfile -",
            )
        )
        self.settings = {
            **bare_environment(),
            "PYTHONPATH": system.import_path,
            **self.topology.environment(),
            "VERIFIER_SECRET_KEYS": KEYS,
            "VERIFIER_MAIL_SERVER": "127.0.0.1",
            "VERIFIER_MAIL_PORT": str(self.mailbox.port),
            "VERIFIER_API_KEYS": keys,
            **ours,
        }
        worker = stack.enter_context(
            RigProcess("worker", system.command(*system.worker), self.settings, self.directory)
        )
        self.proxy = stack.enter_context(Proxy(self.web.port, self.directory, PROXY_SCHEME="https"))
        self.web.wait_until_it_answers()
        self.proxy.wait_until_it_listens()
        worker.wait_for_output(system.worker_says, WORKER_STARTS_WITHIN_S)
