"""Writes text from outside into files: as JSON, and as a cell of a CSV file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from coldtrail_gateway.contract.printable import printable

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
# What makes a spreadsheet take a cell for a formula, also in the wide forms of East Asia.
_FORMULA: Final = tuple("=+-@＝＋－＠")


def to_json(
    document: object, *, indent: int | None = None, default: Callable[[Any], Any] | None = None
) -> str:
    """Return a document as JSON, without a newline at its end.

    A reader gets every text back exactly. Printable characters stand for themselves; others are
    escaped, so that the file does no harm on a terminal. A lone surrogate, which UTF-8 cannot
    encode, is escaped as well.
    """
    text = json.dumps(document, indent=indent, ensure_ascii=False, default=default)
    # Outside of strings there are printable characters and these newlines alone.
    return "\n".join(printable(line, len(line) * 12) for line in text.split("\n"))


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Return a header and one line for each row; None is an empty cell.

    Numbers stay as they are. Text becomes a cell that no spreadsheet takes for a formula.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {name: _cell(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        )
    return text.getvalue()


def _cell(text: str) -> str:
    """Return a text for a cell.

    A file from quality's archive is opened in a spreadsheet, which would carry out a shipment's
    name such as ``=HYPERLINK(…)``. The apostrophe before it is what spreadsheets take for "this is
    text". Where the decimal point is a comma they divide at a semicolon, quoted or not, and begin
    another cell behind it; so it is escaped. The JSON has the exact text.
    """
    if _NUMBER.fullmatch(text):
        return text
    line = printable(text).replace(";", "\\u003b")
    return f"'{line}" if line.startswith(_FORMULA) else line
