"""Run the benchmarks: `python -m tests.bench [--size quick] [--only latency,growth] [--write]`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.bench.accepting import measure_accepting
from tests.bench.footprint import measure_footprint
from tests.bench.growth import measure_growth
from tests.bench.latency import measure_latency
from tests.bench.machine import describe_machine
from tests.bench.master_load import measure_master_load
from tests.bench.report import page
from tests.bench.report.goals import goals
from tests.bench.results import Results
from tests.bench.sizes import FULL, QUICK, TINY, Sizes
from tests.bench.testbed import PEERS_PYTHON, BenchTestbed, report_progress, running_testbed
from tests.bench.throughput import measure_throughput
from verifier.drill.rig.process import RigError

SIZES = {"full": FULL, "quick": QUICK, "tiny": TINY}
BENCHES: dict[str, Callable[[BenchTestbed, Sizes], object]] = {
    "throughput": measure_throughput,
    "latency": measure_latency,
    "accepting": measure_accepting,
    "growth": measure_growth,
    "master_load": measure_master_load,
    "footprint": lambda _testbed, sizes: measure_footprint(sizes),
}


def run(names: list[str], size: str, peers_python: Path | None) -> Results:
    """Run the named benches on one topology."""
    with running_testbed(peers_python) as testbed:
        results = Results(describe_machine(testbed), size)
        if testbed.peers_python is None:
            report_progress("No virtualenv with the peers found, so only we are measured: run `make bench`.")
        for name in names:
            report_progress(f"-- {name}")
            setattr(results, name, BENCHES[name](testbed, SIZES[size]))
    return results


def main() -> None:
    """Run, print the page, and write what was asked for."""
    options = _options()
    began = time.monotonic()
    try:
        results = run(options.only, options.size, options.peers)
    except RigError as error:
        sys.exit(f"The benchmark stopped: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    print(page.page(results))
    report_progress(
        f"{sum(not goal.met for goal in goals(results))} goals are not met; {time.monotonic() - began:.0f} s."
    )
    if options.json:
        options.json.write_text(json.dumps(asdict(results), indent=1) + "\n")
    if options.write:
        page.write_report(results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure Verifier beside its peers."
    )
    parser.add_argument("--size", choices=SIZES, default="full", help="full takes about a quarter of an hour")
    parser.add_argument("--only", type=_names, default=list(BENCHES), help=f"some of {','.join(BENCHES)}")
    parser.add_argument(
        "--peers", type=Path, default=PEERS_PYTHON, help="the Python of the peers' virtualenv"
    )
    parser.add_argument("--json", type=Path, help="write everything that was measured there")
    parser.add_argument("--write", action="store_true", help=f"write {page.PAGE.name} and its plots")
    options = parser.parse_args()
    if options.write and (set(options.only) != set(BENCHES) or not options.peers.exists()):
        parser.error("--write is for a whole run with the peers: leave --only out, and run `make bench`.")
    return options


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := set(names) - BENCHES.keys():
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    main()
