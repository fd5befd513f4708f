"""Text from outside, made fit for a line that people read: a terminal, a log, a cell.

A tracker may write what it likes into a name or a reason, also when its block is authentic. A
control character would speak to the reader's terminal, a newline would make a second line that
nobody wrote, and a mark that turns the direction of writing would show one word as another.
"""

from __future__ import annotations

import json
from typing import Final

LONGEST: Final = 1000  # characters of a line


def printable(text: str, longest: int = LONGEST) -> str:
    r"""Return one line in which every character that Unicode calls not printable is escaped.

    These are control and format characters (those of bidirectional text among them), separators
    other than the space, lone surrogates and unassigned characters. They are written as in JSON:
    ESC becomes ``\u001b``. A text of more than `longest` characters is cut and ends in "…". The
    exact text is in the JSON export. A second application changes nothing, so every place of
    output may apply the function.
    """
    line = text if text.isprintable() else "".join(map(_visible, text))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _visible(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]
