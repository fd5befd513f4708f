"""BG95, power saving mode (PSM) and extended DRX: for boards that cannot cut its supply.

The module asks for timers, and the network decides which ones it grants. In PSM every socket is
closed, and only PWRKEY wakes the module.

Sources: 3GPP TS 27.007, 7.38, 7.40, 7.41, 10.1.22; TS 24.008, 10.5.7.3, 10.5.7.4a, 10.5.5.32.

    await psm.ask(modem.at, 3 * 3600, 10)
    found = await psm.granted(modem.at)  # (10800, 10), or None
"""

from micropython import const

from drivers.bg95.at import CommandError
from drivers.bg95.text import fields

# The first three bits of a timer are an index into these units, in seconds.
_TAU = (600, 3600, 36_000, 2, 30, 60, 1_152_000)
_ACTIVE = (2, 60, 360)
_OFF = const(7)

# TS 24.008, table 10.5.5.32, S1 mode: eDRX cycles in units of 5.12 s.
_CYCLES = (1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 64, 128, 256, 512, 1024, 2048)

LTE_M = const(4)
NB_IOT = const(5)


async def ask(at, tau_s, active_s):
    """Ask for PSM: reachable for ``active_s`` after each connection, then asleep for ``tau_s``.

    Both are rounded up to what a timer can express. Raises ValueError when they are too long;
    CommandError, NoAnswer.
    """
    wish = timer(tau_s, _TAU), timer(active_s, _ACTIVE)
    await at.command(b'AT+CPSMS=1,,,"%s","%s"' % wish)


async def decline(at):
    """Tell the network that PSM is no longer wanted."""
    await at.command(b"AT+CPSMS=0")


async def granted(at):
    """Return (tau_s, active_s) as the network has granted them, or None without PSM."""
    try:
        await at.command(b"AT+CEREG=4")
        found = fields(await at.command(b"AT+CEREG?", b"+CEREG: 4,"))
        await at.command(b"AT+CEREG=0")
    except CommandError:
        return None
    if len(found) < 8:
        return None
    active, tau = _seconds(found[6], _ACTIVE), _seconds(found[7], _TAU)
    return None if active is None or tau is None else (tau, active)


async def ask_edrx(at, access, cycle_ms):
    """Ask for extended DRX with that cycle or the next longer one, in LTE_M or in NB_IOT."""
    value = sum([units * 5120 < cycle_ms for units in _CYCLES])
    if value == len(_CYCLES):
        raise ValueError("no such long cycle")
    bits = bytes([48 + (value >> place & 1) for place in (3, 2, 1, 0)])
    await at.command(b'AT+CEDRXS=1,%d,"%s"' % (access, bits))


async def granted_edrx(at):
    """Return the cycle in ms that the network has granted, or None without extended DRX."""
    try:
        found = fields(await at.command(b"AT+CEDRXRDP", b"+CEDRXRDP:"))
    except CommandError:
        return None
    if len(found) < 3 or len(found[2]) != 4 or found[2].strip(b"01"):
        return None
    return _CYCLES[int(str(found[2], "utf-8"), 2)] * 5120


def timer(seconds, units):
    """Return ``seconds``, rounded up, as the eight bits of a GPRS timer with these ``units``."""
    best = None
    for unit, length in enumerate(units):
        count = -(-seconds // length)
        if 0 < count < 32 and (best is None or count * length < best[0]):
            best = count * length, unit << 5 | count
    if best is None:
        raise ValueError("no timer of %d s" % seconds)
    return bytes([48 + (best[1] >> place & 1) for place in range(7, -1, -1)])


def _seconds(bits, units):
    if len(bits) != 8 or bits.strip(b"01"):
        return None
    value = int(str(bits, "utf-8"), 2)
    unit = value >> 5
    return units[unit] * (value & 31) if unit != _OFF and unit < len(units) else None
