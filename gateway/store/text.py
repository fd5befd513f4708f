"""Text columns take every text, also what a tracker sends to break one.

PostgreSQL's text has no NUL, UTF-8 has no lone surrogates, and SQLite's own functions end at a
NUL. Each of these is stored as DLE (U+0010, *data link escape*) and its number in four hexadecimal
digits, and so is DLE itself; everything else stands as it is. Both databases hold the same.
"""

from __future__ import annotations

import re
from typing import Any, Final

import sqlalchemy as sa

from coldtrail_gateway.store.errors import StoreError

_DLE: Final = "\x10"
_ESCAPED: Final = re.compile("[\x00\x10\ud800-\udfff]")
_ESCAPE: Final = re.compile("\x10([0-9a-f]{4})")


def escape(text: str) -> str:
    """Return a text as both databases can hold it; `unescape` gives it back."""
    return _ESCAPED.sub(lambda match: f"{_DLE}{ord(match[0]):04x}", text)


def unescape(stored: str) -> str:
    """Return the text that was escaped."""
    if _DLE not in stored:
        return stored
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), stored)


class _Escaped(sa.types.TypeDecorator[str]):
    impl: type[sa.String] = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Any) -> str | None:
        """Escape on the way in."""
        return None if value is None else escape(value)

    def process_result_value(self, value: str | None, _dialect: Any) -> str | None:
        """Unescape on the way out.

        Raises:
            StoreError: it is no text; SQLite keeps in a column whatever somebody puts there.
        """
        if value is None:
            return None
        if not isinstance(value, str):
            raise StoreError(
                "The database holds something else where a text should be: somebody changed it by "
                "hand. See what else was changed with coldtrail gateway audit verify, and restore "
                "it from a copy."
            )
        return unescape(value)


class AnyText(_Escaped):
    """A column of text of any length."""

    cache_ok = True


class AnyString(_Escaped):
    """A column of text of so many characters, as they are stored."""

    impl = sa.String
    cache_ok = True
