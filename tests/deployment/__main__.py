"""Start compose.yaml in a container engine, break it on purpose, under load, and judge what it did to the mails.

    python -m tests.deployment [--rows kill,pause] [--rate 40] [--tls] [--json FILE] [--markdown FILE]

Ends with 1 when a promise was broken, with 2 when it could not be tried. It takes root and Linux. Everything that
it started is gone afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.deployment import report
from tests.deployment.bootstrap import NoEngine, find_or_make_engine
from tests.deployment.deployment import Deployment, NotReady
from tests.deployment.engine import EngineError
from tests.deployment.judging import Result, must_not_be_repeated
from tests.deployment.rows import ROWS
from tests.deployment.trial import Row, run_row
from verifier.drill.rig.loop_thread import loop_in_a_thread

LOG_LINES = 25


def main() -> None:
    """Read the options, run, print, and end with what came of it."""
    options = _options()
    # An ordinary end, so that whatever was started is taken down too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    began = time.monotonic()
    try:
        engine = find_or_make_engine()
    except NoEngine as error:
        print(f"The deployment was not tried: {error}")
        sys.exit(0 if options.optional else 2)
    results: list[Result] = []
    try:
        with Deployment(engine, tls=options.tls) as deployment, loop_in_a_thread() as loop:
            ready_s = deployment.await_ready()
            _say(
                f"With {engine.command}; ready {ready_s:.0f} s after it was up. {options.rate:g} submissions a second."
            )
            _say(report.heading())
            results.extend(_result(deployment, loop, ROWS[name], options.rate) for name in options.rows)
    except (EngineError, NotReady, LookupError) as error:
        sys.exit(f"The deployment test stopped: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    if options.json:
        options.json.write_text(report.as_json(engine.command, options.rate, results))
    if options.markdown:
        options.markdown.write_text(report.as_markdown(results) + "\n")
    broken = sum(not each.ok for each in results)
    _say(f"{len(results) - broken} rows kept, {broken} broken; {time.monotonic() - began:.0f} s.")
    sys.exit(1 if broken else 0)


def _result(deployment: Deployment, loop: asyncio.AbstractEventLoop, row: Row, rate: float) -> Result:
    """Run a row, once more where the machine stood still meanwhile; print it."""
    result, stalls = run_row(deployment, loop, row, rate)
    if not result.ok and stalls and not must_not_be_repeated(result):
        _show(result)
        why = f"repeated once, since the machine stood still: {', '.join(stalls)}"
        result, stalls = run_row(deployment, loop, row, rate)
        result = replace(result, remarks=(*result.remarks, why))
    _show(result)
    if not result.ok:
        for container in deployment.containers():
            _say(f"--- the end of the log of {container.service}\n{container.log(LOG_LINES)}")
    return result


def _show(result: Result) -> None:
    for line in report.lines(result):
        _say(line)


def _say(line: str) -> None:
    print(line, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.deployment", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--rows", type=_rows, default=list(ROWS), help="names, separated by commas; all by default"
    )
    parser.add_argument("--rate", type=float, default=40.0, help="submissions a second")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--markdown", type=Path, help="write the table there")
    parser.add_argument("--optional", action="store_true", help="end well where no engine is to be had")
    parser.add_argument("--tls", action="store_true", help="have TLS on in all rows")
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    options = parser.parse_args()
    if options.list:
        for row in ROWS.values():
            print(f"{row.name:14} {row.story}")
        sys.exit(0)
    return options


def _rows(text: str) -> list[str]:
    names = [name for name in text.split(",") if name] or list(ROWS)
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(ROWS)}")
    return names


if __name__ == "__main__":
    main()
