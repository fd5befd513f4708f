"""BG95, TLS: find out why a connection was not opened. The modem says only that it failed.

Sources as in tls.py.

    number, words = await refusal.reason(modem, "broker.example", 8883, "ca.pem")
"""

from micropython import const

from drivers.bg95.at import CommandError, ConnectError
from memory import forget

_CONNECT_MS = const(75_000)
_SHOW_MS = const(8_000)

_WORDS = (
    "the broker's certificate is not valid at this time",
    "the broker's certificate is for another host",
    "the broker's certificate is not from our CA",
    "the broker refuses our certificate",
    "the broker cannot be reached",
)


async def reason(modem, host, port, authority):
    """Return (number, words): 0 the date, 1 the name, 2 the authority, 3 our certificate, 4 none.

    The function first connects without the check of the date, then without that of the name. At
    last it asks the broker, without encryption, whether its certificate comes from the authority
    in the file ``authority``. No data of the tracker is sent meanwhile. ``tls.configure`` must
    restore the settings afterwards. Raises what a command raises.
    """
    number = await _number(modem, host, port, authority)
    return number, _WORDS[number]


async def _number(modem, host, port, authority):
    for number, setting in enumerate((b'"ignorelocaltime",0,1', b'"checkhost",0,0')):
        try:
            await modem.at.command(b"AT+QSSLCFG=" + setting)
            stream = await modem.connect(host, port, _CONNECT_MS, True)
        except (ConnectError, CommandError):  # the latter when the modem lacks the setting
            continue
        await stream.close()
        return number
    try:
        stream = await modem.connect(host, port, _CONNECT_MS)
    except ConnectError:
        return 4
    from drivers.bg95 import tls_hello

    shown = await tls_hello.shows(stream, host, tls_hello.key_identifier(authority), _SHOW_MS)
    del tls_hello
    forget("drivers.bg95", "tls_hello")
    await stream.close()
    return 4 if shown is None else 3 if shown else 2
