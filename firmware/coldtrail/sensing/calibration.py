"""The calibrations of the sensors, provisioned in calibration.cbor."""

from micropython import const

from coldtrail.contract.cbor import decode

_CHANNELS = const(5)
_POINTS = const(8)
_READING = const(16777215)
_OFFSET = const(32767)


def load(data):
    """Return the calibrations in the CBOR array ``data``, the file ``calibration.cbor``.

    A calibration is [channel, instrument, certificate, date, due, [[raw, offset], ...]], as in
    event 16 of uplink.cddl. Dates are in Unix seconds; raw readings and offsets are in the unit of
    the channel. Raises ValueError with one sentence that names the fault.
    """
    calibrations = decode(data)
    if not isinstance(calibrations, list):
        raise ValueError("calibration.cbor is not a list: provision again")
    channels = []
    for calibration in calibrations:
        if not isinstance(calibration, list) or len(calibration) != 6:
            raise ValueError("calibration.cbor has an entry that is not a list of 6")
        channel, instrument, certificate, date, due, points = calibration
        _number(channel, "a channel", 0, _CHANNELS - 1)
        where = "the calibration of channel %d: " % channel
        if channel in channels:
            raise ValueError(where + "it is there twice")
        channels.append(channel)
        for text in (instrument, certificate):
            if not isinstance(text, str) or not 1 <= len(text.encode()) <= 32:
                raise ValueError(where + "instrument and certificate are texts of 1 to 32 bytes")
        _number(date, where + "its date", 1577836800, 4294967295)
        _number(due, where + "its due date", date, 4294967295)
        _check(points, where)
    return calibrations


def _check(points, where):
    if not isinstance(points, list) or len(points) > _POINTS:
        raise ValueError(where + "its points are not a list of at most %d" % _POINTS)
    last = -_READING - 1
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise ValueError(where + "a point is not [raw, offset]")
        _number(point[0], where + "a raw reading (they ascend)", last + 1, _READING)
        _number(point[1], where + "an offset", -_OFFSET, _OFFSET)
        last = point[0]


def _number(value, name, low, high):
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError("calibration.cbor: %s must be %d to %d" % (name, low, high))
