"""`sensors`: a measurement outside the shipment's samples; `calibrate`: the corrections."""

import os

from micropython import const

from coldtrail.contract import cbor
from coldtrail.decimal import decimal
from coldtrail.sensing import sampler
from drivers import fault_text
from memory import forget

_FILE = "calibration.cbor"  # the name that start.py reads
_NEW = "calibration.new"
_NAMES = "payload ambient humidity light battery".split()
_PLACES = (2, 2, 1, 2, 0, 0, 0, 0)
_UNITS = "C C %RH lx mV mg mg mg".split()
_POINTS = const(8)


def _reading(console):
    """Measure as for a sample; only a motion event that was pending is logged."""
    from coldtrail import sample

    tracker = console.session.tracker
    reading = sampler.read(console.port, [])
    # The accelerometer may hold an event for the next sample, which would be lost with its driver.
    sample.record_motion(tracker, tracker.rounded_now())
    console.port.release_all()
    del sample
    forget("coldtrail", "sample")
    forget("coldtrail.sensing", "sampler")  # this module has it until it is given back itself
    return reading


def _channel(n):
    return _NAMES[n] if n < 5 else "acceleration_" + "xyz"[n - 5]


async def do_sensors(console):
    """Measure and show raw and corrected values."""
    tables = console.session.tracker.corrections
    reading = _reading(console)
    status = reading[0]
    for number, _, channels in sampler.SENSORS:
        code = status >> 4 * number & 15
        fault = fault_text.words(code)
        for channel in channels:
            raw = reading[1 + channel]
            value = raw
            if raw is not None and channel in tables:
                from coldtrail.sensing.correction import corrected

                value = corrected(tables[channel], raw)
            places = _PLACES[channel]
            text = "%-15s -  %s" % (_channel(channel), fault)
            if value is not None:
                shown = decimal(value, places)
                text = "%-15s %s %s" % (_channel(channel), shown, _UNITS[channel])
            if value != raw:
                text += "  (raw %s)" % decimal(raw, places)
            await console.row(
                text, ("channel", _channel(channel)), ("value", value, places),
                ("raw", raw, places), ("unit", _UNITS[channel]), ("status", fault),
            )  # fmt: skip
    forget("drivers", "fault_text")  # the module is unloaded after its command


# ---- calibrate ----


def _load():
    if _FILE not in os.listdir():
        return []
    with open(_FILE, "rb") as file:
        return cbor.decode(file.read())


async def do_calibrate(console, words):
    """Show the calibrations, or add a point to one."""
    entries = _load()
    if not words:
        for channel, instrument, certificate, date, due, points in entries:
            await console.row(
                "%-10s %s, certificate %s, %d points, due in Unix second %d"
                % (_channel(channel), instrument, certificate, len(points), due),
                ("channel", _channel(channel)), ("instrument", instrument),
                ("certificate", certificate), ("date", date), ("due", due), ("points", points),
            )  # fmt: skip
        if not entries and not console.json:
            print("no sensor has a calibration")
        return
    if len(words) != 5 or words[0] not in _NAMES:
        raise ValueError(
            "type calibrate CHANNEL REFERENCE INSTRUMENT CERTIFICATE DUE; CHANNEL is one of "
            + " ".join(_NAMES)
        )
    channel = _NAMES.index(words[0])
    reference = _scaled(words[1], _PLACES[channel])
    from coldtrail import utc

    try:
        due = utc.day(words[4])
    finally:
        del utc
        forget("coldtrail", "utc")
    state = console.state
    if state.sync is None:
        raise ValueError("the clock is not set, so the date is not known: let it call first")
    await console.allow()
    now = state.sync[2] + console.port.since_boot(state.boot_rtc)[0] - state.sync[0]
    raw = _reading(console)[1 + channel]
    if raw is None:
        raise ValueError("the sensor gives no reading: see sensors")
    entry = [channel, words[2], words[3], now, due, []]
    for old in entries:
        if old[0] == channel:
            # The points of one certificate belong together; a new certificate starts with none.
            if old[1:3] == entry[1:3]:
                entry[5] = [point for point in old[5] if point[0] != raw]
            entries.remove(old)
            break
    entry[5].append([raw, reference - raw])
    entry[5].sort()
    entries.append(entry)
    entries.sort()
    data = cbor.encode(entries)
    from coldtrail.sensing import calibration

    calibration.load(data)  # raises ValueError before anything is written
    del calibration
    forget("coldtrail.sensing", "calibration")
    with open(_NEW, "wb") as file:
        file.write(data)
    os.rename(_NEW, _FILE)
    console.put("channel", words[0])
    console.put("raw", raw, _UNITS[channel], _PLACES[channel])
    console.put("offset", reference - raw, _UNITS[channel], _PLACES[channel])
    console.put("points", len(entry[5]))
    console.put("in_force", "after a reboot")


def _scaled(text, places):
    """Return a decimal number as an integer in units of 10 ** -``places``. Raises ValueError."""
    sign = -1 if text[:1] == "-" else 1
    whole, _, part = text.lstrip("-").partition(".")
    if not whole.isdigit() or len(whole) > 6 or (part and not part.isdigit()):
        raise ValueError("'%s' is not a decimal number" % text)
    if len(part) > places:
        raise ValueError("'%s' has more than %d decimal places" % (text, places))
    return sign * int(whole + part + "0" * (places - len(part)))
