"""The planned switchover against servers made of a few lines: its order, its refusals, its way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from redis import RedisError, ResponseError

from sentinel.access import Login, WriteProbe
from sentinel.endpoints import Endpoint
from sentinel.errors import AccessRefused, Backpressure, TransientError
from sentinel.protocol import Role
from sentinel.switchover.report import (
    Progress,
    Step,
    SwitchoverFailed,
    SwitchoverInterrupted,
    SwitchoverRefused,
    SwitchoverResult,
)
from sentinel.switchover.switchover import Switchover
from sentinel.switchover.write_pause import PAUSE_S, WritePause
from sentinel.topology.checks import refusals_of
from sentinel.topology.node_commands import Words
from sentinel.topology.snapshot import KnownReplica, NodeState, SentinelState, Topology
from sentinel.topology.writes import Refusal, WriteAnswer

OLD, ONE, TWO = (Endpoint("10.0.0.1", port) for port in (6379, 6380, 6381))
SENTINELS = tuple(Endpoint("10.0.0.2", port) for port in (26379, 26380, 26381))
NAME = "verifier"
PROBE = WriteProbe(Login("app", "secret"), "verifier:probe", 1)


class World:
    """A master, two replicas, three sentinels, and a clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.given: list[str] = []
        self.offsets = {OLD: 500, ONE: 500, TWO: 500}
        self.masters = {OLD}
        self.named = dict.fromkeys(SENTINELS, OLD)
        self.follows = {ONE: OLD, TWO: OLD}
        self.promotes: Endpoint | None = ONE
        self.learning: Sequence[Endpoint] = SENTINELS
        self.noticed_at = 0.0
        self.ordered_at: float | None = None
        self.failing: dict[str, BaseException] = {}
        self.rewrite: Any = "OK"
        self.missing_rights: list[str] = []
        self.paused_until = 0.0
        self.each_answer_takes_s = 0.0
        self.refused_until = 0.0

    def clock(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass: 0.2 s after the order a replica is promoted, 0.8 s later the sentinels name it."""
        self.now += seconds
        if self.ordered_at is None or self.promotes is None:
            return
        if self.now >= self.ordered_at + 0.2:
            self.masters.add(self.promotes)
        if self.now >= self.ordered_at + 1.0:
            self.named |= dict.fromkeys(self.learning, self.promotes)

    def try_write(self, node: Endpoint, probe: WriteProbe) -> WriteAnswer:
        """Take a write, unless it is too early."""
        assert probe == PROBE
        refusal = Refusal.REPLICAS if self.now < self.refused_until else None
        return WriteAnswer(node, 0.0, refusal, refusal and "NOREPLICAS Not enough", needed=1, acknowledged=2)

    @property
    def holds(self) -> bool:
        """Return whether writes are held at this moment."""
        return self.now < self.paused_until

    def ask(self, endpoint: Endpoint, *words: str) -> Any:
        """Answer one command."""
        command = " ".join(words)
        self.sleep(self.each_answer_takes_s)
        if words[0] != "ROLE" and words[1] not in {"MASTER", "REPLICAS", "GET-MASTER-ADDR-BY-NAME"}:
            self.given.append(command)
        for start, error in self.failing.items():
            if command.startswith(start):
                raise error
        answers: dict[str, Callable[[Endpoint, Words], Any]] = {
            "ROLE": lambda endpoint, _: self._role(endpoint),
            "CLIENT": self._client,
            "SENTINEL": self._sentinel,
            "REPLICAOF": self._replicaof,
        }
        return answers[words[0]](endpoint, words)

    def ask_all(self, endpoints: Iterable[Endpoint], *words: str) -> dict[Endpoint, Any]:
        """Answer for several; an error stands in place of an answer."""
        return {endpoint: self.reply_or_error(endpoint, words) for endpoint in endpoints}

    def transact(self, endpoint: Endpoint, orders: Sequence[Words]) -> list[Any]:
        """Take orders as one: only ever the demotion of the old master."""
        assert endpoint == OLD
        self.given.append(" / ".join(" ".join(order) for order in orders))
        if "EXEC" in self.failing:
            raise self.failing["EXEC"]
        self.masters.discard(OLD)
        return ["OK", self.rewrite, 3, 1]

    def rehearse(self, endpoint: Endpoint, orders: Sequence[Words]) -> list[str]:  # noqa: ARG002 - as NodeCommands has it
        """Name the missing rights."""
        assert endpoint == OLD
        if "MULTI" in self.failing:
            raise self.failing["MULTI"]
        return self.missing_rights

    def reply_or_error(self, endpoint: Endpoint, words: Words) -> Any:
        """Answer, or return the error."""
        try:
            return self.ask(endpoint, *words)
        except RedisError as error:
            return error

    def _role(self, endpoint: Endpoint) -> Any:
        if endpoint in self.masters:
            return ["master", self.offsets[endpoint], []]
        return ["slave", OLD.host, str(OLD.port), "connected", self.offsets[endpoint]]

    def _replicaof(self, endpoint: Endpoint, words: Words) -> Any:
        self.follows[endpoint] = Endpoint(words[1], int(words[2]))
        return "OK"

    def _client(self, endpoint: Endpoint, words: Words) -> Any:
        assert endpoint == OLD
        self.paused_until = self.now + int(words[2]) / 1000 if words[1] == "PAUSE" else 0.0
        return "OK"

    def _sentinel(self, endpoint: Endpoint, words: Words) -> Any:
        if words[1] == "FAILOVER":
            self.ordered_at = self.now
            return "OK"
        named = self.named[endpoint]
        if words[1] == "REPLICAS":
            return [["role-reported", "master" if self.now < self.noticed_at else "slave"]]
        if words[1] == "MASTER":
            return ["ip", named.host, "port", str(named.port), "flags", "master"]
        return [named.host, str(named.port)]


def _topology() -> Topology:
    known = tuple(KnownReplica(each, frozenset({"slave"}), 100) for each in (ONE, TWO))
    sentinels = tuple(
        SentinelState(
            each, master=OLD, flags=frozenset({"master"}), other_sentinels=2, quorum=2, down_after_ms=5000,
            ckquorum="OK", tilt=False, replicas=known,
        )
        for each in SENTINELS
    )  # fmt: skip
    master = NodeState(OLD, role=Role.MASTER, offset=500, priority=100)
    replicas = tuple(
        NodeState(each, role=Role.REPLICA, follows=OLD, link="connected", offset=500, priority=100)
        for each in (ONE, TWO)
    )
    return Topology(NAME, sentinels, (master, *replicas))


@pytest.fixture
def world() -> World:
    """Servers that all work."""
    return World()


def _switchover(world: World, report: Callable[[Progress], None] | None = None) -> Switchover:
    more = {} if report is None else {"report": report}
    return Switchover(
        _topology(),
        world,
        world,
        clock=world.clock,
        sleep=world.sleep,
        probe=PROBE,
        try_write=world.try_write,
        **more,  # type: ignore[arg-type] # only ever the report
    )


def _run(world: World) -> SwitchoverResult:
    return _switchover(world).run()


DEMOTION = (
    "REPLICAOF 10.0.0.1 6380 / CONFIG REWRITE / CLIENT KILL TYPE normal SKIPME yes / CLIENT KILL TYPE pubsub"
)


def test_steps_come_in_the_order_that_loses_nothing(world: World) -> None:
    """Hold, order, send the other replica over, renew the hold each half second, demote, and only then release."""
    result = _run(world)
    renewals = world.given.count("CLIENT PAUSE 3000 WRITE") - 1
    assert world.given == [
        "CLIENT PAUSE 3000 WRITE",
        "SENTINEL FAILOVER verifier",
        "REPLICAOF 10.0.0.1 6380",
        *["CLIENT PAUSE 3000 WRITE"] * renewals,
        DEMOTION,
        "CLIENT UNPAUSE",
    ]
    assert renewals == 1
    assert [each.step for each in result.steps] == list(Step)
    assert (result.old, result.new) == (OLD, ONE)
    assert "10.0.0.1:6380 and 10.0.0.1:6381 have everything up to byte 500." in [
        each.message for each in result.steps
    ]
    assert result.held_s == pytest.approx(1.0, abs=0.05)
    assert result.notes == ()
    assert world.follows[TWO] == ONE


def test_a_write_proves_it_as_soon_as_the_new_master_takes_one(world: World) -> None:
    """Its replicas need a moment before they count; writing goes on until then."""
    world.refused_until = 5.0
    result = _run(world)
    assert result.proved
    assert result.at_s(Step.PROVED) == pytest.approx(5.0, abs=0.05)
    assert "10.0.0.1:6380 took a write, and 2 replicas have it." in [each.message for each in result.steps]


def test_a_new_master_that_takes_no_write_is_told(world: World) -> None:
    """The move can't be undone, but nobody may believe that all is well."""
    world.refused_until = 1000.0
    result = _run(world)
    assert not result.proved
    assert result.notes == (
        "10.0.0.1:6380 is the master, but no write proved that it takes any: NOREPLICAS Not enough.",
    )


def test_other_replicas_are_sent_over_at_once(world: World) -> None:
    """A ping of the old master that one gets after the promotion would cost it a full copy."""
    result = _run(world)
    assert result.at_s(Step.PROMOTED) == pytest.approx(0.2, abs=0.05)
    assert result.at_s(Step.DECIDED) == pytest.approx(1.0, abs=0.05)


def test_nothing_is_ordered_before_all_candidates_have_everything(world: World) -> None:
    """A replica that lags is waited for, while the hold is on."""
    world.offsets[TWO] = 400
    asked = world.ask

    def catch_up(endpoint: Endpoint, *words: str) -> Any:
        if world.now > 1.0:
            world.offsets[TWO] = 500
        if words[:2] == ("SENTINEL", "FAILOVER"):
            assert world.offsets[TWO] == 500
            assert world.holds
        return asked(endpoint, *words)

    world.ask = catch_up  # type: ignore[method-assign] # a step in between
    assert _run(world).at_s(Step.IN_SYNC) == pytest.approx(1.0, abs=0.05)


def test_replica_that_stays_behind_ends_it_before_the_order(world: World) -> None:
    """Two seconds are given to it; then writes go on where they were."""
    world.offsets[TWO] = 400
    with pytest.raises(
        SwitchoverFailed, match=r"did not catch up.* still the master, and nothing was changed"
    ):
        _run(world)
    assert not world.holds
    assert world.now < 2.1
    assert "SENTINEL FAILOVER verifier" not in world.given


@pytest.mark.parametrize(
    ("step", "error", "said"),
    [
        ("CLIENT PAUSE", TransientError("10.0.0.1:6379 does not answer"), "nothing was changed"),
        ("ROLE", TransientError("10.0.0.1:6379 does not answer"), "nothing was changed"),
        ("SENTINEL FAILOVER", ResponseError("INPROG Failover already in progress"), "nothing was changed"),
        ("SENTINEL FAILOVER", AccessRefused("10.0.0.2:26379 refuses us: NOPERM"), "nothing was changed"),
        ("SENTINEL FAILOVER", TransientError("10.0.0.2:26379 does not answer"), "may yet do so"),
        ("EXEC", TransientError("10.0.0.1:6379 does not answer"), "could not be made its replica"),
    ],
)
def test_failing_step_is_rolled_back(world: World, step: str, error: Exception, said: str) -> None:
    """Whichever step fails, the hold is ended, and the message tells why and in which state everything is."""
    world.failing = {step: error}
    with pytest.raises(SwitchoverFailed) as caught:
        _run(world)
    assert said in str(caught.value)
    assert str(error) in str(caught.value)
    assert not world.holds
    assert world.given[-1] == "CLIENT UNPAUSE"


def test_failover_that_does_not_come_is_given_up(world: World) -> None:
    """After eight seconds writes go on; Sentinel may still act, and that is said."""
    world.promotes = None
    with pytest.raises(SwitchoverFailed, match=r"no replica was promoted in time.*may yet do so"):
        _run(world)
    assert world.now == pytest.approx(8.0, abs=0.1)
    assert not world.holds


@pytest.mark.parametrize("learning", [SENTINELS[:1], SENTINELS[1:]])
def test_decision_is_final(world: World, learning: Sequence[Endpoint]) -> None:
    """The sentinel that was told decides; a majority of the others is as good."""
    world.learning = learning
    assert _run(world).at_s(Step.DEMOTED) == pytest.approx(1.0, abs=0.05)


def test_decision_is_waited_for(world: World) -> None:
    """One other sentinel that names the new master decides nothing: the old one gets its replicas back."""
    world.learning = SENTINELS[1:2]
    with pytest.raises(SwitchoverFailed, match=r"did not decide for .*:6380.*:6379 is still the master"):
        _run(world)
    assert DEMOTION not in world.given
    assert world.follows[TWO] == OLD


def test_node_that_does_not_agree_is_no_new_master(world: World) -> None:
    """That most sentinels name it is not enough: it must say so itself."""
    world.promotes = None
    world.named = dict.fromkeys(SENTINELS, ONE)
    with pytest.raises(SwitchoverFailed, match="no replica was promoted"):
        _run(world)


@pytest.mark.parametrize(
    ("step", "said", "done"),
    [
        (Step.HELD, "nothing was changed", False),
        (Step.IN_SYNC, "nothing was changed", False),
        (Step.ORDERED, "10.0.0.1:6380 is the master, and 10.0.0.1:6379 follows it", True),
        (Step.PROMOTED, "10.0.0.1:6380 is the master, and 10.0.0.1:6379 follows it", True),
        (Step.DECIDED, "10.0.0.1:6380 is the master, and 10.0.0.1:6379 follows it", True),
        (Step.DEMOTED, "10.0.0.1:6379 is a replica", True),
        (Step.RELEASED, "10.0.0.1:6379 is a replica", True),
    ],
)
def test_interruption_is_rolled_back(world: World, step: Step, said: str, done: bool) -> None:
    """Ctrl-C ends the hold at any step; a failover that was ordered is seen through first."""

    def interrupt(progress: Progress) -> None:
        if progress.step is step:
            raise KeyboardInterrupt

    with pytest.raises(SwitchoverInterrupted, match="it was interrupted") as caught:
        _switchover(world, interrupt).run()
    assert said in str(caught.value)
    assert (DEMOTION in world.given) is done
    assert not world.holds
    assert world.given[-1] == "CLIENT UNPAUSE"


def test_second_interruption_still_ends_the_hold(world: World) -> None:
    """Pressing Ctrl-C again leaves the waiting, not the hold."""
    world.promotes = None

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    switchover = Switchover(_topology(), world, world, clock=world.clock, sleep=interrupt)
    with pytest.raises(KeyboardInterrupt):
        switchover.run()
    assert world.given[-1] == "CLIENT UNPAUSE"


def test_hold_that_cannot_be_ended_is_said_to_end_by_itself(world: World) -> None:
    """When even the unpause fails, the message says how long writes wait."""
    world.failing = {
        "SENTINEL FAILOVER": ResponseError("NOGOODSLAVE No suitable replica to promote"),
        "CLIENT UNPAUSE": TransientError("10.0.0.1:6379 does not answer"),
    }
    with pytest.raises(SwitchoverFailed, match=r"NOGOODSLAVE.*ends by itself within 3 s"):
        _run(world)


def test_failed_release_is_no_renewal(world: World) -> None:
    """Where the unpause fails after the demotion, the hold ends by itself and is not prolonged meanwhile."""
    world.failing = {"CLIENT UNPAUSE": TransientError("10.0.0.1:6379 does not answer")}
    world.noticed_at = 9.0
    result = _run(world)
    assert any("ends by itself within 3 s" in note for note in result.notes)
    assert not world.holds


def test_gap_in_the_hold_is_confessed(world: World) -> None:
    """Where a renewal came too late, the result says for how long writes may have got through."""
    world.each_answer_takes_s = 1.0
    assert any("may have run out" in note for note in _run(world).notes)


def test_settled_when_sentinels_have_noticed_the_old_masters_role(world: World) -> None:
    """A sentinel that still takes it for a master would undo the next failover that promotes it."""
    world.noticed_at = 9.0
    assert _run(world).at_s(Step.SETTLED) == pytest.approx(9.0, abs=0.1)


def test_unsettled_end_is_noted(world: World) -> None:
    """What does not come to rest within fifteen seconds is left to the operator, with a note."""
    world.noticed_at = 1000.0
    result = _run(world)
    assert Step.SETTLED not in {each.step for each in result.steps}
    assert any("read the log of 10.0.0.1:6379" in note for note in result.notes)


def test_unwritten_role_is_noted(world: World) -> None:
    """A configuration file that can't be rewritten does not undo a switchover; the operator is told."""
    world.rewrite = ResponseError("Rewriting config file: Permission denied")
    assert any("Permission denied" in note for note in _run(world).notes)


def test_missing_rights_refuse_it_before_anything_is_touched(world: World) -> None:
    """A user that could pause but not demote would leave a mess; so all orders are rehearsed."""
    world.missing_rights = ["replicaof"]
    with pytest.raises(SwitchoverRefused, match=r"No switchover was begun.*\+replicaof"):
        _run(world)
    assert world.given == []


def test_master_that_can_not_be_asked_refuses_it(world: World) -> None:
    """It is refused as well where the rehearsal itself fails."""
    world.failing = {"MULTI": TransientError("10.0.0.1:6379 does not answer")}
    with pytest.raises(SwitchoverRefused, match="does not answer"):
        _run(world)


def test_full_master_refuses_it(world: World) -> None:
    """A master without memory takes no transaction: it could be replaced, but not be made a replica."""
    world.failing = {"MULTI": Backpressure("OOM command not allowed")}
    with pytest.raises(SwitchoverRefused, match=r"memory of the master.*full.*Raise its maxmemory"):
        _run(world)
    assert world.given == []


def test_finding_refuses_it(world: World) -> None:
    """What forbids a switchover is told as the checks tell it."""
    alone = Topology(NAME, _topology().sentinels[:1], _topology().nodes)
    with pytest.raises(SwitchoverRefused, match="Only 1 of 3 sentinels") as caught:
        Switchover(alone, world, world)
    assert str(caught.value) == " ".join(["No switchover was begun.", *map(str, refusals_of(alone))])


def test_write_pause_is_renewed_before_it_runs_out(world: World) -> None:
    """A hold that is kept often enough has no gap; one that is not tells how long it was."""
    write_pause = WritePause(world, OLD, world.clock)
    write_pause.hold()
    for _ in range(20):
        world.sleep(0.4)
        write_pause.keep()
        assert world.holds
    assert write_pause.lapsed_s() == 0
    world.sleep(PAUSE_S + 2)
    write_pause.keep()
    assert write_pause.lapsed_s() == pytest.approx(2.0, abs=0.5)
