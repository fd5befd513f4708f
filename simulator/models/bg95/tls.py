"""TLS connections: their settings, the check of certificates, and the commands.

Source: BG96 SSL AT Commands Manual V1.0 (2017-11-07), 2.1.1 to 2.1.6, 1.4. Only the later firmware
of a BG95 knows "sni" and "checkhost".
"""

from __future__ import annotations

import ssl
import tempfile
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from coldtrail_simulator.models.bg95.at import Args, AtError, Command, Form, Prompt, Result, answer
from coldtrail_simulator.models.bg95.files import Files
from coldtrail_simulator.models.bg95.part import Part
from coldtrail_simulator.models.bg95.radio import Radio
from coldtrail_simulator.models.bg95.tcpip import (
    CONNECT_LIMIT_US,
    CONTEXTS,
    MAX_READ,
    MAX_SEND,
    SOCKETS,
    TcpError,
    TcpIp,
)
from coldtrail_simulator.network.link import Handshake

CONTEXT_COUNT = 6
NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, because this model checks dates by the module's clock."""

# These suites of table 2 are still in today's TLS libraries; the names are OpenSSL's.
SUITES = {
    0x0035: "AES256-SHA",
    0x002F: "AES128-SHA",
    0x003D: "AES256-SHA256",
    0xC013: "ECDHE-RSA-AES128-SHA",
    0xC014: "ECDHE-RSA-AES256-SHA",
    0xC027: "ECDHE-RSA-AES128-SHA256",
    0xC028: "ECDHE-RSA-AES256-SHA384",
    0xC02F: "ECDHE-RSA-AES128-GCM-SHA256",
}
ALL_SUITES = 0xFFFF
VERSIONS = {
    2: (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1),
    3: (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2),
    4: (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2),
}


@dataclass
class Settings:
    """The settings of one <sslctxID>."""

    numbers: dict[str, int] = field(
        default_factory=lambda: {
            "sslversion": 4,
            "seclevel": 0,
            "ignorelocaltime": 1,
            "negotiatetime": 300,
            "sni": 0,
            "checkhost": 0,
        }
    )
    suite: int = 0x35
    paths: dict[str, str] = field(
        default_factory=lambda: {"cacert": "", "clientcert": "", "clientkey": ""}
    )


RANGES = {
    "sslversion": (0, 4),
    "seclevel": (0, 2),
    "ignorelocaltime": (0, 1),
    "negotiatetime": (10, 300),
    "sni": (0, 1),
    "checkhost": (0, 1),
}
LATER = ("sni", "checkhost")


