"""Self-test of the parts on the board: sensors, battery, flash. See run.py."""

import time

from micropython import const

import board
from coldtrail.decimal import decimal
from coldtrail.log.sectors import RETIRED, UNKNOWN
from drivers import fault, fault_text
from memory import forget

# For each sensor its values: name, unit, decimal places, and the range that is plausible on a
# packing line. The accelerometer is checked separately.
_PLAUSIBLE = (
    ("probe", (("probe", "degC", 2, -20000, 6000),)),  # from liquid nitrogen to a hot dock
    ("ambient", (("ambient", "degC", 2, -4000, 6000), ("humidity", "%RH", 1, 0, 1000))),
    ("light", (("light", "lx", 2, 0, 8_386_560),)),  # the full scale of the part
)
_AT_REST_MG = const(150)  # allowed deviation from 1 g, for offsets and an unsteady table

_LEAST_CHARGE = const(3)  # index into the steps of the battery's curve: 30 %

_SPARES = const(2)  # number of sectors that are tested
_ERASE_MS = const(400)  # W25Q64JV datasheet, section 9.6: tSE
_PIECE = const(128)


def results(port, recorder):
    """Yield (name, ok, value, unit, limit) of every check; no check takes longer than a second."""
    for sensor, rows in _PLAUSIBLE:
        if sensor in board.SENSORS:
            for result in _plausible(port, sensor, rows):
                yield result
    if "accelerometer" in board.SENSORS:
        for result in _accelerometer(port):
            yield result
    if "battery" in board.SENSORS:
        least = board.SENSORS["battery"]["curve"][_LEAST_CHARGE]
        row = ("battery", "mV", 0, least, 9999)
        for result in _plausible(port, "battery", (row,), "at least %d, 30 %%" % least):
            yield result
    for result in _flash(recorder.log):
        yield result


def _measured(port, sensor):
    """Return the values of a sensor as a tuple, or its fault as text."""
    try:
        found = port.sensor(sensor).measure()
        return found if isinstance(found, tuple) else (found,)
    except fault.SensorFault as error:
        return fault_text.words(error.code)
    finally:
        port.release(sensor)


def _plausible(port, sensor, rows, words=None):
    found = _measured(port, sensor)
    for n, (name, unit, places, low, high) in enumerate(rows):
        limit = words or "%s to %s" % (decimal(low, places), decimal(high, places))
        if isinstance(found, str):
            yield name, False, found, "", limit
        else:
            yield name, low <= found[n] <= high, decimal(found[n], places), unit, limit


def _accelerometer(port):
    """Check the measured gravity, then run the self-test of the part."""
    found = _measured(port, "accelerometer")
    limit = "%d to %d" % (1000 - _AT_REST_MG, 1000 + _AT_REST_MG)
    if isinstance(found, str):
        yield "gravity", False, found, "", limit
    else:
        square = sum(axis * axis for axis in found)
        size = 0
        for bit in range(15, -1, -1):
            if (size | 1 << bit) ** 2 <= square:
                size |= 1 << bit
        yield "gravity", abs(size - 1000) <= _AT_REST_MG, str(size), "mg", limit

    from drivers import lis2dw12_selftest as selftest

    limit = "%d to %d" % (selftest.LEAST_MG, selftest.MOST_MG)
    try:
        moved = selftest.deflections(port.sensor("accelerometer"))
    except fault.SensorFault as error:
        moved = fault_text.words(error.code)
    for axis in range(3):
        name = "deflection " + "xyz"[axis]
        if isinstance(moved, str):
            yield name, False, moved, "", limit
        else:
            good = selftest.LEAST_MG <= moved[axis] <= selftest.MOST_MG
            yield name, good, str(moved[axis]), "mg", limit
    del selftest
    port.release("accelerometer")
    forget("drivers", "lis2dw12_selftest")


# ---- flash ----


def _flash(log):
    """Report the flash part, then erase, write, read and erase sectors without data.

    A part of any maker that passes these checks is good.
    """
    yield "flash chip", True, "%02x%02x%02x" % tuple(log.sectors.nor.jedec), "", "JEDEC id"
    spares = list(_spares(log))
    limits = "at most %d" % _ERASE_MS, "0 of %d" % (2 * len(spares) * log.sectors.size)
    if not spares:
        yield "flash erase", False, "the log leaves no sector free", "", limits[0]
        return
    slowest = wrong = 0
    try:
        for sector in spares:
            for inverse in (0, 0xFF):  # each bit must become 0 once, and 1 again
                slowest = max(slowest, _erase(log, sector))
                wrong += _write(log, sector, inverse)
            slowest = max(slowest, _erase(log, sector))
    except OSError as error:
        yield "flash erase", False, str(error), "", limits[0]
        return
    finally:
        log.sectors.forget()
    yield "flash erase", slowest <= _ERASE_MS, str(slowest), "ms", limits[0]
    yield "flash write", not wrong, str(wrong), "wrong bytes", limits[1]


def _spares(log):
    """Yield sectors that do not belong to the log according to the newest header.

    These are the sectors that the log opens last. A power loss may leave one half erased. An
    interrupted opening of a sector leaves the same state, so the log can handle it.
    """
    sectors = log.sectors
    found = 0
    for step in range(log.reach, 0, -1):
        sector = (log.head + step) % log.count
        state = sectors.header(sector)[0]
        if state not in (RETIRED, UNKNOWN):
            yield sector
            found += 1
            if found == _SPARES:
                return


def _erase(log, sector):
    """Erase a sector and return the time in ms. Raises OSError when it is not blank afterwards."""
    sectors = log.sectors
    sectors.forget()
    begun = time.ticks_ms()
    sectors.nor.erase(sectors.address(sector, 0))
    took = time.ticks_diff(time.ticks_ms(), begun)
    if not sectors.is_blank(sector):
        raise OSError("not blank after an erase")
    return took


def _write(log, sector, inverse):
    """Fill a sector with a pattern that differs from page to page; return the wrong bytes."""
    sectors = log.sectors
    page = bytearray(sectors.nor.program_size)
    back = bytearray(_PIECE)
    wrong = 0
    for start in range(0, sectors.size, len(page)):
        address = sectors.address(sector, start)
        for i in range(len(page)):
            # The pattern must not look like a header, and zeros would retire the sector.
            page[i] = (i * 37 + start // len(page) * 11 + sector) & 0xFF ^ inverse
        sectors.nor.program(address, page)
        for piece in range(0, len(page), _PIECE):
            sectors.nor.read(address + piece, back)
            wrong += sum(a != b for a, b in zip(back, memoryview(page)[piece:]))
    return wrong
