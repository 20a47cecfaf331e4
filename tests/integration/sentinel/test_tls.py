"""TLS to real nodes and sentinels: what is wrong with it is said in a sentence, and nothing that was accepted is lost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from redis import Redis, ResponseError

from sentinel import (
    Access,
    LocalNode,
    LocalOptions,
    LocalTopology,
    MasterLink,
    PermanentError,
    Tls,
    TransientError,
    refusals_of,
    survey,
    switch_over,
    wait_for,
)
from sentinel.local.certificates import make_certificates, renew_certificates
from tests.support.certificates import needs_tls, replace_certificate
from tests.support.links import subscribed_to
from tests.support.sink import MailSink
from tests.support.switchover import Submitters, service_on
from tests.support.topologies import FAILOVER_WITHIN_S, QUICK
from tests.support.workers import RunningWorker
from verifier import create_app
from verifier.cli.sentinel import sentinel_group
from verifier.domain.keys import new_secret
from verifier.settings import load_settings

pytestmark = [pytest.mark.chaos, needs_tls]
ALONE = LocalOptions(replicas=0, sentinels=1, min_replicas_to_write=0, down_after_ms=1000, tls=True)
TOMORROW = dt.timedelta(days=1)


@pytest.fixture
def alone() -> Iterator[LocalTopology]:
    """One node and one sentinel with TLS: enough to be refused by."""
    with LocalTopology(ALONE) as running:
        yield running


@pytest.fixture(scope="module")
def running() -> Iterator[LocalTopology]:
    """A whole topology with TLS, in which everybody has to show a certificate."""
    with LocalTopology(replace(QUICK, tls=True, tls_auth_clients="yes")) as topology:
        yield topology


@pytest.fixture
def whole(running: LocalTopology) -> Iterator[LocalTopology]:
    """The same, healthy before and after."""
    running.heal()
    yield running
    running.heal()


def _error(access: Access) -> str:
    """Return what a link says that can't get through."""
    link = MasterLink(access, deadline_s=20, watch=False)
    try:
        with pytest.raises((PermanentError, TransientError)) as caught:
            link.run(Redis.ping)
    finally:
        link.close()
    return str(caught.value)


def _is_said_everywhere(topology: LocalTopology, words: str) -> None:
    """The link, `flask sentinel status` and /readyz say it, without a traceback."""
    assert words in _error(topology.operators_access())
    status = CliRunner().invoke(sentinel_group, ["status"], env=topology.environment())
    assert (status.exit_code, words in status.output) == (1, True), status.output
    assert "Traceback" not in status.output
    with service_on(topology) as container:
        body = create_app(container.settings).test_client().get("/readyz").json
    assert [reason["code"] for reason in body["reasons"]] == ["no_master"]
    assert words in body["reasons"][0]["reason"]


def _restart(topology: LocalTopology) -> None:
    for process in topology.processes:
        process.restart()


def test_right_certificates(alone: LocalTopology) -> None:
    """Nodes and sentinel are reached, by the address that the certificate names, with a subscription."""
    link = MasterLink(alone.operators_access())
    assert link.run(Redis.ping)
    assert wait_for(lambda: len(subscribed_to(link)) == 1, 60)
    sock = next(iter(link.redis.connection_pool._available_connections))._sock
    assert sock.version() == "TLSv1.3"
    link.close()


def test_another_authority(alone: LocalTopology, tmp_path: Path) -> None:
    """Somebody else's certificate is not believed, whatever it says."""
    make_certificates(tmp_path)
    assert alone.tls is not None
    alone.tls = replace(alone.tls, ca_file=tmp_path / "redis_tls_ca")
    _is_said_everywhere(alone, "shows a certificate that no authority we trust has signed")


def test_expired(alone: LocalTopology) -> None:
    """The sentence names the remedy, and the same service goes on once it was applied."""
    secrets = alone.directory / "secrets"
    replace_certificate(secrets, ends_in=-TOMORROW)
    _restart(alone)
    _is_said_everywhere(alone, "shows a certificate that has expired: renew it")
    link = MasterLink(alone.operators_access(), deadline_s=20)
    with pytest.raises(PermanentError, match="has expired"):
        link.run(Redis.ping)
    renew_certificates(secrets)
    _restart(alone)
    assert wait_for(lambda: _answers(link), FAILOVER_WITHIN_S, interval_s=0.2)
    link.close()


def _answers(link: MasterLink) -> bool:
    try:
        return bool(link.run(Redis.ping))
    except (PermanentError, TransientError):
        return False


@pytest.mark.parametrize("host", ["127.0.0.2", "redis.example"])
def test_another_name_or_address(alone: LocalTopology, host: str) -> None:
    """A certificate of ours, but of another machine."""
    replace_certificate(alone.directory / "secrets", host=host, ends_in=TOMORROW)
    _restart(alone)
    _is_said_everywhere(alone, "shows a certificate that is not for 127.0.0.1")


def test_without_verification_any_certificate_is_believed(alone: LocalTopology) -> None:
    """Which is why the setting is said loudly."""
    replace_certificate(alone.directory / "secrets", host="redis.example", ends_in=-TOMORROW)
    _restart(alone)
    assert alone.tls is not None
    link = MasterLink(replace(alone.operators_access(), tls=replace(alone.tls, verify=False)), watch=False)
    assert link.run(Redis.ping)
    link.close()


