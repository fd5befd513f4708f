"""BG95, sockets: open a connection. Sources as in modem.py.

stream = await connect.connect(modem, "broker.example", 8883, 75_000, True)
"""

import time

from micropython import const

from drivers.bg95.at import ConnectError, left
from drivers.bg95.stream import Stream
from drivers.bg95.text import is_plain

_QIOPEN_MS = const(150_000)  # the manual's maximum response time
_IDENTITY_USED = const(563)
_TIMED_OUT = const(569)


async def connect(modem, host, port, limit_ms, secure):
    """Open a connection as BG95.connect describes."""
    if not 0 < len(host) <= 255 or not is_plain(host):
        raise ValueError("a host is an IPv4 address or a domain name")
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    modem.lose()
    if secure:
        command = b'AT+QSSLOPEN=1,0,0,"' + host.encode() + b'",%d,0' % port
    else:
        command = b'AT+QIOPEN=1,0,"TCP","' + host.encode() + b'",%d,0,0' % port
    result: "int | None" = _IDENTITY_USED
    for _ in range(2):
        stream = modem.stream = Stream(modem.at, secure)
        await modem.at.command(command)
        await modem.at.until(stream.is_settled, min(_QIOPEN_MS, left(deadline)))
        result = stream.result
        if result == 0:
            return stream
        await stream.close()
        if result is None:
            raise ConnectError(_TIMED_OUT)
        if result != _IDENTITY_USED:  # that is a socket left open before the tracker restarted
            break
    raise ConnectError(result)
