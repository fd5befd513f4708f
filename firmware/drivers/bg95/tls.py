"""BG95, TLS: upload certificates and configure connections.

Sources: "BG96 SSL AT Commands Manual" V1.0, 2.1.1; "BG96 FILE AT Commands Manual" V1.0, 2.2 to
2.4. Only later firmware of the modem knows "sni" and "checkhost".

    files = ("ca.pem", "client.pem", "client.key")
    checks_host = await tls.configure(modem.at, files, 1_800_000_000)
    stream = await modem.connect("broker.example", 8883, 75_000, secure=True)
"""

import binascii
import hashlib

from micropython import const

from drivers.bg95.at import CommandError, ModemError
from drivers.bg95.time import days

_PIECE = const(256)
_FILE_MS = const(10_000)
_NEGOTIATE_S = const(60)


async def configure(at, files, unix):
    """Prepare SSL context 0 with the PEM ``files``: names of the CA, client certificate and key.

    With ``unix`` (Unix seconds) the modem's clock is set, and it checks the dates of certificates.
    With None it does not check them. Returns whether the modem will compare the server's
    certificate with the name of the host, which a BG96 cannot do.

    Raises OSError when a file cannot be read; CommandError, NoAnswer.
    """
    names = await _provide(at, files)
    command = at.command
    if unix is not None:
        await command(b'AT+CCLK="%s+00"' % _moment(unix))
    for setting in (
        b'"sslversion",0,3',
        b'"ciphersuite",0,0XFFFF',
        b'"cacert",0,"%s"' % names[0],
        b'"clientcert",0,"%s"' % names[1],
        b'"clientkey",0,"%s"' % names[2],
        b'"seclevel",0,2',
        b'"ignorelocaltime",0,%d' % (unix is None),
        b'"negotiatetime",0,%d' % _NEGOTIATE_S,
    ):
        await command(b"AT+QSSLCFG=" + setting)
    try:
        await command(b'AT+QSSLCFG="sni",0,1')
        await command(b'AT+QSSLCFG="checkhost",0,1')
    except CommandError:
        return False
    return True


async def _provide(at, files):
    """Upload the ``files`` that the modem does not have; return the modem's names for all.

    A name is derived from the content, so a file that has changed gets another name.
    """
    known = []
    for file in files:
        name, size, checksum = _measure(file)
        known.append((file, name, size, checksum))
    for _, name, size, _ in known:
        if not await _has(at, name, size):
            break
    else:
        return [name for _, name, _, _ in known]
    try:
        await at.command(b'AT+QFDEL="*"', limit_ms=_FILE_MS)  # incomplete uploads go as well
    except CommandError:
        pass
    for file, name, size, checksum in known:
        command = b'AT+QFUPL="%s",%d' % (name, size)
        answer = await at.send(command, _pieces(file), _FILE_MS, b"+QFUPL:")
        if answer.lower() != b"%d,%x" % (size, checksum):
            raise ModemError("the modem has not taken %s as it is" % file)
    return [name for _, name, _, _ in known]


async def _has(at, name, size):
    try:
        found = await at.command(b'AT+QFLST="%s"' % name, b"+QFLST:")
    except CommandError:
        return False
    return found.replace(b"UFS:", b"") == b'"%s",%d' % (name, size)


def _pieces(name):
    with open(name, "rb") as file:
        while True:
            piece = file.read(_PIECE)
            if not piece:
                return
            yield piece


def _measure(file):
    """Return (name in the modem, size, checksum as the FILE manual defines it in 2.4)."""
    digest = hashlib.sha256()
    size = checksum = 0
    for piece in _pieces(file):
        digest.update(piece)
        for at in range(0, len(piece), 2):
            low = piece[at + 1] if at + 1 < len(piece) else 0
            checksum ^= piece[at] << 8 | low
        size += len(piece)
    # The manual recommends names of 8 characters and an extension of 3.
    return binascii.hexlify(digest.digest()[:4]) + b".pem", size, checksum


def _moment(seconds):
    """Return a Unix time as AT+CCLK takes it before the zone, such as b"26/03/01,06:00:00"."""
    day, rest = divmod(seconds, 86400)
    year, month = 2020 + (day - 18262) // 366, 1
    while days(year + 1, 1) <= day:
        year += 1
    while days(year, month + 1) <= day:
        month += 1
    clock = rest // 3600, rest // 60 % 60, rest % 60
    return b"%02d/%02d/%02d,%02d:%02d:%02d" % (
        (year % 100, month, day - days(year, month) + 1) + clock
    )