class Tls:
    """The SSL commands; they share the sockets and socket numbers of the TCP commands."""

    def __init__(self, part: Part, tcpip: TcpIp, files: Files, radio: Radio) -> None:
        self._part = part
        self._tcpip = tcpip
        self._files = files
        self._radio = radio
        self.reset()

    def reset(self) -> None:
        """Return to the state after power-on."""
        self.contexts = {number: Settings() for number in range(CONTEXT_COUNT)}

    def commands(self) -> dict[str, Command]:
        """Return the commands by their names."""
        own: dict[str, Command] = {
            "+QSSLCFG": self._configure,
            "+QSSLOPEN": self._open,
            "+QSSLSEND": self._send,
            "+QSSLRECV": self._read,
            "+QSSLCLOSE": self._close,
            "+QSSLSTATE": self._state,
        }
        return {name: self._tcpip.noting(fn) for name, fn in own.items()}

    # --- 2.1.1

    def _configure(self, form: Form, args: Args) -> Result:
        if form is not Form.WRITE:
            raise TcpError(552)
        name = args.text(0).lower()
        number = args.number(1, 0, CONTEXT_COUNT - 1)
        settings = self.contexts[number]
        head = f'+QSSLCFG: "{name}",{number},'
        if name in RANGES and not (name in LATER and not self._part.later_firmware):
            if len(args) == 2:
                return answer(f"{head}{settings.numbers[name]}")
            settings.numbers[name] = args.number(2, *RANGES[name])
        elif name in settings.paths:
            if len(args) == 2:
                return answer(f'{head}"{settings.paths[name]}"')
            settings.paths[name] = args.text(2).removeprefix("UFS:")
        elif name == "ciphersuite":
            if len(args) == 2:
                return answer(f"{head}0X{settings.suite:04X}")
            settings.suite = _suite(args.items[2])
        else:
            raise TcpError(552)
        return answer()

    # --- 2.1.2

    def _open(self, form: Form, args: Args) -> Result:
        if form is not Form.WRITE or len(args) < 5:
            raise TcpError(552)
        context, number = args.number(0, 1, CONTEXTS), args.number(2, 0, SOCKETS - 1)
        settings = self.contexts[args.number(1, 0, CONTEXT_COUNT - 1)]
        host, port, mode = args.text(3), args.number(4, 1, 65535), args.number(5, 0, 2, 0)
        if mode == 2:
            raise TcpError(555)
        try:
            handshake = self._handshake(settings, host)
        except (OSError, ValueError):  # a file is missing or does not hold what it should
            return answer(then=lambda: self._tcpip.report(f"+QSSLOPEN: {number},550"))
        limit_us = CONNECT_LIMIT_US + settings.numbers["negotiatetime"] * 1_000_000
        return self._tcpip.open_socket(
            context, number, host, port, push=mode == 1, handshake=handshake, limit_us=limit_us
        )

    def _handshake(self, settings: Settings, host: str) -> Handshake:
        numbers = settings.numbers
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = bool(numbers["seclevel"] and numbers["checkhost"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version, context.maximum_version = VERSIONS[numbers["sslversion"]]
        names = SUITES.values() if settings.suite == ALL_SUITES else [SUITES[settings.suite]]
        context.set_ciphers(":".join(names))
        roots = b""
        if numbers["seclevel"]:
            context.verify_mode = ssl.CERT_REQUIRED
            context.verify_flags = ssl.VerifyFlags(context.verify_flags | NO_CHECK_TIME)
            roots = self._file(settings, "cacert")
            context.load_verify_locations(cadata=roots.decode("ascii"))
        else:
            context.verify_mode = ssl.CERT_NONE
        own = 0
        if numbers["seclevel"] == 2:
            chain_pem = self._file(settings, "clientcert")
            own = _size(chain_pem)
            with tempfile.TemporaryDirectory() as folder:
                chain, key = Path(folder, "chain"), Path(folder, "key")
                chain.write_bytes(chain_pem)
                key.write_bytes(self._file(settings, "clientkey"))
                context.load_cert_chain(chain, key)
        dated = bool(numbers["seclevel"]) and not numbers["ignorelocaltime"]

        def judge(certificate: bytes) -> bool:
            return not dated or _in_date([certificate], roots, self._radio.rtc.utc())

        name = host if numbers["sni"] or context.check_hostname else None
        return Handshake(context, name, judge, own)

    def _file(self, settings: Settings, kind: str) -> bytes:
        found = self._files.read(settings.paths[kind])
        if found is None:
            raise FileNotFoundError(settings.paths[kind])
        return found

    # --- 2.1.3 to 2.1.6

    def _send(self, form: Form, args: Args) -> Result:
        if form is not Form.WRITE:
            raise TcpError(552)
        socket = self._tcpip.socket(args, secure=True)
        length = args.number(1, 1, MAX_SEND) if len(args) > 1 else None
        return Prompt(length, lambda data: self._tcpip.take(socket, data))

    def _read(self, form: Form, args: Args) -> Result:
        if form is not Form.WRITE:
            raise TcpError(552)
        socket = self._tcpip.socket(args, secure=True)
        data = socket.read(args.number(1, 1, MAX_READ))
        return answer(f"+QSSLRECV: {len(data)}", data) if data else answer("+QSSLRECV: 0")

    def _close(self, form: Form, args: Args) -> Result:
        if form is not Form.WRITE:
            raise TcpError(552)
        return self._tcpip.close_socket(args, secure=True)

    def _state(self, form: Form, _args: Args) -> Result:
        if form is Form.TEST:
            return answer()
        return answer(
            *(
                f'+QSSLSTATE: {each.number},"SSLClient","{each.host}",{each.port},'
                f"{each.local_port},{each.state},{each.context},{each.number},{int(each.push)},"
                '"uart1",0'
                for each in self._tcpip.sockets.values()
                if each.secure
            )
        )


def _size(pem: bytes) -> int:
    """Return the size of certificates in DER."""
    found = x509.load_pem_x509_certificates(pem)
    return sum(len(each.public_bytes(serialization.Encoding.DER)) for each in found)


def _suite(item: str) -> int:
    with suppress(ValueError):
        suite = int(item, 16)
        if item.lower().startswith("0x") and (suite in SUITES or suite == ALL_SUITES):
            return suite
    raise AtError


def _in_date(certificates: list[bytes], roots: bytes, now: datetime) -> bool:
    found = [x509.load_der_x509_certificate(each) for each in certificates]
    found += x509.load_pem_x509_certificates(roots)
    return all(each.not_valid_before_utc <= now <= each.not_valid_after_utc for each in found)
