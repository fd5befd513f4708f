"""The second factor: codes by time (TOTP, RFC 6238), and recovery codes for a lost device.

The secret of a device has to be known to check its codes, so that a digest will not do. It is
kept sealed under a key in a file of its own: who steals the database alone can make no code.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from coldtrail_gateway import keyfiles
from coldtrail_gateway.audit import secret_text
from coldtrail_gateway.errors import GatewayError

STEP_MS: Final = 30_000
RECOVERY_CODES: Final = 10
_RECOVERY_BYTES: Final = 10
_AROUND: Final = (0, -1, 1)  # steps by which a device's clock may differ
_DIGITS: Final = 6
_KEY_SIZE: Final = 32
_NONCE_SIZE: Final = 12


class KeyFileError(GatewayError):
    """The file with the key that seals second factors cannot be used."""


def new_secret() -> str:
    """Return a new secret for a device, in base32."""
    return pyotp.random_base32()


def uri(secret: str, name: str) -> str:
    """Return what a device reads, as a QR code or typed: ``otpauth://totp/…``."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name="Coldtrail")


def step(secret: str, code: str, now_ms: int, last_step: int) -> int | None:
    """Return the step of time whose code this is; None where it is none that may be used now.

    A code is of now, or one step before or after; the newest that was used, and older ones, are
    refused, so that nobody uses a code twice, also when the clock is set back.
    """
    given = "".join(code[:32].split())
    if len(given) != _DIGITS or not (given.isascii() and given.isdigit()):
        return None
    codes = pyotp.TOTP(secret)
    found = None
    for around in _AROUND:
        at = now_ms // STEP_MS + around
        right = hmac.compare_digest(codes.generate_otp(at), given) if at >= 0 else False
        if right and at > last_step and found is None:
            found = at
    return found


def new_recovery_codes() -> list[str]:
    """Return ten codes, each for one sign-in without the device."""
    return [secret_text.new_typed(_RECOVERY_BYTES) for _ in range(RECOVERY_CODES)]


class Sealer:
    """Seals secrets for an account under the key in a file; `path` is made where it is missing.

    Raises:
        KeyFileError: it cannot be made or read, or holds no key.
        SharedFileError: others can read it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cipher = AESGCM(_key(path))

    def seal(self, account: int, secret: str) -> bytes:
        """Return a secret as it may be kept; it opens for this account only."""
        nonce = secrets.token_bytes(_NONCE_SIZE)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), _bound(account))

    def open(self, account: int, sealed: bytes) -> str:
        """Return the secret.

        Raises:
            KeyFileError: it was sealed under another key, for another account, or altered.
        """
        try:
            plain = self._cipher.decrypt(
                sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], _bound(account)
            )
        except (InvalidTag, ValueError):
            raise KeyFileError(
                f"The key in {self.path} does not open this second factor: bring back the key "
                "file that belongs to the database, or let an administrator take the second "
                "factor off."
            ) from None
        return plain.decode()


def _bound(account: int) -> bytes:
    return f"coldtrail second factor {account}".encode()


def _key(path: Path) -> bytes:
    try:
        if not path.exists():
            _make_key(path)
        keyfiles.check(path)
        with path.open(encoding="ascii") as read:
            key = bytes.fromhex(read.read(2 * _KEY_SIZE + 2))
    except OSError as error:
        raise KeyFileError(f"The key file {path} cannot be used ({error.strerror}).") from error
    except ValueError:
        key = b""
    if len(key) != _KEY_SIZE:
        raise KeyFileError(
            f"{path} holds no key of {2 * _KEY_SIZE} hexadecimal digits: bring back the one that "
            "belongs to the database."
        )
    return key


def _make_key(path: Path) -> None:
    """Make a key file, whole or not at all; one that another process makes meanwhile stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Readable by its owner alone, as the module makes it.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".key-") as made:
        made.write(secrets.token_hex(_KEY_SIZE) + "\n")
        made.flush()
        os.fsync(made.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(made.name, path)
