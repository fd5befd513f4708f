"""BG95: certificates and settings for TLS connections.

Sources: "BG96 SSL AT Commands Manual" V1.0, 2.1.1; "BG96 FILE AT Commands Manual" V1.0, 2.2 to
2.4; "sni" and "checkhost" are of later firmware.

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
    """Prepare SSL context 0 with ``files``: CA, client certificate and key, PEM, by name.

    With ``unix`` (UTC seconds) the modem's clock is set to it and certificates have to be in
    date; without (None) their dates are not looked at. Returns whether the modem will hold the
    server's certificate against the name of the host: a BG96 does not know how.

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
    """Return the modem's names of ``files``; what it does not have is uploaded.

    A name says what is in the file, so that one that has changed is another file.
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
        await at.command(b'AT+QFDEL="*"', limit_ms=_FILE_MS)  # also what an upload left in pieces
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
    """Return (name in the modem, size, checksum as FILE manual 2.4 has it)."""
    digest = hashlib.sha256()
    size = checksum = 0
    for piece in _pieces(file):
        digest.update(piece)
        for at in range(0, len(piece), 2):
            low = piece[at + 1] if at + 1 < len(piece) else 0
            checksum ^= piece[at] << 8 | low
        size += len(piece)
    # 8.3, as the manual recommends.
    return binascii.hexlify(digest.digest()[:4]) + b".pem", size, checksum


def _moment(seconds):
    """Return a Unix time as AT+CCLK takes it, without the zone, such as b"26/03/01,06:00:00"."""
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
