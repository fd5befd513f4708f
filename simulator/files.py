"""Reads text files that people wrote, in any usual encoding."""

from __future__ import annotations

from pathlib import Path


def read_text(path: Path) -> str:
    """Read UTF-8, with or without a byte order mark; line ends become line feeds.

    Raises:
        OSError: the file cannot be read.
        ValueError: the encoding is UTF-16 or another one; the message says so.
    """
    data = path.read_bytes()
    if b"\0" in data:
        raise ValueError("it is UTF-16 or no text at all; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8; save it as UTF-8") from None
    return text.replace("\r\n", "\n")
