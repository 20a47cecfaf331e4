"""Taking the snapshot: everybody is asked at once, and whoever does not answer is noted as silent.

The sentinels of the settings name the other sentinels and the nodes. Only who a sentinel knows is asked
with our password: a stranger whom a node was made to follow never gets to see it. Where the access has a probe, one
small write on the named master shows whether it takes any.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from redis import RedisError, ResponseError

from sentinel.access import Access, Login
from sentinel.endpoints import Endpoint, addresses_of
from sentinel.errors import AccessRefused, PermanentError, TlsFilesWrong, TlsRefused, UnknownMasterName
from sentinel.tls import Tls
from sentinel.topology.node_commands import NodeCommands, at_once
from sentinel.topology.replies import Answers, node_state, sentinel_state, watched_names
from sentinel.topology.snapshot import NodeState, SentinelState, Topology, Trouble
from sentinel.topology.writes import try_write

# A node that takes longer is not waited for: operators want to see the others.
NODE_TIMEOUT_S = 1.0


@contextmanager
def commands_to(access: Access) -> Iterator[tuple[NodeCommands, NodeCommands]]:
    """Yield the commands to the sentinels and those to the nodes; their connections are closed at the end."""
    node_timeout_s = min(NODE_TIMEOUT_S, access.node_timeout_s)
    with (
        NodeCommands(access.sentinel_login, timeout_s=access.sentinel_timeout_s, tls=access.tls) as sentinels,
        NodeCommands(access.node_login, timeout_s=node_timeout_s, tls=access.tls) as nodes,
    ):
        yield sentinels, nodes


def survey(access: Access) -> Topology:
    """Ask everybody, within about three seconds however many are silent; raises nothing for a silent one."""
    with commands_to(access) as (sentinels, nodes):
        topology = survey_with(sentinels, nodes, access)
    return _with_openness(topology, access)


def _with_openness(topology: Topology, access: Access) -> Topology:
    """Ask those that answered once more, without a name."""
    sentinels = [each.endpoint for each in topology.sentinels if each.error is None]
    nodes = [each.endpoint for each in topology.nodes if each.error is None]
    opened = dict(at_once(lambda each: (each, _is_open(each, access)), [*sentinels, *nodes]))
    return replace(
        topology,
        sentinels=tuple(replace(each, is_open=opened.get(each.endpoint)) for each in topology.sentinels),
        nodes=tuple(replace(each, is_open=opened.get(each.endpoint)) for each in topology.nodes),
    )


def _is_open(endpoint: Endpoint, access: Access) -> bool | None:
    """Return whether a process takes commands from whoever sends no name; None where it does not answer."""
    with NodeCommands(Login(), timeout_s=access.sentinel_timeout_s, tls=access.tls) as nobody:
        try:
            return bool(nobody.ask(endpoint, "PING") == "PONG")
        except PermanentError:
            return False
        except RedisError:
            return None


def survey_with(sentinels: NodeCommands, nodes: NodeCommands, access: Access) -> Topology:
    """Take the snapshot through connections that are open already."""
    states = _ask_sentinels(sentinels, access)
    endpoints = _nodes_known_to(states)
    # Without users everybody may, and with them nobody should.
    may_read_settings = not access.node_login.username
    master = Topology(access.master_name, states, ()).named_master
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="probe") as aside:
        write = aside.submit(try_write, master, access.probe, access.tls) if master and access.probe else None
        found = at_once(
            lambda endpoint: _ask_node(nodes, endpoint, may_read_settings=may_read_settings), endpoints
        )
    return Topology(
        access.master_name,
        states,
        tuple(_with_known_name(each, endpoints) for each in found),
        write.result() if write else None,
    )


def _ask_sentinels(commands: NodeCommands, access: Access) -> tuple[SentinelState, ...]:
    """Ask those of the settings, then those they know; a sentinel is known by its run id.

    The run id of a silent one is unknown, so its address is taken instead, or it would count twice.
    """
    first = at_once(lambda each: _ask_sentinel(commands, each, access), access.sentinels)
    states = {state.run_id or str(state.endpoint): state for state in first}
    silent = {address for state in first if state.run_id is None for address in addresses_of(state.endpoint)}
    unknown = {
        peer.run_id: peer.endpoint
        for state in first
        for peer in state.peers
        if peer.run_id and peer.run_id not in states and not silent & addresses_of(peer.endpoint)
    }
    second = at_once(lambda each: _ask_sentinel(commands, each, access), unknown.values())
    for state in second:
        states.setdefault(state.run_id or str(state.endpoint), state)
    return tuple(states.values())


def _ask_sentinel(commands: NodeCommands, endpoint: Endpoint, access: Access) -> SentinelState:
    answers = Answers(lambda *words: commands.ask(endpoint, *words))
    try:
        return sentinel_state(endpoint, access.master_name, answers)
    except UnknownMasterName as error:
        return SentinelState(endpoint, str(error), Trouble.WRONG_NAME, _names_watched_by(answers))
    except AccessRefused as error:
        return (
            _no_sentinel(endpoint)
            if _is_data_node(endpoint, access.tls)
            else _troubled(endpoint, error, Trouble.REFUSES_US)
        )
    except (TlsRefused, TlsFilesWrong) as error:
        return _troubled(endpoint, error, Trouble.TLS_FAILS)
    except ResponseError as error:
        return (
            _no_sentinel(endpoint)
            if _is_unknown_command(error)
            else _troubled(endpoint, error, Trouble.SILENT)
        )
    except RedisError as error:
        return _troubled(endpoint, error, Trouble.SILENT)


def _troubled(endpoint: Endpoint, error: RedisError, trouble: Trouble) -> SentinelState:
    return SentinelState(endpoint, str(error), trouble)


def _no_sentinel(endpoint: Endpoint) -> SentinelState:
    words = "it knows no SENTINEL command: it is a data node, or something else"
    return SentinelState(endpoint, words, Trouble.NO_SENTINEL)


def _is_data_node(endpoint: Endpoint, tls: Tls | None) -> bool:
    """Ask without a login: Redis looks whether there is such a command before it looks who asks."""
    with NodeCommands(Login(), timeout_s=NODE_TIMEOUT_S, tls=tls) as nobody:
        return _is_unknown_command(nobody.reply_or_error(endpoint, ("SENTINEL", "MYID")))


def _is_unknown_command(reply: object) -> bool:
    return isinstance(reply, ResponseError) and "unknown command" in str(reply).lower()


def _names_watched_by(answers: Answers) -> tuple[str, ...]:
    try:
        return watched_names(answers)
    except RedisError:
        return ()


def _ask_node(commands: NodeCommands, endpoint: Endpoint, *, may_read_settings: bool) -> NodeState:
    answers = Answers(lambda *words: commands.ask(endpoint, *words))
    try:
        return node_state(endpoint, answers, may_read_settings=may_read_settings)
    except RedisError as error:
        return NodeState(
            endpoint,
            error=str(error),
            refused=isinstance(error, PermanentError),
            is_unresolved=_is_caused_by(error, socket.gaierror),
        )


def _is_caused_by(error: BaseException | None, kind: type[OSError]) -> bool:
    """Return whether an error, or one that it was made from, is of this kind."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error is not None


def _nodes_known_to(states: Iterable[SentinelState]) -> tuple[Endpoint, ...]:
    masters = [state.master for state in states if state.master is not None]
    replicas = sorted(known.endpoint for state in states for known in state.replicas)
    return tuple(dict.fromkeys([*masters, *replicas]))


def _with_known_name(node: NodeState, known: Iterable[Endpoint]) -> NodeState:
    """Call a replica's master as the sentinels do, where it goes by a host name here and an address there."""
    if node.follows is None or node.follows in known:
        return node
    addresses = addresses_of(node.follows)
    same = next((endpoint for endpoint in known if addresses & addresses_of(endpoint)), None)
    return replace(node, follows=same) if same is not None else node
