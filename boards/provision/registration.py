"""Hands trackers to the gateway: by its own command, which alone knows its database."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from coldtrail_boards import files
from coldtrail_boards.errors import BoardError

_LIMIT_S = 60


def write(path: Path, document: dict[str, Any]) -> None:
    """Write a file that `coldtrail gateway register` takes; it holds keys.

    Raises:
        BoardError: it is there already or cannot be written.
    """
    files.write(path, json.dumps(document, indent=2).encode() + b"\n")


def register(document: dict[str, Any]) -> None:
    """Register at this machine's gateway: the database is that of $COLDTRAIL_DB or its default.

    Raises:
        BoardError: the gateway refuses; it says why.
    """
    with tempfile.TemporaryDirectory(prefix="coldtrail-") as work:
        path = Path(work, "registration.json")
        write(path, document)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "coldtrail_boards", "gateway", "register", str(path)],
                capture_output=True, text=True, timeout=_LIMIT_S, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise BoardError(
                f"The gateway has not registered it within {_LIMIT_S} s: see whether its database "
                "answers, then run this again."
            ) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().removeprefix("Error: ")
        raise BoardError(
            f"The gateway has not registered it: {said.replace(str(path), 'the file')}"
        )
