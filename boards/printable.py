"""What a tracker says, made fit for a terminal. The gateway has its own, as it imports nothing."""

from __future__ import annotations

import json


def printable(text: str) -> str:
    r"""Return a line in which whatever is no printable character is written as in JSON.

    ESC becomes ``\u001b``: an answer in JSON stays JSON, and no tracker moves the cursor.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def lines(text: str) -> str:
    """Return a text of several lines, each made printable."""
    return "\n".join(map(printable, text.split("\n")))
