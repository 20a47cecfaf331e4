"""The rows: one function for each fault, with what must be kept through it."""

from __future__ import annotations

from collections.abc import Callable

from sentinel import SwitchoverError, switch_over, wait_for
from tests.attack.slow_clients import ATTACKS, Attackers
from tests.deployment import topology
from tests.deployment.deployment import NODES, SENTINELS
from tests.deployment.judging import OUTAGE_LIMIT_S, Promise
from tests.deployment.memory import fill
from tests.deployment.network import ContainerNetwork
from tests.deployment.topology import shown_certificate
from tests.deployment.trial import Row, Trial

FAILOVER = Promise(outage_limit_s=OUTAGE_LIMIT_S)
# For how long a node stays hung or cut off after the others could have gone on without it.
HELD_S = 2.0
# Without a proxy they stop everything for as long as a client's time limit is, and longer.
SLOW_CLIENTS_OUTAGE_S = 5.0


ROWS: dict[str, Row] = {}


def row(
    name: str, promise: Promise, *, wants_tls: bool = False
) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Enter a function into the table; its docstring is the story."""

    def enter(inject: Callable[[Trial], None]) -> Callable[[Trial], None]:
        ROWS[name] = Row(name, (inject.__doc__ or "").strip(), promise, inject, wants_tls)
        return inject

    return enter


@row("kill", FAILOVER)
def kill(trial: Trial) -> None:
    """The master's container is killed."""
    master = trial.deployment.container(trial.master)
    master.do("kill")
    trial.await_new_master()
    trial.wait(HELD_S)
    master.do("start")


# A master that ends in order holds writes until its replicas have said, once a second, that they have all.
@row("stop", Promise(outage_limit_s=OUTAGE_LIMIT_S + 1.0))
def stop(trial: Trial) -> None:
    """The master's container is stopped, as an operator does."""
    master = trial.deployment.container(trial.master)
    master.do("stop")
    trial.await_new_master()
    master.do("start")


@row("pause", FAILOVER)
def pause(trial: Trial) -> None:
    """The master's container hangs (paused), and goes on after another one was promoted."""
    master = trial.deployment.container(trial.master)
    master.do("pause")
    trial.await_new_master()
    trial.wait(HELD_S)
    master.do("unpause")


@row("disconnect", FAILOVER)
def disconnect(trial: Trial) -> None:
    """The master's container is taken off its network, and put back."""
    deployment, engine = trial.deployment, trial.deployment.engine
    master = deployment.container(trial.master)
    network = f"{deployment.project}_redis"
    engine.run("network", "disconnect", "-f", network, master.id)
    trial.await_new_master()
    trial.wait(HELD_S)
    address = deployment.address(trial.master)
    link = ["--mac-address", deployment.link_address(trial.master)] if engine.command == "podman" else []
    engine.run("network", "connect", "--ip", address, *link, network, master.id)


@row("drop", FAILOVER)
def drop(trial: Trial) -> None:
    """The master's packets are dropped in both directions."""
    network = ContainerNetwork(trial.deployment.container(trial.master))
    network.drop_everything()
    trial.await_new_master()
    trial.wait(HELD_S)
    network.heal()


@row("split", FAILOVER)
def split(trial: Trial) -> None:
    """Sentinels and replicas are cut off the master, the app still reaches it."""
    deployment = trial.deployment
    network = ContainerNetwork(deployment.container(trial.master))
    network.drop_between(deployment.address(each) for each in (*NODES, *SENTINELS) if each != trial.master)
    trial.await_new_master()
    trial.wait(HELD_S)
    network.heal()


def _cut_the_app_off(trial: Trial) -> ContainerNetwork:
    network = ContainerNetwork(trial.deployment.container(trial.master))
    network.drop_between(trial.deployment.container(each).address("redis") for each in ("web", "worker"))
    return network


@row("app-cut-short", Promise())
def app_cut_short(trial: Trial) -> None:
    """The app is cut off the master for 5 s, while the sentinels still see it: less than a request's deadline."""
    network = _cut_the_app_off(trial)
    trial.wait(5.0)
    network.heal()


@row("app-cut-long", Promise(accepts_all=False))
def app_cut_long(trial: Trial) -> None:
    """The app is cut off the master for 20 s, while the sentinels still see it: more than the deadline."""
    deployment = trial.deployment
    network = _cut_the_app_off(trial)
    trial.wait(14.0)
    status, said = deployment.readiness()
    address = deployment.address(trial.master)
    if status != 503 or address not in said:
        trial.observed.broken.append(f"/readyz did not turn red and name {address}: {status} {said}")
    trial.wait(6.0)
    network.heal()


@row("host", FAILOVER)
def host(trial: Trial) -> None:
    """A whole host is gone: the master and a sentinel are killed."""
    gone = [trial.deployment.container(each) for each in (trial.master, "sentinel-1")]
    for container in gone:
        container.do("kill")
    trial.await_new_master()
    trial.wait(HELD_S)
    for container in gone:
        container.do("start")


@row("no-majority", Promise(accepts_all=False))
def no_majority(trial: Trial) -> None:
    """Two sentinels are killed, then the master: nobody can promote until they are back."""
    deployment = trial.deployment
    sentinels = [deployment.container(each) for each in SENTINELS[:2]]
    for container in sentinels:
        container.do("kill")
    trial.wait(1.0)
    master = deployment.container(trial.master)
    master.do("kill")
    trial.wait(14.0)
    for container in sentinels:
        container.do("start")
    trial.await_new_master()
    master.do("start")


