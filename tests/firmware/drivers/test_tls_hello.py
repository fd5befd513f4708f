"""Whose certificate a server shows: against OpenSSL, and however its answer is cut."""

import asyncio
import ssl
from errno import ECONNRESET, ETIMEDOUT
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_simulator.network import tls_flight
from drivers.bg95 import tls_hello

ROOT = Path(__file__).parents[2] / "data" / "amazon_root_ca_1.pem"
IDENTIFIER = bytes(range(100, 120))


class Given:
    """A stream that gives these bytes in pieces, then fails as told, or ends."""

    def __init__(self, data: bytes, pieces: int, error: int = 0) -> None:
        self.sent = b""
        self._data = data
        self._pieces = pieces
        self._error = error

    async def write(self, buffers: Any, limit_ms: int) -> None:
        assert limit_ms > 0
        self.sent += b"".join(bytes(buffer) for buffer in buffers)

    async def readinto(self, buffer: memoryview, limit_ms: int) -> int:
        assert limit_ms > 0
        size = min(len(buffer), self._pieces, len(self._data))
        assert size or not len(self._data)
        if not size and self._error:
            raise OSError(self._error)
        buffer[:size] = self._data[:size]
        self._data = self._data[size:]
        return size


def shown(stream: Given, identifier: bytes | None = IDENTIFIER) -> bool | None:
    found: bool | None = asyncio.run(tls_hello.shows(stream, "broker.example", identifier, 1000))
    return found


@given(st.binary(max_size=3000), st.binary(max_size=3000), st.integers(1, 300))
def test_it_is_found_wherever_the_answer_is_cut(before: bytes, after: bytes, pieces: int) -> None:
    assert shown(Given(before + IDENTIFIER + after, pieces)) is True
    rest = before.replace(IDENTIFIER, b"") + after.replace(IDENTIFIER, b"")
    expected = False if rest else None
    if IDENTIFIER not in rest:
        assert shown(Given(rest, pieces)) is expected
        assert shown(Given(rest, pieces, ETIMEDOUT)) is expected


def test_no_more_is_read_than_a_chain_can_have() -> None:
    stream = Given(bytes(100_000), 276)
    assert shown(stream) is False
    assert len(stream._data) > 90_000


def test_a_reset_is_no_answer() -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011
        shown(Given(b"", 1, ECONNRESET))
    assert caught.value.args == (ECONNRESET,)


def test_the_identifier_is_the_certificates_own() -> None:
    certificate = x509.load_pem_x509_certificate(ROOT.read_bytes())
    extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert tls_hello.key_identifier(str(ROOT)) == extension.value.digest


def test_openssl_understands_the_hello() -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names: list[str | None] = []
    context.sni_callback = lambda _object, name, _context: names.append(name)
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(tls_hello.hello("broker.example"))
    # It has no certificate to show, which is the one thing that it may complain of.
    with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER|NO_SUITABLE"):
        server.do_handshake()
    assert names == ["broker.example"]
    assert tls_flight.is_complete(outgoing.read())
