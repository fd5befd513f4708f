"""BG95, serving cell: it gives a rough position without satellites. Sources as in modem.py.

found = await cell.serving(modem.at)
if found:
    mcc, mnc, area, number, technology, dbm = found
"""

from micropython import const

from drivers.bg95.at import CommandError, NoAnswer
from drivers.bg95.text import fields, integer

# <AcT> of AT+CEREG and AT+CGREG (AT manual 9.8, 9.5) as the contract counts: LTE-M, NB-IoT, GSM.
_TECHNOLOGIES = {8: 1, 9: 2, 0: 3}
# A module that does not know its cell answers with areas that no cell has (3GPP TS 23.003, 4.1 and
# 19.4.2.3), with all bits set, or with powers that no receiver measures. -156 dBm is the least
# RSRP that is reported (TS 36.133, 9.1.4); -20 dBm is more than a receiver can take.
_NO_AREAS = const((0, 0xFFFE, 0xFFFF))
_MOST_CELL = const((0x0FFFFFFE, 0x0FFFFFFE, 0xFFFF))
_WEAKEST_DBM = const(-156)
_STRONGEST_DBM = const(-20)


async def serving(at):
    """Return (MCC, MNC, area code, cell id, technology, signal); None when any of it is unknown.

    ``technology`` is 1 for LTE-M, 2 for NB-IoT, 3 for GSM. ``signal`` is in dBm: RSRP in LTE,
    RSSI in GSM.
    """
    try:
        for name in (b"+CEREG", b"+CGREG"):  # the former names no cell in GSM
            await at.command(b"AT" + name + b"=2")
            registered = fields(await at.command(b"AT" + name + b"?", name + b": 2,"))
            await at.command(b"AT" + name + b"=0")
            if len(registered) > 3:
                break
        network = fields(await at.command(b"AT+QNWINFO", b"+QNWINFO:"))
        strength = fields(await at.command(b"AT+QCSQ", b"+QCSQ:"))
        area, cell = int(registered[1], 16), int(registered[2], 16)
        technology = _TECHNOLOGIES[int(registered[3])]
        operator = network[1]
        mcc, mnc = int(operator[:3]), int(operator[3:])
        signal = integer(strength[1 if technology == 3 else 2])
    except (CommandError, NoAnswer, ValueError, IndexError, KeyError):
        return None
    if signal is None or not _WEAKEST_DBM <= signal <= _STRONGEST_DBM:
        return None
    if not (0 <= area <= 0xFFFF and 0 <= cell <= _MOST_CELL[technology - 1]):
        return None
    if area in _NO_AREAS or not (operator.isdigit() and 5 <= len(operator) <= 6 and mcc):
        return None
    return mcc, mnc, area, cell, technology, signal


async def signal(at):
    """Return (system mode, RSSI, RSRP, SINR, RSRQ), or None without service.

    RSSI and RSRP in dBm, RSRQ in dB, SINR in steps of 0.2 dB from -20 dB (AT manual 6.16);
    RSRP, SINR and RSRQ are None in GSM.
    """
    found = fields(await at.command(b"AT+QCSQ", b"+QCSQ:"))
    values = [integer(field) for field in found[1:5]]
    if not values or values[0] is None:
        return None
    return (str(found[0], "utf-8"),) + tuple((values + [None, None, None])[:4])
