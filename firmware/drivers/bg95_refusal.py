"""BG95: why a TLS connection was not opened. The modem says only that it failed.

Sources as in bg95_tls.py.
"""

from micropython import const

from drivers.at import CommandError
from drivers.bg95 import ConnectError

_CONNECT_MS = const(75_000)
_LOOKUP = const(565)


async def reason(modem, host, port):
    """Return (number, words): each check is left out in turn, and no byte is sent meanwhile.

    The numbers are 0 for the date, 1 for the host's name, 2 for the authority, 3 where it may be
    the broker that refuses, 4 where it cannot be reached. The settings are for
    ``bg95_tls.configure`` to bring back. Raises what a command raises.
    """
    command = modem.at.command
    for number, setting, words in (
        (0, b'"ignorelocaltime",0,1', "the broker's certificate is not valid at this time"),
        (1, b'"checkhost",0,0', "the broker's certificate is for another host"),
        (2, b'"seclevel",0,0', "the broker's certificate is not from our CA"),
        (3, None, "the broker refuses our certificate, or its own is worth nothing"),
    ):
        try:
            if setting is not None:
                await command(b"AT+QSSLCFG=" + setting)
            stream = await modem.connect(host, port, _CONNECT_MS, setting is not None)
        except ConnectError as error:
            if error.code == _LOOKUP:
                break
            continue
        except CommandError:  # a setting that it does not know
            continue
        await stream.close()
        return number, words
    return 4, "the broker cannot be reached"
