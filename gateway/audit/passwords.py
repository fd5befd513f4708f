"""Passwords: which are taken, and how they are kept.

Rules of NIST SP 800-63B-4: length, no rules of composition, no change without a reason, and none
that is common, expected or known from a breach. The length is the 15 characters that a password
needs which stands alone, also beside a second factor: otherwise a password would become too short
at the moment when the second factor is taken off.

A list of all breached passwords does not fit a machine without a network: tens of gigabytes.
zxcvbn ships the 30,000 most frequent ones and words and names, and finds them also repeated,
joined, reversed, on rows of keys and with digits for letters: at 15 characters that says more
than a list of whole passwords, in which hardly any is so long.

Kept is Argon2id by RFC 9106's second recommended option (3 passes, 64 MiB, 4 lanes), which is
above OWASP's minimum. A hash of other parameters is replaced at the next sign-in.
"""

from __future__ import annotations

import importlib
import threading
import unicodedata
from typing import Any, Final

import argon2
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from coldtrail_gateway.errors import GatewayError

SHORTEST: Final = 15
LONGEST: Final = 256
_BESIDE_A_NAME: Final = 8  # characters that are not of the owner's names
_JUDGED: Final = 72  # characters that zxcvbn takes
_GOOD: Final = 3  # of zxcvbn's 0 to 4: more than 10^8 guesses
_EXPECTED: Final = ("coldtrail", "coldchain", "tracker", "gateway", "shipment", "pharma")

HASHER: Final = argon2.PasswordHasher.from_parameters(argon2.profiles.RFC_9106_LOW_MEMORY)
# Of a random password that nobody has kept, with the parameters above.
NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$aCZT+yoS8"
    "oW8Vnwv3MOmwg$HmP5usFPjyPGVKeVZbXIyEMq+CRhgsZ9qd7Q++2T5I8"
)
# Each verification takes 64 MiB: many at once would take all memory.
_FEW: Final = threading.BoundedSemaphore(4)


class PasswordRefused(GatewayError):
    """A password that is not taken; the message says why, and never what it was."""


def make(password: str, *known: str) -> str:
    """Return what is kept of a new password; `known` are its owner's names.

    Raises:
        PasswordRefused: it is too short or too long, or one that others would guess.
    """
    password = _checked(password)
    words = {part.casefold() for name in known for part in (name, *name.split())}
    rest = password.casefold()
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, "")
    if len(rest) < _BESIDE_A_NAME:
        raise PasswordRefused("The password is little more than a name: take another.")
    # Its lists of words take their time to load, and few commands need them.
    judged: dict[str, Any] = importlib.import_module("zxcvbn").zxcvbn(
        password[:_JUDGED], user_inputs=[*words, *_EXPECTED]
    )
    if judged["score"] < _GOOD:
        raise PasswordRefused(
            "The password is common or follows a pattern that is tried first: take four or more "
            "words that do not belong together, or let a password manager make one."
        )
    return HASHER.hash(password)


def matches(stored: str | None, password: str) -> bool:
    """Tell whether a password is the one that was kept; None for a person who has none.

    Each call does the work of one verification, so that its time does not tell who exists.
    """
    given = _normal(password)
    usable = stored is not None and given is not None
    try:
        with _FEW:
            HASHER.verify(stored if usable and stored else NOBODY, given or "")
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False
    return usable


def is_outdated(stored: str) -> bool:
    """Tell whether a hash was made with other parameters than today's."""
    return HASHER.check_needs_rehash(stored)


def again(password: str) -> str:
    """Return what is kept of a password that has just matched, by today's parameters."""
    return HASHER.hash(_normal(password) or "")


def _checked(password: str) -> str:
    given = _normal(password)
    if given is None:
        raise PasswordRefused(f"A password is text of at most {LONGEST} characters.")
    if len(given) < SHORTEST:
        raise PasswordRefused(
            f"A password has at least {SHORTEST} characters; spaces and whole sentences are fine."
        )
    return given


def _normal(password: str) -> str | None:
    """Return one form for what different keyboards send for one text.

    None for what is too long, and for a lone surrogate, which no keyboard sends.
    """
    if len(password) > LONGEST:
        return None
    normal = unicodedata.normalize("NFKC", password)
    try:
        normal.encode()
    except UnicodeEncodeError:
        return None
    return normal if len(normal) <= LONGEST else None
