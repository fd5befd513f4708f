"""The profile: the limits of a shipment, provisioned as CBOR (`profile` in uplink.cddl)."""

import hashlib
from collections import namedtuple

from micropython import const

from coldtrail.contract.cbor import decode
from coldtrail.sensing.sampler import SENSORS

_MAX_TREND_RULES = const(2)  # each takes up to 100 bytes of every checkpoint
_EVENTS = const((8, 9))  # event channels, which the accelerometer measures
_MIN_BUCKETS = const(16)  # as in trend.py: each bucket of a window needs a sample

# The smallest and the largest reading of each channel (firmware/ranges.toml).
_RANGES = (
    (-20000, 11000),
    (-4000, 12500),
    (0, 1000),
    (0, 8386560),
    (2300, 4500),
    (-15991, 15989),
    (-15991, 15989),
    (-15991, 15989),
    (1250, 15750),
    (60, 160),
)

_RULE = (
    ("id", 0, 255),
    ("kind", 1, 4),
    ("channel", 0, 9),
    ("comparison", 1, 4),
    ("threshold", -16777215, 16777215),
    ("duration", 0, 1073741823),
    ("hysteresis", 0, 16777215),
    ("window", 0, 86400),
)


# This is a namedtuple, because an instance of a class would keep the whole module in memory.
Profile = namedtuple(
    "Profile",
    (
        "digest",
        "name",
        "interval",
        "alarm_interval",
        "upload_interval",
        "alarm_upload_interval",
        "start_delay",
        "rules",
        "required",
        "overwrite",
        "position_interval",
        "urgent_faults",
        "zone_start",
        "flight_limit",
        "arrival_window",
    ),
)


def wanted(profile):
    """Return the channels that a Profile requires or judges, ascending.

    A rule on a channel without a sensor would otherwise look like a rule that was never broken.
    """
    return sorted(set(profile.required) | {rule[2] for rule in profile.rules})


def missing(required, fitted):
    """Return the channels in ``required`` that no sensor in ``fitted`` measures."""
    measured = []
    for _, name, channels in SENSORS:
        if name in fitted:
            measured += channels
    if "accelerometer" in fitted:
        measured += _EVENTS
    return [channel for channel in required if channel not in measured]


def named(channels):
    """Return the names of channels, as used in a profile's file, separated by commas."""
    names = (
        "payload ambient humidity light battery "
        "acceleration_x acceleration_y acceleration_z shock free_fall"
    ).split()
    return ", ".join([names[channel] for channel in channels])


def load(data):
    """Return the Profile in `data`. Raises ValueError with one sentence that names the fault.

    name, digest: the first 8 bytes of SHA-256 over the profile's bytes.
    interval (of sampling), upload_interval, the same two with alarm_, start_delay: in seconds.
    rules: tuple of tuples for alarms.Engine. required: tuple of channels.
    overwrite: True when a log full of unconfirmed data discards the oldest.
    position_interval: in seconds; 0 means only on command.
    urgent_faults: tuple of fault subjects that cause an immediate call.
    zone_start: True when judging begins with the first reading within the limits, and no later
    than start_delay. flight_limit: longest radio silence after a take-off in seconds; 0 means that
    take-offs are not detected.
    arrival_window: seconds before the stop within which light and motion alarms belong to the
    arrival (arrival.py); 0 means that none does.
    """
    fields = decode(data)
    if not isinstance(fields, dict):
        raise ValueError("the profile is not a map.")
    for key in fields:
        if key > 14:
            raise ValueError("the profile has an unknown key %d." % key)
    _number(fields.get(0), "version", 1, 1)
    name = fields.get(1)
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= 32:
        raise ValueError("the profile's name must be a text of 1 to 32 bytes.")
    interval = _number(fields.get(2), "interval", 1, 86400)
    alarm_interval = _number(fields.get(3), "alarm interval", 1, 86400)
    upload_interval = _number(fields.get(4), "upload interval", 60, 604800)
    alarm_upload_interval = _number(fields.get(5), "alarm upload interval", 60, 604800)
    start_delay = _number(fields.get(6), "start delay", 0, 604800)
    rules = tuple([_rule(rule, interval) for rule in _list(fields.get(7), "rules", 16)])
    if len({rule[0] for rule in rules}) != len(rules):
        raise ValueError("two rules of the profile have the same id.")
    if sum(rule[1] == 4 for rule in rules) > _MAX_TREND_RULES:
        raise ValueError("the profile has more than %d trend rules." % _MAX_TREND_RULES)
    required = _list(fields.get(8, []), "required channels", 10)
    urgent = _list(fields.get(11, []), "faults that call at once", 10)
    zone_start = _number(fields.get(12, 0), "zone start", 0, 1) == 1
    if zone_start and start_delay == 0:
        raise ValueError("in the profile, zone start needs a start delay.")
    return Profile(
        hashlib.sha256(data).digest()[:8],
        name,
        interval,
        alarm_interval,
        upload_interval,
        alarm_upload_interval,
        start_delay,
        rules,
        tuple([_number(channel, "a channel", 0, 9) for channel in required]),
        _number(fields.get(9, 0), "overwrite", 0, 1) == 1,
        _number(fields.get(10, 0), "position interval", 0, 604800),
        tuple([_number(subject, "a fault's subject", 0, 9) for subject in urgent]),
        zone_start,
        _number(fields.get(13, 0), "flight", 0, 86400),
        _number(fields.get(14, 0), "arrival window", 0, 3600),
    )


def _rule(values, interval):
    if not isinstance(values, list) or len(values) != len(_RULE):
        raise ValueError("a rule of the profile is not a list of %d numbers." % len(_RULE))
    for value, (name, low, high) in zip(values, _RULE):
        _number(value, "a rule's " + name, low, high)
    ident, kind, channel, comparison, threshold, duration, hysteresis, window = values
    where = "rule %d of the profile: " % ident
    if (duration == 0) != (kind == 1):
        raise ValueError(where + "instant has duration 0, every other kind a longer one.")
    if kind != 4 and window:
        raise ValueError(where + "only a trend has a window.")
    if kind == 4 and window < _MIN_BUCKETS * interval:
        raise ValueError(where + "its window must hold at least %d samples." % _MIN_BUCKETS)
    if channel > 7 and (kind != 1 or comparison < 3 or threshold < 1 or hysteresis):
        raise ValueError(where + "of shock and free fall, only instant, above a positive number.")
    low, high = _RANGES[channel]
    if not low <= threshold + (comparison == 3) - (comparison == 1) <= high:
        raise ValueError(where + "its part tells %d to %d." % (low, high))
    return tuple(values)


def _number(value, name, low, high):
    # In Python a bool is an int, in CBOR it is not a number.
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError("in the profile, %s must be %d to %d." % (name, low, high))
    return value


def _list(values, name, most):
    if not isinstance(values, list) or len(values) > most:
        raise ValueError("in the profile, %s must be a list of at most %d." % (name, most))
    return values
