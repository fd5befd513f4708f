"""The log of a process: lines on standard error."""

from __future__ import annotations

import logging
import sys
from typing import Any

from coldtrail_gateway.contract.printable import printable


class Lines(logging.Formatter):
    """One record is one line; only a traceback, which names code, follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the traceback."""
        return "\n".join(map(printable, super().formatException(ei).split("\n")))


def to_stderr() -> None:
    """Write the log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
