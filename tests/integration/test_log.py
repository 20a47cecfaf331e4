"""What web and worker write through a real run: enough to follow a mail by, and nothing that is nobody's business."""

from __future__ import annotations

import http.client
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from redis import Redis

from sentinel import LocalTopology, wait_for
from tests.support.sink import MailSink
from tests.support.topologies import FAILOVER_WITHIN_S
from tests.support.web import KEYS, Web
from verifier.domain.api_keys import entry_of
from verifier.drill.rig.process import RigProcess
from verifier.drill.rig.systems import bare_environment, verifier

ADDRESS = "Alice.Smith@example.org"
API_KEY = f"verifier_{'q' * 43}"
REQUEST_ID = "proxy-0123456789"


class Parrot(MailSink):
    """A relay that answers with whom a mail is for and what its subject is, as content filters do."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Refuse the first mail to somebody, and take the next."""
        await super().handle_DATA(server, session, envelope)
        mail = self.mails[-1]
        status = "250 2.0.0 kept" if len(self.sent_to(mail["To"])) > 1 else "554 5.6.0 no"
        return f"{status} <{mail['To']}> {mail['Subject']}"


class Running:
    """A web and a worker at the level debug, with an access log, behind a proxy that is trusted."""

    def __init__(self, topology: LocalTopology, sink: MailSink, directory: Path) -> None:
        self._secrets = [
            value for name, value in topology.environment().items() if name.endswith("_PASSWORD")
        ]
        settings = {
            "VERIFIER_MAIL_SERVER": "127.0.0.1",
            "VERIFIER_MAIL_PORT": str(sink.port),
            "VERIFIER_LOG_LEVEL": "debug",
            "VERIFIER_TRUSTED_PROXIES": "1",
            "VERIFIER_API_OPEN": "",
            "VERIFIER_API_KEYS": entry_of("shop", API_KEY),
            "VERIFIER_RESEND_AFTER": "0",
            "GUNICORN_CMD_ARGS": "--access-logfile -",
        }
        self.web = Web(topology, directory, **settings)
        environment = {
            **bare_environment(),
            "PYTHONPATH": verifier().import_path,
            "VERIFIER_SECRET_KEYS": KEYS,
            **topology.environment(),
            **settings,
        }
        self.worker = RigProcess("worker", verifier().command(*verifier().worker), environment, directory)

    @property
    def secrets(self) -> list[str]:
        """What must stand in no log."""
        return [
            *self._secrets,
            *re.findall(r"[0-9a-f]{64}", KEYS),
            API_KEY,
            API_KEY.removeprefix("verifier_"),
        ]

    def lines(self, process: RigProcess) -> list[dict[str, Any]]:
        """Return what a process has logged so far; each line is JSON."""
        return [json.loads(line) for line in process.output().splitlines()]

    def about(self, process: RigProcess, verification_id: str) -> list[dict[str, Any]]:
        """Return the lines that name a verification as what they are about."""
        return [line for line in self.lines(process) if line.get("verification_id") == verification_id]

    def ask(
        self, method: str, path: str, body: object = None
    ) -> tuple[http.client.HTTPResponse, dict[str, Any]]:
        """Ask as a backend does, through the proxy."""
        connection = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=60)
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {API_KEY}",
            "X-Request-ID": REQUEST_ID,
            "X-Forwarded-For": "192.0.2.1",
        }
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer, json.loads(text) if "json" in str(answer.headers["Content-Type"]) else {}
        finally:
            connection.close()


@pytest.fixture
def parrot() -> Iterator[Parrot]:
    """A relay that repeats."""
    with Parrot() as running:
        yield running


@pytest.fixture
def running(topology: LocalTopology, master: Redis, parrot: Parrot, tmp_path: Path) -> Iterator[Running]:
    """Web and worker, which both work."""
    made = Running(topology, parrot, tmp_path)
    with made.web, made.worker:
        made.web.wait_until_it_answers()
        made.worker.wait_for_output("starts on queue", 60)
        yield made


