"""Take the pictures of README: `python -m tests.pictures`; with `--all DIRECTORY`, of every page and state."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM_ARGUMENTS, CHROMIUM_NAMES
from tests.pictures import readme, states
from tests.pictures.service import running_service
from verifier.drill.rig.systems import PROJECT

FOLDER = PROJECT / "docs" / "pictures"
# Of one picture, and of all: a repository is cloned by everybody.
MOST_BYTES, MOST_BYTES_IN_ALL = 80_000, 400_000


def main() -> None:
    """Take them, print how large each is; the exit code is 1 where one is too large, 2 without Chromium."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--all", type=Path, metavar="DIRECTORY", help="every page and state, into this directory"
    )
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="DIRECTORY", help="README's, elsewhere")
    options = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if chromium is None:
        print(
            "No Chromium on the PATH, so there are no pictures (Debian: apt install chromium).",
            file=sys.stderr,
        )
        sys.exit(2)
    into = options.all or options.into
    into.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        if options.all:
            made = states.take(browser, into)
        else:
            with running_service() as service:
                made = readme.take(browser, service, into)
            for path in made:
                make_small(path)
        browser.close()
    for path in made:
        print(f"{path.stat().st_size:7,} bytes  {path}")
    sizes = [path.stat().st_size for path in made]
    sys.exit(not options.all and (max(sizes) > MOST_BYTES or sum(sizes) > MOST_BYTES_IN_ALL))


def make_small(path: Path) -> None:
    """Leave a picture 256 colours, which flat pages do with."""
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


if __name__ == "__main__":
    main()
