"""What names a database: a path is a path, a URL is a URL."""

from __future__ import annotations

from pathlib import Path

from coldtrail_gateway import urls
from coldtrail_gateway.store.errors import StoreError
from coldtrail_gateway.urls import Url

_SQLITE = "sqlite:"
_SERVERS = {"postgres", "postgresql", "postgresql+psycopg"}


def parse(text: str) -> Path | Url:
    """Return the SQLite file or the PostgreSQL server that a text names.

    What does not begin with ``SCHEME://`` is a path, as it stands. In a URL, ``sqlite:///FILE``
    or ``postgresql://…``, what has a meaning there is written as % and two hexadecimal digits.
    A file whose name is not UTF-8 is named by its path.

    Raises:
        ValueError: it names neither; the message says why and quotes nothing of it.
    """
    if not urls.is_url(text):
        return _file(text)
    if text.startswith(_SQLITE):
        slashes, name = text[len(_SQLITE) :][:3], text[len(_SQLITE) + 3 :]
        if slashes != "///" or "?" in name or "#" in name:
            raise ValueError(
                "an SQLite file is named by its path, or as sqlite:///FILE with % ? # in its name "
                "as %25 %3F %23"
            )
        return _file(urls.decoded(name))
    url = urls.parse(text)
    if url.scheme not in _SERVERS:
        raise ValueError("it is neither SQLite nor PostgreSQL")
    return url


def named(place: str | Path) -> Path | Url:
    """Return what a text or a path names.

    Raises:
        StoreError: it is a text and names no database.
    """
    try:
        return place if isinstance(place, Path) else parse(place)
    except ValueError as error:
        raise unusable(error) from None


def unusable(error: ValueError) -> StoreError:
    """Return the sentence about a text that names no database."""
    return StoreError(
        f"The database cannot be used: {error}. Name it by a path, sqlite:///FILE or "
        "postgresql://USER@HOST/NAME."
    )


def beside(place: Path | Url, word: str) -> Path | Url:
    """Return where a second database lies that belongs to one.

    Beside the file ``gateway.db`` lies ``gateway.WORD.db``; a server holds both.
    """
    if isinstance(place, Path):
        return place.with_name(f"{place.stem}.{word}{place.suffix}")
    return place


def _file(name: str) -> Path:
    if name in ("", ":memory:"):
        raise ValueError("the database must be a file: one in memory keeps nothing")
    if "\0" in name:
        raise ValueError("no file's name has a NUL")
    return Path(name)
