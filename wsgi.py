"""The WSGI app: `flask run`, `flask worker` and `gunicorn wsgi:app` find it here."""

import sys

try:
    from verifier.startup import make_app
except ModuleNotFoundError as missing:
    if str(missing.name).partition(".")[0] in {"verifier", "workers", "sentinel"}:
        raise
    print(
        f"Verifier can't start:\nThis Python ({sys.executable}) lacks {missing.name}: run `make install` in the checkout, then "
        "`. .venv/bin/activate`; or `make run`, which does both.",
        file=sys.stderr,
    )
    raise SystemExit(3) from None

app = make_app()