def test_a_mails_way_is_in_the_log_and_neither_address_code_nor_secret(
    running: Running, parrot: Parrot, master: Redis
) -> None:
    """Through a whole life: accepted, refused by a relay that repeats all, sent again, approved; at the level debug."""
    answer, started = running.ask("POST", "/v1/verifications", {"to": ADDRESS})
    assert (answer.status, answer.headers["X-Request-ID"]) == (201, REQUEST_ID)
    url = f"/v1/verifications/{started['id']}"
    assert wait_for(lambda: running.ask("GET", url)[1]["delivery"]["status"] == "rejected", 60)
    fields: Any = master.hgetall(f"verifier:verification:{started['id']}")
    kept = " ".join(fields.values())
    assert running.ask("POST", f"{url}/resend")[0].status == 200
    assert wait_for(lambda: running.ask("GET", url)[1]["delivery"]["status"] == "sent", 60)
    code = re.findall(r"\d+", str(parrot.mails[0]["Subject"]))[0]
    assert running.ask("POST", f"{url}/check", {"code": code})[1]["valid"] is True
    _, problem = running.ask("POST", f"{url}/resend")
    assert problem["request_id"] == REQUEST_ID
    running.ask("GET", f"/verify/{ADDRESS}")

    def settled() -> list[str]:
        return [
            line["message"]
            for line in running.about(running.worker, started["id"])
            if "Delivery" in line["message"]
        ]

    assert wait_for(lambda: any(": sent" in message for message in settled()), 60)
    assert any("A***@example.org" in message for message in settled())
    for process in (running.web, running.worker):
        about = running.about(process, started["id"])
        assert {line["request_id"] for line in about} == {REQUEST_ID}
        assert wait_for(lambda: "***@example.org" in running.web.output(), 30)
        assert "smith" not in process.output().lower()
        assert not re.search(rf"(?<![0-9]){code}(?![0-9])", process.output())
        assert [secret for secret in running.secrets if secret in process.output()] == []
    assert code not in kept
    assert "******" in kept
    accesses = [line for line in running.lines(running.web) if line["logger"] == "gunicorn.access"]
    assert {(each["caller"], each["client"]) for each in accesses if each["path"] == url} == {
        ("shop", "192.0.2.1")
    }


def test_a_move_of_the_master_is_one_line_in_each_process(
    running: Running, topology: LocalTopology, master: Redis
) -> None:
    """When the master is killed under work; and nothing warns of what mends itself."""
    master.close()
    topology.current_master().kill()
    answer, started = running.ask("POST", "/v1/verifications", {"to": "bob@example.org"})
    assert answer.status == 201

    # A process of the web that nobody has asked for anything yet has no link, and nothing to say.
    def moves(process: RigProcess) -> Counter[int]:
        lines = running.lines(process)
        return Counter(line["pid"] for line in lines if line["message"].startswith("The master is now"))

    assert wait_for(lambda: len(moves(running.web)) > 0 < len(moves(running.worker)), FAILOVER_WITHIN_S)
    assert wait_for(lambda: bool(running.about(running.worker, started["id"])), 60)
    topology.heal()
    for process in (running.web, running.worker):
        shown = [line for line in running.lines(process) if line["level"] != "debug"]
        assert set(moves(process).values()) == {1}, [
            f"{line['timestamp']} {line['message']}" for line in shown if "master" in line["message"]
        ]
        # The relay refuses the mail, which is worth its warning.
        warned = [line["message"] for line in shown if line["level"] != "info"]
        assert [
            message for message in warned if "VERIFIER_" not in message and "given up" not in message
        ] == []
        words = re.compile(r"\bRedis\b|master|sentinel|Recovery", re.IGNORECASE)
        about = {line["logger"] for line in shown if words.search(line["message"])}
        assert about <= {"sentinel.link.master_link", "workers.recovery"}
