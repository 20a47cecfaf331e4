"""The WSGI app: `flask run`, `flask worker` and `gunicorn wsgi:app` find it here."""

from verifier.startup import make_app

app = make_app()
