"""The packing log: one CSV line for every tracker, flashed or failed."""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from coldtrail_boards.errors import BoardError


@dataclass
class Entry:
    """The outcome of one tracker; `chip` is its serial number, which is the chip's MAC."""

    time: str = ""
    port: str = ""
    chip: str = ""
    tracker: str = ""
    board: str = ""
    interpreter: str = ""
    program: str = ""
    action: str = ""
    result: str = ""
    detail: str = ""

    @property
    def label(self) -> str:
        """One line to print as a label."""
        tracker = self.tracker or "not provisioned"
        return f"{tracker} | {self.chip} | {self.board} | {self.program} | {self.time[:10]}"


COLUMNS = tuple(field.name for field in fields(Entry))


def default_path() -> Path:
    """Return the path that is used when none is given."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "coldtrail" / "packing.csv"


def append(path: Path, entry: Entry) -> None:
    """Append a line with the current time, and write it to the disk.

    Raises:
        BoardError: the file cannot be written.
    """
    entry.time = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", newline="") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = io.StringIO()
            writer = csv.DictWriter(text, COLUMNS)
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(asdict(entry))
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unusable(path, error) from error


def chips_of(path: Path, tracker: str) -> set[str]:
    """Return the serial numbers of the chips that received this tracker's identity."""
    return {
        entry.chip
        for entry in _entries(path)
        if entry.tracker == tracker and entry.result == "ok" and entry.chip
    }


def _entries(path: Path) -> Iterator[Entry]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                yield Entry(**{name: row.get(name) or "" for name in COLUMNS})
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(path, error) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BoardError(
            f"The packing log {path} is not CSV in UTF-8: save it as that, or name another "
            "with --log."
        ) from error


def _unusable(path: Path, error: OSError) -> BoardError:
    return BoardError(f"The packing log {path}: {error.strerror}; name another with --log.")
