"""Names by which people, programs and organisations are told apart, also by the eye.

A sign-in name is ASCII, so that no letter of another script can pose as one of its own. What in
ASCII looks alike (``anna1`` and ``annal``) counts as one name: `skeleton` is the same, and the
second of the two is refused. The name that is shown, which stands on signatures, may be of any
script but mixes no two that look alike, as Unicode TS 39 asks; it is always shown with the
sign-in name beside it, because two people may well have one name.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from coldtrail_gateway.errors import GatewayError

LONGEST: Final = 32  # characters of a sign-in name
LONGEST_SHOWN: Final = 80
_GIVEN: Final = 4 * LONGEST_SHOWN  # beyond that nothing is even looked at
_NAME: Final = re.compile(rf"[a-z0-9](?:[a-z0-9._-]{{0,{LONGEST - 2}}}[a-z0-9])?")
_ALIKE: Final = (("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"), ("i", "l"), ("5", "s"))
# The scripts that have letters which look like another's.
_CONFUSABLE: Final = frozenset("LATIN CYRILLIC GREEK ARMENIAN CHEROKEE COPTIC LISU".split())


class NameRefused(GatewayError):
    """A name that is not taken; the message says which are."""


def folded(text: str) -> str | None:
    """Return the sign-in name that somebody has typed; None where it can be nobody's.

    Wide and other compatibility forms of a letter are that letter (NFKC), and capitals are small.
    """
    if len(text) > _GIVEN:
        return None
    name = unicodedata.normalize("NFKC", text).strip().casefold()
    return name if _NAME.fullmatch(name) else None


def sign_in_name(text: str) -> str:
    """Return a sign-in name, or an organisation's name, to be kept.

    Raises:
        NameRefused: it is none.
    """
    name = folded(text)
    if name is None:
        raise NameRefused(
            f"A name has 1 to {LONGEST} letters a to z, digits, dots, hyphens and underscores, "
            "and begins and ends with a letter or a digit."
        )
    return name


def skeleton(name: str) -> str:
    """Return what is the same for two sign-in names that look alike."""
    for seen, means in _ALIKE:
        name = name.replace(seen, means)
    return re.sub("[._-]", "", name)


def shown_name(text: str) -> str:
    """Return a name as it is shown and printed on signatures.

    Raises:
        NameRefused: it is empty or too long, has what cannot be printed, or mixes scripts in a
            word.
    """
    name = " ".join(unicodedata.normalize("NFC", text[: _GIVEN + 1]).split())
    if not 1 <= len(name) <= LONGEST_SHOWN or not name.isprintable():
        raise NameRefused(f"A shown name has 1 to {LONGEST_SHOWN} printable characters.")
    if not any(character.isalpha() for character in name):
        raise NameRefused("A shown name has at least one letter.")
    for word in name.split():
        if len(_scripts(word)) > 1:
            raise NameRefused(
                "A word of a shown name is of one script: letters of another that look alike "
                "would make it somebody else's name."
            )
    return name


def _scripts(word: str) -> frozenset[str]:
    letters = (unicodedata.name(one, "").partition(" ")[0] for one in word if one.isalpha())
    return _CONFUSABLE.intersection(letters)
