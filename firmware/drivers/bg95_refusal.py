"""BG95: why a TLS connection was not opened. The modem says only that it failed.

Sources as in bg95_tls.py.
"""

from micropython import const

from drivers.at import CommandError
from drivers.bg95 import ConnectError

_CONNECT_MS = const(75_000)
_LOOKUP = const(565)


async def reason(modem, host, port):
    """Return it in words: each check is left out in turn, and no byte is sent meanwhile.

    The settings are for ``bg95_tls.configure`` to bring back. Raises what a command raises.
    """
    command = modem.at.command
    for setting, words in (
        (b'"ignorelocaltime",0,1', "the broker's certificate is not valid at this time"),
        (b'"checkhost",0,0', "the broker's certificate is for another host"),
        (b'"seclevel",0,0', "the broker's certificate is not from our CA"),
        (None, "the broker's certificate is not from our CA, or it refuses ours"),
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
        return words
    return "the broker cannot be reached"
