"""Time stamps of somebody else (RFC 3161): that an anchor was there at a moment, says the TSA."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from cryptography.x509 import load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from coldtrail_gateway import urls
from coldtrail_gateway.errors import GatewayError

_LIMIT_S: Final = 20.0
_MOST: Final = 64 * 1024
_GRANTED: Final = {0, 1}  # RFC 3161, 2.4.2: granted, granted with modifications


class TimestampError(GatewayError):
    """There is no time stamp, or it is not of what it should be."""


def request(url: str, message: bytes) -> bytes:
    """Return a time stamp authority's answer for the SHA-256 of a message.

    Raises:
        TimestampError: it does not answer, refuses, or answers for something else.
    """
    name = _address(url)
    asked = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256).build()
    wanted = urllib.request.Request(  # noqa: S310 - http or https, see above
        url,
        data=asked.as_bytes(),
        headers={"Content-Type": "application/timestamp-query"},
    )
    try:
        with urllib.request.urlopen(wanted, timeout=_LIMIT_S) as response:  # noqa: S310
            answer: bytes = response.read(_MOST)
    except (OSError, urllib.error.URLError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise TimestampError(
            f"The time stamp authority {name} does not answer ({reason}): the anchor was made "
            "without a time stamp. Try again, or name another with --tsa."
        ) from error
    decoded = _decoded(answer, f"the time stamp authority {name}")
    if decoded.status not in _GRANTED:
        raise TimestampError(
            f"The time stamp authority {name} refuses (status {decoded.status}): name another "
            "with --tsa."
        )
    if decoded.tst_info.nonce != asked.nonce or (
        decoded.tst_info.message_imprint.message != asked.message_imprint.message
    ):
        raise TimestampError(
            f"The time stamp authority {name} has stamped something else than was sent: name "
            "another with --tsa."
        )
    return answer


def verified_ms(answer: bytes, message: bytes, authority: Path) -> int:
    """Return when a message was stamped, as the authority says: UTC in ms.

    `authority` holds the root certificate of the time stamp authority (PEM).

    Raises:
        TimestampError: the stamp is not of this message, or not of this authority.
    """
    try:
        roots = load_pem_x509_certificates(authority.read_bytes())
    except (OSError, ValueError) as error:
        raise TimestampError(f"{authority} holds no certificate in PEM.") from error
    decoded = _decoded(answer, "the file of the time stamp")
    builder = VerifierBuilder()
    for root in roots:
        builder = builder.add_root_certificate(root)
    try:
        builder.build().verify_message(decoded, message)
    except (VerificationError, ValueError) as error:
        raise TimestampError(f"The time stamp does not verify: {error}.") from error
    info = decoded.tst_info
    return round(info.gen_time.timestamp() * 1000)


def _address(url: str) -> urls.Url:
    try:
        parts = urls.parse(url)
    except ValueError as error:
        raise TimestampError(f"The time stamp authority cannot be asked: {error}.") from None
    if parts.scheme not in ("http", "https"):
        raise TimestampError("A time stamp authority is named http://HOST or https://HOST.")
    return parts


def _decoded(answer: bytes, of: str) -> TimeStampResponse:
    try:
        return decode_timestamp_response(answer)
    except ValueError as error:
        raise TimestampError(
            f"What {of} holds is no time stamp in DER (RFC 3161): {error}."
        ) from error
