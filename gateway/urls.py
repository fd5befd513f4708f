"""Takes a URL that may hold a password apart, and says what is wrong without printing it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_NO_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_ESCAPES: Final = "write / ? # @ : in a user name or password as %2F %3F %23 %40 %3A"


@dataclass(frozen=True, slots=True)
class Url:
    """The decoded parts of a URL; as text it has neither password nor query.

    `path` is as written but decoded, with its leading slash; `query` is as written.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    username: str | None
    password: str | None = field(repr=False)
    query: str = field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.username}@" if self.username else ""
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{user}{host}{port}{self.path}"


def is_url(text: str) -> bool:
    """Tell a URL from a path: it begins with ``SCHEME://``."""
    return _SCHEME.match(text) is not None


def parse(text: str) -> Url:
    """Return the parts of ``SCHEME://[USER[:PASSWORD]@][HOST[:PORT]][/PATH][?QUERY]``.

    Raises:
        ValueError: it is none; the message says why and quotes nothing of it. A % that is no
            escape is refused, because nobody can tell what it stands for. Where a password
            holds a character that ends it too early, the rest of it would pass for a port, a
            path or a query, and be printed as such; so an @ or # beyond the host is refused.
    """
    decoded(text)
    try:
        parts = urlsplit(text)
        # As it is written: a folder of sockets may have capital letters, and is a host here, too.
        at = parts.netloc.rpartition("@")[2]
        lower = parts.hostname or ""
        host, port = at[at.lower().index(lower) :][: len(lower)], parts.port
    except ValueError:
        raise ValueError(f"its host or port (0 to 65535) cannot be read; {_ESCAPES}") from None
    if "#" in text or "@" in parts.path + parts.query or parts.netloc.count("@") > 1:
        raise ValueError(f"it has an @ or # where none may be; {_ESCAPES}")
    return Url(
        scheme=parts.scheme,
        host=unquote(host),
        port=port,
        path=unquote(parts.path),
        username=_decoded(parts.username),
        password=_decoded(parts.password),
        query=parts.query,
    )


def decoded(text: str) -> str:
    """Return what a part of a URL says: %25 is %.

    Raises:
        ValueError: it has a % that is no escape, or escapes of bytes that are no text.
    """
    try:
        if not _NO_ESCAPE.search(text):
            return unquote(text, errors="strict")
    except UnicodeDecodeError:
        pass
    raise ValueError("it has a % that begins no escape of a character: write % itself as %25")


def _decoded(part: str | None) -> str | None:
    return unquote(part) if part else None
