"""The key that signs anchors: Ed25519, in PEM files as openssl reads them."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from coldtrail_gateway import keyfiles
from coldtrail_gateway.errors import GatewayError


class AnchorKeyError(GatewayError):
    """A key that cannot be used."""


def make(path: Path) -> Ed25519PrivateKey:
    """Make a key and keep it in a file that its owner alone can read.

    Raises:
        AnchorKeyError: the file is there already or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise AnchorKeyError(
            f"The key {path} cannot be made ({error.strerror}): name another file with --key."
        ) from error
    return key


def private(path: Path) -> Ed25519PrivateKey:
    """Return the private key in a file.

    Raises:
        AnchorKeyError: it cannot be read, or holds no such key.
        SharedFileError: others can read it.
    """
    try:
        keyfiles.check(path)
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise AnchorKeyError(f"The key {path} cannot be read ({error.strerror}).") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise AnchorKeyError(f"{path} holds no Ed25519 key in PEM without a password.")
    return key


def public(path: Path) -> Ed25519PublicKey:
    """Return the public key in a file.

    Raises:
        AnchorKeyError: it cannot be read, or holds no such key.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise AnchorKeyError(
            f"The public key {path} cannot be read ({error.strerror})."
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise AnchorKeyError(f"{path} holds no Ed25519 public key in PEM.")
    return key


def pem(key: Ed25519PublicKey) -> bytes:
    """Return a public key as it stands in a file."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the SHA-256 of a public key in DER, which people compare: openssl pkey -pubin."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).hexdigest()


def verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Tell whether a signature over a message was made with a key."""
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
