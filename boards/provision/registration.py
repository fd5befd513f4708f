"""Registers trackers at the gateway, through the gateway's own command."""

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
    """Write a registration file for `coldtrail gateway register`; it contains keys.

    Raises:
        BoardError: the file exists already or cannot be written.
    """
    files.write(path, json.dumps(document, indent=2).encode() + b"\n")


def register(document: dict[str, Any]) -> None:
    """Register at the gateway of this machine, in the database of $COLDTRAIL_DB or the default.

    Raises:
        BoardError: the gateway refuses; the message gives its reason.
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
