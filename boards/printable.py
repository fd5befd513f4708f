"""Makes text from a tracker safe for a terminal.

The gateway has a module of the same purpose, because gateway and boards do not import each other.
"""

from __future__ import annotations

import json


def printable(text: str) -> str:
    r"""Return a line with every unprintable character escaped as in JSON.

    ESC becomes ``\u001b``. JSON stays valid JSON, and a tracker cannot move the cursor.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def lines(text: str) -> str:
    """Return a text of several lines, each made printable."""
    return "\n".join(map(printable, text.split("\n")))
