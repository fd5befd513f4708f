"""BG95, TLS: read which authority issued the certificate that a server shows.

The first answer of a TLS 1.2 server is not encrypted (RFC 5246, 7.3). It proves nothing. It only
tells a server of another authority from a server that refuses our certificate.

    identifier = tls_hello.key_identifier("ca.pem")
    shown = await tls_hello.shows(stream, "broker.example", identifier, 8_000)
"""

import binascii
import os
from errno import ETIMEDOUT

# The suites are ECDHE-RSA with AES-GCM and AES-CBC, then RSA alone.
_SUITES = (
    b"\xc0\x2f\xc0\x30\xc0\x27\xc0\x28\xc0\x13\xc0\x14\x00\x9c\x00\x3d\x00\x3c\x00\x35\x00\x2f"
)
_GROUPS = b"\x00\x1d\x00\x17\x00\x18"  # x25519, secp256r1, secp384r1
_SIGNATURES = b"\x04\x01\x05\x01\x06\x01\x04\x03\x02\x01"  # RSA and ECDSA with SHA-2; SHA-1
_KEY_IDENTIFIER = b"\x55\x1d\x0e\x04\x16\x04\x14"  # RFC 5280, 4.2.1.2: 20 bytes follow
_MOST = 8192  # a chain of certificates is shorter


def key_identifier(file):
    """Return the key identifier of a CA's certificate (a PEM file); None when it has none."""
    content = b""
    with open(file, "rb") as lines:
        for line in lines:
            if line.startswith(b"-----END"):
                break
            if not line.startswith(b"-----"):
                content += line.strip()
    content = binascii.a2b_base64(content)
    at = content.find(_KEY_IDENTIFIER)
    if at < 0:
        return None
    at += len(_KEY_IDENTIFIER)
    return content[at : at + 20]


def hello(host):
    """Return a ClientHello (RFC 5246, 7.4.1.2) that asks ``host`` for its certificate."""
    extensions = (
        _extension(0, _sized(b"\x00" + _sized(host.encode())))
        + _extension(10, _sized(_GROUPS))
        + _extension(11, b"\x01\x00")
        + _extension(13, _sized(_SIGNATURES))
    )
    body = b"\x03\x03" + os.urandom(32) + b"\x00" + _sized(_SUITES) + b"\x01\x00"
    body += _sized(extensions)
    return b"\x16\x03\x01" + _sized(b"\x01\x00" + _sized(body))


async def shows(stream, host, identifier, limit_ms):
    """Return whether the server's certificates contain ``identifier``; None without an answer.

    With ``identifier`` None, every answer counts as a match. Raises what the stream raises, except
    OSError(ETIMEDOUT).
    """
    await stream.write((hello(host),), limit_ms)
    buffer = bytearray(276)
    kept = total = 0
    while total < _MOST:
        try:
            count = await stream.readinto(memoryview(buffer)[kept:], limit_ms)
        except OSError as error:
            if error.args[0] != ETIMEDOUT:
                raise
            break
        if not count:
            break
        total += count
        end = kept + count
        if identifier is None or bytes(memoryview(buffer)[:end]).find(identifier) >= 0:
            return True
        kept = min(end, len(identifier) - 1)
        buffer[:kept] = buffer[end - kept : end]
    return False if total else None


def _sized(data):
    return len(data).to_bytes(2, "big") + data


def _extension(number, data):
    return number.to_bytes(2, "big") + _sized(data)
