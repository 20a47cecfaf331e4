"""The relay that a deployment under test sends to: one more service, and the file of what it got."""

from __future__ import annotations

import json
from pathlib import Path

from verifier.drill.rig.mail_sink import RecordedMail

NAME = "relay"
PORT = 2525
COMPOSE_FILE = f"""\
services:
  {NAME}:
    image: ${{APP_IMAGE}}
    command: [python, -m, tests.deployment.relay_program, "{PORT}", /mails/mails.jsonl]
    restart: unless-stopped
    volumes:
      - ./tests:/app/tests:ro
      - ./verifier:/app/verifier:ro
      - ./sentinel:/app/sentinel:ro
      - ./mails:/mails
    networks:
      - outside
"""


class MailFile:
    """Reads what the relay wrote down, as far as it has."""

    def __init__(self, path: Path) -> None:
        """Read from the file's beginning; it may not exist yet."""
        self._path = path
        self._position = 0
        self._mails: list[RecordedMail] = []

    def mails(self) -> list[RecordedMail]:
        """Return all mails that came so far; the list grows."""
        if self._path.exists():
            with self._path.open("rb") as notes:
                notes.seek(self._position)
                for line in notes:
                    if not line.endswith(b"\n"):
                        break
                    self._position += len(line)
                    self._mails.append(RecordedMail(**json.loads(line)))
        return self._mails
