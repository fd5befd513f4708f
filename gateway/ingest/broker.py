"""Where the MQTT broker is, and the one that is embedded where none is named."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from iotcore import Broker

from coldtrail_gateway.errors import GatewayError

EMBEDDED: Final = "embedded://127.0.0.1:1883"
MAX_PACKET: Final = 16_384
"""Bytes of the longest packet: four times what the gateway looks at, so that it can say so."""

_PORTS: Final = {"embedded": 1883, "mqtt": 1883, "mqtts": 8883}
_START_S: Final = 20.0


class BrokerError(GatewayError):
    """There is no broker to work with; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """A broker's address; printed without its password."""

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def shows_password(self) -> bool:
        """Whether a password goes over a network where others may read it."""
        return self.scheme == "mqtt" and self.password is not None and not _is_loopback(self.host)


def parse(text: str) -> Address:
    """Return the address in a URL: ``mqtt://``, ``mqtts://`` or ``embedded://``.

    Raises:
        ValueError: it is none of these; the message says why.
    """
    url = urlsplit(text)
    if url.scheme not in _PORTS or not url.hostname or url.path.strip("/") or url.query:
        raise ValueError("a broker is named mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")
    if url.scheme == "embedded" and not _is_loopback(url.hostname):
        raise ValueError("the embedded broker listens on loopback only")
    return Address(
        url.scheme,
        url.hostname,
        _PORTS[url.scheme] if url.port is None else url.port,
        unquote(url.username) if url.username else None,
        unquote(url.password) if url.password else None,
    )


def tls(
    address: Address, authority: Path | None, certificate: Path | None, key: Path | None
) -> ssl.SSLContext | None:
    """Return how to speak TLS with a broker; None where its address asks for none.

    Without an `authority` (PEM) the system's are trusted; `certificate` and `key` (PEM, without a
    password) say who the gateway is, to a broker that wants to know.

    Raises:
        BrokerError: the files cannot be used, or are for an address without TLS.
    """
    if address.scheme != "mqtts":
        if authority or certificate or key:
            raise BrokerError(
                f"--ca, --cert and --key are for mqtts, and the broker is named {address}: "
                "name it mqtts://HOST[:PORT]."
            )
        return None
    if bool(certificate) != bool(key):
        raise BrokerError("A certificate needs its private key: name both --cert and --key.")
    try:
        context = ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise BrokerError(
            f"{authority} holds no certificate of an authority ({_reason(error)}): "
            "name a file in PEM with --ca."
        ) from error
    if certificate and key:
        try:
            # Without a password of ours OpenSSL would ask for one at the terminal.
            context.load_cert_chain(certificate, key, password="")
        except OSError as error:
            raise BrokerError(
                f"{certificate} and {key} are no certificate with its private key "
                f"({_reason(error)}): name a pair in PEM without a password."
            ) from error
    return context


def start(address: Address) -> Broker:
    """Start the embedded broker in a process of its own, which ends with this one.

    It keeps its sessions and retained messages in memory. That is enough: what a tracker was
    not confirmed it sends again.

    Raises:
        BrokerError: the port is taken, or the broker does not come up.
    """
    broker = Broker(port=address.port, listen=address.host, max_payload_size=MAX_PACKET)
    try:
        return broker.start(timeout=_START_S)
    except OSError as error:
        raise BrokerError(
            f"The embedded broker cannot listen on {address.host}:{address.port} ({error}): "
            "end what uses it, or name a broker with --broker mqtt://HOST:PORT."
        ) from error
    except RuntimeError as error:
        raise BrokerError(
            f"The embedded broker does not start ({error}): "
            "name another with --broker mqtt://HOST:PORT."
        ) from error


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").replace("_", " ").lower()
    return error.strerror or str(error)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