def test_server_without_tls(topology: LocalTopology) -> None:
    """It waits for the rest of a command, as a hung one would: both are named."""
    said = _error(replace(topology.operators_access(), tls=Tls()))
    assert "does not answer the TLS handshake: it hangs, or is set up without TLS" in said


def test_plain_client(alone: LocalTopology) -> None:
    """A server with TLS hangs up on it."""
    alone.tls = None
    _is_said_everywhere(alone, "perhaps it speaks only TLS: then turn TLS on in the settings here")


def test_client_certificate_demanded(whole: LocalTopology) -> None:
    """Whoever has none is told that one is demanded."""
    tls = whole.tls
    assert tls is not None
    said = _error(replace(whole.operators_access(), tls=replace(tls, certificate_file=None, key_file=None)))
    assert "demands a client certificate" in said


def test_client_certificate_of_another_authority(whole: LocalTopology, tmp_path: Path) -> None:
    """It is refused, and the sentence says whose certificate is meant."""
    make_certificates(tmp_path)
    tls = whole.tls
    assert tls is not None
    other = replace(
        tls, certificate_file=tmp_path / "verifier_tls_cert", key_file=tmp_path / "verifier_tls_key"
    )
    assert "does not accept our client certificate" in _error(replace(whole.operators_access(), tls=other))


@pytest.mark.parametrize(
    "how", ["kill", *(pytest.param(each, marks=pytest.mark.long) for each in ("hang", "failover"))]
)
def test_failovers_lose_nothing_and_refuse_nothing(whole: LocalTopology, how: str) -> None:
    """A master that dies, one that hangs with threads waiting on encrypted sockets, and a bare SENTINEL FAILOVER."""
    old = whole.current_master()
    with service_on(whole) as parts:
        with Submitters(parts) as submitters:
            assert wait_for(lambda: len(subscribed_to(parts.link)) == 3, 60)
            {"kill": old.kill, "hang": old.pause, "failover": whole.failover}[how]()
            assert wait_for(
                lambda: parts.link.directory.last_master != old.endpoint, FAILOVER_WITHIN_S, interval_s=0.1
            )
        assert submitters.lost() == []
        assert submitters.refused == []


def test_a_look_at_everybody_goes_over_tls(whole: LocalTopology) -> None:
    """The write that is tried, and the question whether anybody is let in without a name, like all others."""
    seen = survey(whole.operators_access())
    assert seen.write is not None
    assert seen.write.taken, seen.write
    assert {each.is_open for each in (*seen.nodes, *seen.sentinels)} == {False}


def test_switchover_loses_and_refuses_nothing(whole: LocalTopology) -> None:
    """The planned one, through the operators' encrypted connections."""
    assert wait_for(lambda: not refusals_of(survey(whole.operators_access())), 60, interval_s=0.1)
    with service_on(whole) as parts:
        with Submitters(parts) as submitters:
            result = switch_over(whole.operators_access())
            assert wait_for(lambda: parts.link.directory.last_master == result.new, FAILOVER_WITHIN_S)
        assert submitters.refused == []
        assert submitters.lost() == []


def test_renewed_certificates_cost_no_mail(whole: LocalTopology, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runbook's steps under load: one process after the other takes the new files; each mail goes out once."""
    assert wait_for(lambda: _is_emptied(whole), 60, interval_s=0.1)
    with MailSink() as sink:
        monkeypatch.setenv("VERIFIER_MAIL_SERVER", "127.0.0.1")
        monkeypatch.setenv("VERIFIER_MAIL_PORT", str(sink.port))
        with service_on(whole) as parts:
            with RunningWorker(parts.settings) as worker:
                with Submitters(parts, threads=2, each_s=0.1) as submitters:
                    before = (whole.directory / "secrets" / "redis_tls_cert").read_bytes()
                    renew_certificates(whole.directory / "secrets")
                    assert (whole.directory / "secrets" / "redis_tls_cert").read_bytes() != before
                    for sentinel in whole.sentinel_nodes:
                        sentinel.restart()
                        assert wait_for(whole.is_healthy, FAILOVER_WITHIN_S, interval_s=0.1)
                    for replica in whole.replicas():
                        _replace(whole, replica)
                    old = whole.current_master()
                    assert wait_for(
                        lambda: not refusals_of(survey(whole.operators_access())), 60, interval_s=0.1
                    )
                    switch_over(whole.operators_access())
                    assert wait_for(whole.is_healthy, FAILOVER_WITHIN_S, interval_s=0.1)
                    _replace(whole, old)
                assert submitters.refused == []
                assert submitters.lost() == []
                worker.wait(lambda: len(sink.mails) >= len(submitters.accepted), FAILOVER_WITHIN_S)
            assert len(sink.mails) == len({mail["Message-ID"] for mail in sink.mails})
            assert len(sink.mails) == len(submitters.accepted)


def _is_emptied(topology: LocalTopology) -> bool:
    try:
        with topology.admin(topology.current_master()) as client:
            return bool(client.flushall())
    except ResponseError as error:
        if not str(error).startswith("NOREPLICAS"):
            raise
        return False


def _replace(topology: LocalTopology, node: LocalNode) -> None:
    node.shutdown_gracefully()
    node.restart()
    assert wait_for(topology.is_healthy, FAILOVER_WITHIN_S, interval_s=0.1)


def test_settings_lead_there(whole: LocalTopology, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says is what the link gets."""
    for name, value in whole.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VERIFIER_SECRET_KEYS", f"test:{new_secret()}")
    assert load_settings(None).redis.tls == whole.tls
