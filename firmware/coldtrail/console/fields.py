"""The fields of the log's records with names and units; loaded only while `log` lists records."""

from micropython import const

from coldtrail.decimal import decimal

_ABOVE = const(16777215)  # a reading beyond the range of its part, see alarm-start in the contract

# For each type of record (uplink.cddl, event) its fields: NAME, NAME:UNIT or NAME:UNIT:PLACES. The
# unit @ is that of the channel which the record names. From 28 on, the types are those of the log.
FIELDS = """
1 t:s status
2 t:s latitude:deg:6 longitude:deg:6 uncertainty:m source
3 t:s boot_number cause rtc:s firmware
4 t:s ms unix:s unix_ms uncertainty:ms source
5 t:s rule_id kind channel comparison threshold:@ duration:s value:@ seconds_beyond:s
6 t:s rule_id cause minimum:@ maximum:@ beyond:s
7 t:s profile_name digest
8 t:s old new
9 t:s cause records
10 t:s shipment
11 t:s shipment cause
12 t:s on cause
13 t:s subject code on
14 t:s x:mg y:mg z:mg
15 t:s duration:ms
16 t:s of_channel instrument certificate date:s due:s points:@
17 t:s counter of_action outcome reason
18 t:s repeats re_attachments by_command by_pin supply_cycles refused
19 t:s mcc mnc area id technology signal:dBm
20 t:s on
21 t:s of_channel value:@
22 t:s ms unix:s unix_ms uncertainty:ms source
28 number last_record flags size:bytes
29 watermark ranges release pending
30 size:bytes
"""
# The channels in order; a sample has the first eight after its status.
_CHANNELS = (
    "payload:C:2 ambient:C:2 humidity:%RH:1 light:lx:2 battery:mV "
    "acceleration_x:mg acceleration_y:mg acceleration_z:mg shock:mg free_fall:ms"
)


def row(kind, values):
    """Return the fields of a record as text and as (name, value, places) for ``Console.row``.

    ``values`` are the record's fields in order. In the text a value has its unit behind it; of the
    pairs, the name ends in the unit.
    """
    channels = _CHANNELS.split()
    specs = _line(kind).split()
    if kind == 1:
        specs += channels
    text, pairs, channel = [], [], ""
    for spec, value in zip(specs, values):
        name, unit, places = _parts(spec)
        if unit == "@" and value in (_ABOVE, -_ABOVE):
            value, unit = "above its range" if value > 0 else "below its range", ""
        elif unit == "@" and channel:
            unit, places = _parts(channel)[1:]
        if name.endswith("channel"):
            channel = channels[value]
            value = _parts(channel)[0]
        if isinstance(value, bytes):
            value = value.hex()
        elif name == "points":
            value = ["%s: %s" % (decimal(raw, places), decimal(add, places)) for raw, add in value]
            value, places = ", ".join(value), 0
        shown = "-" if value is None else decimal(value, places) if places else value
        behind = " in the channel's unit" if unit == "@" else " " + unit
        if value is None or not unit:
            behind = ""
        text.append("%s %s%s" % (name.replace("_", " "), shown, behind))
        if unit.strip("@"):
            name += "_" + unit.lower().replace("%rh", "pct")
        pairs.append((name, value, places))
    return ", ".join(text), pairs


def _line(kind):
    start = FIELDS.find("\n%d " % kind) + len("\n%d " % kind)
    return FIELDS[start : FIELDS.find("\n", start)]


def _parts(spec):
    name, unit, places = (spec + "::").split(":")[:3]
    return name, unit, int(places or 0)
