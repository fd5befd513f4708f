"""Commands that only show: status, alarms, profile, config, time, power, version."""

import sys

import board
from coldtrail import VERSION
from coldtrail.decimal import decimal
from drivers.fault import SensorFault
from memory import forget

_CHANNELS = (
    "payload ambient humidity light battery acceleration_x acceleration_y acceleration_z "
    "shock free_fall"
).split()
_PLACES = (2, 2, 1, 2, 0, 0, 0, 0, 0, 0)
_UNITS = "C C %RH lx mV mg mg mg mg ms".split()
_KINDS = "? instant consecutive cumulative trend".split()
_COMPARISONS = "? < <= > >=".split()
_SUBJECTS = (
    "probe ambient light accelerometer battery log modem clock configuration downlink"
).split()
_SOURCES = "? network satellites gateway".split()

# Flags in the state of a rule (alarms.py).
_BREACH = 4
_LATCHED = 8


def _faults(state):
    return ["%s %d" % (_SUBJECTS[fault >> 4], fault & 15) for fault in state.faults]


async def do_status(console):
    """Show the verdict and what else a receiving clerk needs."""
    state, log, port = console.state, console.recorder.log, console.port
    engine = state.engine
    tracker = console.session.tracker
    now = port.since_boot(state.boot_rtc)[0]
    # The verdict that the button shows: red, or green and red alternating.
    verdict = "alarm" if engine.alarmed else "good"
    if state.faults or state.shipment is None or tracker.is_overdue(now):
        verdict += ", but see faults, shipment and calibrations"
    console.put("tracker", console.recorder.identity.tracker)
    console.put("shipment", state.shipment)
    console.put("verdict", verdict)
    standing = [rule[0] for rule, flags in _judged(state) if flags & _BREACH]
    console.put("alarms_now", standing)
    console.put("faults", _faults(state))
    console.put("last_sample_s", None if state.last is None else now - state.last, "s ago")
    console.put("next_sample_s", tracker.wait_s(), "s")
    console.put("boot", state.boot)
    console.put("up_s", now, "s")
    console.put("blocks", state.number)
    console.put("confirmed", state.watermark)
    console.put("records", [log.first, log.next - 1])
    console.put("calling", console.session.calling)


def _judged(state):
    """Return (rule, flags of its state) of every rule."""
    return [(rule, own[0]) for rule, own in zip(state.profile.rules, state.engine.states)]


async def do_alarms(console):
    """Show every rule with its state, then the faults."""
    if not console.state.profile.rules and not console.json:
        print("the profile has no rules")
    for rule, flags in _judged(console.state):
        ident, kind, channel, comparison, threshold, duration = rule[:6]
        state = "alarm" if flags & _BREACH else "was alarmed" if flags & _LATCHED else "good"
        places = _PLACES[channel]
        limit = "%s %s %s %s" % (
            _CHANNELS[channel],
            _COMPARISONS[comparison],
            decimal(threshold, places),
            _UNITS[channel],
        )
        if duration:
            limit += " %s %d s" % (_KINDS[kind], duration)
        await console.row(
            "rule %-3d %-12s %s" % (ident, state, limit),
            ("rule", ident), ("state", state), ("kind", _KINDS[kind]),
            ("channel", _CHANNELS[channel]), ("comparison", _COMPARISONS[comparison]),
            ("threshold", threshold, places), ("duration_s", duration),
        )  # fmt: skip
    for fault in _faults(console.state):
        await console.row("fault    " + fault, ("fault", fault))


async def do_profile(console):
    """Show the active profile. Only a gateway command or provisioning changes it."""
    profile = console.recorder.profile
    console.put("profile", profile.name)
    console.put("digest", profile.digest.hex())
    console.put("interval_s", profile.interval, "s")
    console.put("alarm_interval_s", profile.alarm_interval, "s")
    console.put("upload_s", profile.upload_interval, "s")
    console.put("alarm_upload_s", profile.alarm_upload_interval, "s")
    console.put("start_delay_s", profile.start_delay, "s")
    console.put("rules", len(profile.rules))
    console.put("when_full", "overwrites the oldest" if profile.overwrite else "stops sampling")
    console.put("position_s", profile.position_interval, "s")


async def do_config(console):
    """Show the identity and the gateway; never a key, code, PIN or password."""
    identity = console.recorder.identity
    console.put("tracker", identity.tracker)
    console.put("key_version", identity.kid)
    console.put("broker", "%s:%d" % (identity.host, identity.port))
    console.put("tls", bool(identity.tls))
    console.put("apn", identity.apn)
    console.put("apn_user", identity.apn_user)
    console.put("sim_pin", "is set" if identity.pin else "none")
    console.put("code", "is set" if identity.code else "none")
    console.put("shipment", identity.shipment)
    console.put("flights", len(identity.flights))
    console.put("service_mode", bool(identity.service))
    console.put("board", board.NAME)


async def do_time(console):
    """Show the current time and its uncertainty."""
    state = console.state
    t, ms = console.port.since_boot(state.boot_rtc)
    sync = state.sync
    console.put("boot", state.boot)
    console.put("since_boot_s", t, "s")
    if sync is None:
        console.put("utc", None)
        return
    since = (t - sync[0]) * 1000 + ms - sync[1]
    console.put("utc", _utc(sync[2] + (sync[3] + since) // 1000))
    # In the worst case the tolerances of two crystals add up.
    console.put("uncertainty_ms", sync[4] + since * 2 * board.RTC_PPM // 1000000, "ms")
    console.put("source", _SOURCES[sync[5]])
    console.put("last_sync_s", since // 1000, "s ago")


def _utc(unix):
    """Return Unix seconds as text.

    MicroPython's own time functions are not used, because their epoch depends on the port.
    """
    days, rest = unix // 86400, unix % 86400
    # Days since 1 March of year 0, so that the leap day is the last day of a year.
    era = days + 719468
    year = (era * 4 + 3) // 146097
    day = era - 146097 * year // 4
    of_year = (day * 4 + 3) // 1461
    day -= 1461 * of_year // 4
    month = (day * 5 + 2) // 153
    day -= (153 * month + 2) // 5
    year = year * 100 + of_year + (1 if month > 9 else 0)
    month += 3 if month < 10 else -9
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % (
        year, month, day + 1, rest // 3600, rest // 60 % 60, rest % 60,
    )  # fmt: skip


async def do_power(console):
    """Show the battery and the cable."""
    console.put("cable", console.port.cable())
    if "battery" not in board.SENSORS:
        console.put("battery_mv", None)
        return
    try:
        mv = console.port.sensor("battery").measure()
    except SensorFault as fault:
        raise ValueError("the battery's voltage cannot be: fault %d" % fault.code)
    finally:
        console.port.release_all()
    console.put("battery_mv", mv, "mV")
    from drivers.battery import percent

    console.put("charge_percent", percent(mv, board.SENSORS["battery"]["curve"]), "%")
    del percent
    forget("drivers", "battery")


async def do_version(console):
    """Show the versions of the firmware."""
    console.put("firmware", VERSION)
    console.put("micropython", ".".join([str(n) for n in sys.implementation.version[:3]]))
    console.put("board", board.NAME)
    console.put("chip", board.CHIP)
    from coldtrail.ports import parts

    console.put("serial_number", parts.unique_id().hex())
    del parts
    forget("coldtrail.ports", "parts")
