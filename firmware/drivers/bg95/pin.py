"""BG95, SIM card: enter its PIN. Source: AT manual 5.3, 5.7.

await pin.enter(modem.at, "1234")
"""

from micropython import const

from drivers.bg95.at import CommandError, NoNetwork
from drivers.bg95.text import fields, integer

_CPIN_MS = const(5_000)
_ATTEMPTS = const(3)


async def enter(at, pin):
    """Enter the PIN, unless a wrong one was entered before: three wrong PINs block the card."""
    found = fields(await at.command(b'AT+QPINC="SC"', b"+QPINC:"))
    attempts = integer(found[1]) if len(found) > 1 else None
    if attempts is None or attempts < _ATTEMPTS:
        raise NoNetwork("SIM card has refused a PIN: it is not entered a second time")
    try:
        await at.command(b'AT+CPIN="' + pin.encode() + b'"', limit_ms=_CPIN_MS)
    except CommandError:
        raise NoNetwork("SIM card refuses the PIN")
