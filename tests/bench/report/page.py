"""docs/benchmarks.md: what was measured, on what, and which goals are met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.bench import footprint
from tests.bench.growth import Growth
from tests.bench.master_load import BUSIEST_HOUR, SHARE_OF_A_CORE, MasterLoad
from tests.bench.report.goals import goals
from tests.bench.report.plots import plots
from tests.bench.results import Results
from tests.bench.throughput import Relay
from verifier.drill.rig.systems import PROJECT

PAGE = PROJECT / "docs" / "benchmarks.md"
PLOTS = PROJECT / "docs" / "benchmarks"

BUSY_LOAD = 0.7

INTRODUCTION = """\
# Benchmarks

`make bench` measures all of this in one run and writes this page. Read the ratios: the absolute numbers belong to
the machine below, and yours gives others.

Everybody runs on the same machine, one after the other, with the same relay and mails of the same size: a text and
an HTML part. Redis is one embedded topology of three Redis and three Sentinels, with the settings of a deployment
(AOF every second, `min-replicas-to-write 1`, users), and everybody reaches it through Sentinel: we by our own link,
RQ and Dramatiq by redis-py's Sentinel client, Celery by its Sentinel transport. We run with our guarantees on: each
verification is accepted in one atomic step, each claim and settlement is acknowledged by a replica (`WAIT 1`). The
peers run with their defaults, time limits on their sockets aside, and none of that; they send through Flask-Mail in an app context, a connection a mail,
as its documentation shows. Most of their time goes into building each mail, which we do once; so Celery also runs
with a mail that is finished beforehand and only handed over, and it is this that we compare with. The relay is postfix's `smtp-sink`, which discards what it gets and counts.
All the load comes from one client, so limits are off (`VERIFIER_RATE_LIMITS_ENABLED=false`), but where requests are accepted:
there each is counted, and none is reached."""


def write_report(results: Results) -> None:
    """Write the page and its plots."""
    PLOTS.mkdir(exist_ok=True)
    for name, svg in plots(results).items():
        (PLOTS / name).write_text(svg)
    PAGE.write_text(page(results))


def page(results: Results) -> str:
    """Return the page."""
    parts = [INTRODUCTION, _goals(results), _machine(results)]
    if results.throughput:
        parts.append("## Mails a second\n\n![Mails a second, as bars](benchmarks/throughput.svg)")
        parts += [_relay(relay) for relay in results.throughput]
    if results.latency or results.accepting:
        parts.append(_web(results))
    if results.growth:
        parts.append(_growth(results.growth))
    if results.master_load:
        parts.append(_master_load(results.master_load))
    if results.footprint:
        parts.append(_footprint(results.footprint))
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first column is text, the others are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _goals(results: Results) -> str:
    judged = goals(results)
    met = sum(goal.met for goal in judged)
    rows = [[goal.goal, goal.measured, "met" if goal.met else "**not met**"] for goal in judged]
    head = "| goal | measured | |\n|---|---|---|\n"
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"## The goals\n\n{met} of {len(judged)} are met in this run.\n\n{head}{lines}"


def _machine(results: Results) -> str:
    machine = results.machine
    hardware = f"{machine.cores} cores of {machine.processor}, {machine.memory_gb:.0f} GB"
    lines = [
        f"{machine.date}; {hardware}; {machine.kernel}; load average before the run {machine.load_before:.2f}.",
        f"Redis {machine.redis}, Python {machine.python}, {_versions(machine.ours)}.",
    ]
    if machine.peers:
        lines.append(f"Peers: {_versions(machine.peers)}.")
    if results.size != "full":
        lines.append(f"\nThis was a {results.size} run: short, and worth no more than a first look.")
    if machine.load_before > BUSY_LOAD:
        lines.append(
            "\nThe machine was busy with other things before the run began, so the numbers are noisy."
        )
    return "## The machine\n\n" + "\n".join(lines)


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _relay(relay: Relay) -> str:
    celery = relay.fastest("celery")
    rows = [
        [
            f"{each.name} (`{each.setup}`)",
            f"{each.rate:,.0f}",
            f"{each.rate / celery.rate:.2f}" if celery else "",
            f"{each.cpu_us_a_mail:,.0f}",
            str(each.processes),
            f"{each.peak_mb:.0f}",
            f"{each.pss_mb:.0f}",
        ]
        for each in relay.results
    ]
    head = (
        *("worker", "mails/s", "x the fastest Celery", "processor us a mail", "processes"),
        *("largest process, MB at its peak", "all, MB (PSS)"),
    )
    parts = [f"### A relay that answers after {relay.delay_ms} ms\n", table(head, rows), *_relay_notes(relay)]
    return "\n".join(parts)


def _relay_notes(relay: Relay) -> Iterator[str]:
    yield f"\nThe relay took {relay.measured_reply_ms:.2f} ms to answer a NOOP."
    if relay.source_rate:
        ours = {each.key: each for each in relay.results}["verifier"]
        yield (
            f"postfix's `smtp-source` with one persistent session, which does nothing but send, handed over "
            f"{relay.source_rate:,.0f} mails/s: we reach {ours.rate / relay.source_rate:.2f} of that limit."
        )
        if len(ours.rates) > 1:
            spans = "; ".join(
                f"{each.name} {min(each.rates):,.0f} to {max(each.rates):,.0f}" for each in relay.results
            )
            yield f"The median of {len(ours.rates)} rounds; from the slowest to the fastest: {spans}."


def _web(results: Results) -> str:
    parts = ["## The way in\n\n![Latency and requests a second, as bars](benchmarks/web.svg)\n"]
    if results.latency:
        rows = [
            [each.name, f"{each.p50_ms:.1f}", f"{each.p99_ms:.1f}", f"{each.worst_ms:.1f}", str(each.mails)]
            for each in results.latency
        ]
        parts.append("From the POST to the mail's final dot at the relay, 20 requests a second:\n")
        parts.append(table(("", "p50, ms", "p99, ms", "worst, ms", "mails"), rows))
    if results.accepting:
        rows = [
            [each.name, f"{each.rate:,.0f}", f"{each.p50_ms:.1f}", f"{each.p99_ms:.1f}", str(each.refused)]
            for each in results.accepting
        ]
        parts.append(
            "\n`POST /v1/verifications` under gunicorn with 2 workers of 16 threads, 32 clients, the middle of the rounds, "
            "which went in turns. We run with our gunicorn.conf.py, the bare view with as many workers and threads of gunicorn's "
            "own kind; it waits for no replica, counts nothing and logs nothing:\n"
        )
        parts.append(table(("", "requests/s", "p50, ms", "p99, ms", "refused"), rows))
    return "\n".join(parts)


def _growth(found: Growth) -> str:
    rows = [[f"{mails:,}", f"{rate:,.0f}"] for mails, rate in found.rates.items()]
    head = "## A full queue\n\n![Mails a second by the length of the queue, as bars](benchmarks/growth.svg)\n"
    memory = (
        f"\nA waiting verification takes {found.bytes_a_pending:,.0f} bytes of Redis memory with its job, one whose "
        f"mail was sent {found.bytes_a_sent:,.0f}. Once all of them have expired, "
        f"{found.bytes_left_after_expiry:.1f} bytes of each are left; where a mail could never be sent, "
        f"{found.bytes_left_unsent:.0f} bytes stay for a while as its dead letter."
    )
    return "\n".join([head, table(("mails queued", "mails/s"), rows), memory])


def _master_load(found: MasterLoad) -> str:
    rows = [
        [
            step.name,
            f"{step.cpu_us:,.0f}",
            f"{step.commands:.1f}",
            ", ".join(f"{name} {spent:.0f}" for name, spent in step.slowest_commands.items()),
        ]
        for step in found.steps
    ]
    rows.append(["**a verification**", f"**{found.cpu_us:,.0f}**", "", ""])
    head = ("step", "the master's processor us", "commands", "us inside of the most expensive commands")
    carries = (
        f"\nMeasured over {found.verifications:,} verifications, as the difference of what the master says of itself "
        f"(INFO cpu and commandstats), less what it costs when nobody submits ({found.idle_cpu_us_a_second / 1e4:.1f} % "
        f"of a core). A master that may be busy for {100 * SHARE_OF_A_CORE:.0f} % of a core of this machine carries "
        f"{found.a_second:,.0f} verifications a second: {found.a_day / 1e6:,.1f} million a day where the busiest hour "
        f"has {BUSIEST_HOUR:g} times the average."
    )
    return f"## What one master carries\n\n{table(head, rows)}\n{carries}"


def _footprint(found: footprint.Footprint) -> str:
    return f"## The whole service\n\n`flask run` after {found.verifications:,} verifications:\n\n{footprint.table(found)}"
