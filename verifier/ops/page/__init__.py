"""The operators' page, /ops: what goes on, drawn, live, and still there when Redis is away.

views        the addresses: login, page, state, dead letters
sessions     who is logged in: a cookie of its own
passwords    judging a typed password, with its limits
watch        looks in a thread while somebody is there, and keeps what it saw last
looks        what is looked at: nodes and sentinels, a write, the service
board         the parts of one process, and what they saw, rendered once for everybody
verdict      what all of it comes to: a tone, a headline, what is wrong
drawing      where nodes and sentinels stand in the picture
charts       the last two hours as small pictures
wording      times and figures in few words

A person's request for the form or the API never waits for any of this.
"""

from __future__ import annotations

from flask import Flask

from verifier.container import container_of
from verifier.ops.page import board, views, wording


def init_app(app: Flask) -> None:
    """Serve the page where a password is set; where none is, its addresses are unknown ones."""
    if container_of(app).settings.ops_password:
        board.init_app(app)
        app.jinja_env.globals["ops_words"] = wording
        app.register_blueprint(views.blueprint)