@row("recreate", Promise())
def recreate(trial: Trial) -> None:
    """The master's container is made anew, on the same volume."""
    trial.deployment.container(trial.master).do("rm", "-f")
    trial.deployment.compose("up", "-d", "--no-deps", trial.master)


@row("restart-each", Promise(web_goes_away=True))
def restart_each(trial: Trial) -> None:
    """Every service is restarted, one after the other."""
    for service in (*SENTINELS, *NODES, "worker", "web", "proxy"):
        _restart(trial, service)


@row("restart-all", Promise(accepts_all=False, web_goes_away=True))
def restart_all(trial: Trial) -> None:
    """Every service is restarted, all at once."""
    deployment = trial.deployment
    ours = [each.id for each in deployment.containers() if each.service != "relay"]
    deployment.engine.run("restart", *ours)


@row("down-up", Promise(accepts_all=False, web_goes_away=True))
def down_up(trial: Trial) -> None:
    """Everything is taken down with 50 mails owed, and brought up again."""
    _owe_50_mails(trial)
    trial.load.pause()
    trial.deployment.compose("down")
    trial.deployment.up()
    trial.deployment.await_ready()
    trial.load.resume()


def _owe_50_mails(trial: Trial) -> None:
    """Kill the worker, and wait until so many more were accepted."""
    submissions = trial.load.submissions
    trial.deployment.container("worker").do("kill")
    accepted = sum(each.accepted for each in submissions)
    if not wait_for(lambda: sum(each.accepted for each in submissions) >= accepted + 50, 20):
        trial.observed.broken.append("50 mails could not be accepted beforehand.")


@row("web-kill", Promise(web_goes_away=True))
def web_kill(trial: Trial) -> None:
    """The web app's container is killed."""
    web = trial.deployment.container("web")
    web.do("kill")
    trial.wait(1.0)
    web.do("start")


@row("worker-kill", Promise(may_repeat=True))
def worker_kill(trial: Trial) -> None:
    """The worker's container is killed."""
    worker = trial.deployment.container("worker")
    worker.do("kill")
    trial.wait(2.0)
    worker.do("start")


@row("worker-memory", Promise(may_repeat=True))
def worker_memory(trial: Trial) -> None:
    """The worker's container gets to its memory limit, and the kernel ends the worker."""
    deployment = trial.deployment
    worker = deployment.container("worker")
    before = worker.pid
    fill(worker)
    if not wait_for(lambda: deployment.container("worker").pid not in {0, before}, 40, 0.3):
        trial.observed.broken.append("The kernel did not end the worker, or nobody started it again.")


@row("slow-network", Promise())
def slow_network(trial: Trial) -> None:
    """Between app and Redis every packet takes 50 ms longer, and 1 % are lost."""
    deployment = trial.deployment
    networks = [ContainerNetwork(deployment.container(each)) for each in ("web", "worker")]
    try:
        means = {network.degrade(deployment.prefix, 50, 1.0) for network in networks}
        trial.observed.remarks.append(f"The packets were held back by {', '.join(means)}.")
        trial.wait(12.0)
    finally:
        for network in networks:
            network.heal()


@row("slow-clients", Promise(outage_limit_s=SLOW_CLIENTS_OUTAGE_S))
def slow_clients(trial: Trial) -> None:
    """Clients that say nothing, never end their headers, or send bodies byte by byte, at the published port."""
    for attack in ATTACKS:
        with Attackers(attack, trial.deployment.port):
            trial.wait(6.0)


# Between everybody, and from then on. There is no other port with TLS, so all parts have to stop for it.
@row("tls-on", Promise(accepts_all=False, web_goes_away=True))
def tls_on(trial: Trial) -> None:
    """TLS is turned on in .env, with 50 mails owed: everything is taken down, and brought up again."""
    _owe_50_mails(trial)
    trial.load.pause()
    trial.deployment.bring_up_with_tls()
    trial.load.resume()


# No limit of its own for the outage: with TLS Sentinel took up to 1.3 s longer, and the whole up to 7.9 s, which a
# request outlasts (docs/deployment-test.md).
@row("tls-kill", Promise(), wants_tls=True)
def tls_kill(trial: Trial) -> None:
    """With TLS between everybody, the master's container is killed."""
    kill(trial)


@row("tls-renew", FAILOVER, wants_tls=True)
def tls_renew(trial: Trial) -> None:
    """The certificates are renewed as the runbook says: sentinels, replicas, a switchover, the old master."""
    deployment = trial.deployment
    before = {each: shown_certificate(deployment, each) for each in (*NODES, *SENTINELS)}
    deployment.renew_certificates()
    for service in (*SENTINELS, *(each for each in NODES if each != trial.master)):
        _restart(trial, service)
    # From this machine: no container has the operators' passwords.
    try:
        switch_over(deployment.access())
    except SwitchoverError as error:
        trial.observed.broken.append(f"The switchover was refused or failed: {error}")
    if trial.await_new_master() != trial.master:
        if trouble := topology.await_whole(deployment):
            trial.observed.broken.append(f"After the switchover: {', '.join(trouble)}.")
        _restart(trial, trial.master)
    old = [each for each, certificate in before.items() if shown_certificate(deployment, each) == certificate]
    if old:
        trial.observed.broken.append(f"{', '.join(old)} still show the old certificate.")


def _restart(trial: Trial, service: str) -> None:
    """Restart one, and note what is still not well long after."""
    trial.deployment.container(service).do("restart")
    if trouble := topology.await_whole(trial.deployment):
        trial.observed.broken.append(f"After the restart of {service}: {', '.join(trouble)}.")
