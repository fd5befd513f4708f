"""`modem`, `at`, `gnss`: use the modem by hand. Unplugging the cable switches it off."""

from micropython import const

import board
from drivers.bg95.at import AT, ModemError
from memory import forget

_POWER_ON_MS = const(30_000)
_ANSWER_MS = const(20_000)
_REGISTER_MS = const(60_000)
_LINES = const(64)
_GNSS_S = const(120)

# The modem's files hold the tracker's certificate and key; the other settings hold passwords.
_SECRET = ("+QF", "+QICSGP", "+CGAUTH", "+QSSLCFG", "+CPIN", "+CLCK", "+CPWD")


async def _on(console):
    """Return the driver of the modem, which is switched on. Raises ValueError, OSError."""
    session = console.session
    if not getattr(board, "MODEM", None):
        raise ValueError("there is no modem on this board")
    if session.calling:
        raise ValueError("a call is under way: the modem is free when it has ended")
    if console.state.flight is not None:
        raise ValueError("flight mode: nothing may be sent")
    console.on_air = True
    if session.modem is None:
        session.modem = console.port.modem()
        try:
            await session.modem.power_on(_POWER_ON_MS)
        except BaseException:
            modem, session.modem = session.modem, None
            await modem.power_off()
            raise
    return session.modem


async def do_modem(console, words):
    """Switch the modem on or off; show its card, network and signal."""
    if words == ["off"]:
        if console.session.calling:
            raise ValueError("a call is under way: it ends with the modem off")
        modem, console.session.modem = console.session.modem, None
        if modem is not None:
            await modem.power_off()
        console.put("modem", "off")
        return
    if words not in ([], ["on"]):
        raise ValueError("type modem, modem on or modem off")
    await console.allow()
    modem = await _on(console)
    console.put("modem", "on")
    identity = console.recorder.identity
    try:
        user, password, pin = identity.apn_user, identity.apn_password, identity.pin
        await modem.register(identity.apn, _REGISTER_MS, user, password, pin)
        console.put("registration", "registered")
    except ModemError as error:
        console.put("registration", str(error))
    for name, command, prefix in (
        ("revision", b"AT+CGMR", b"BG"),
        ("card", b"AT+QCCID", b"+QCCID:"),
        ("operator", b"AT+COPS?", b"+COPS:"),
    ):
        try:
            answer = str(await modem.at.command(command, prefix), "utf-8")
            console.put(name, "BG" + answer if name == "revision" else answer)
        except ModemError as error:
            console.put(name, str(error))
    try:
        found = await modem.signal()
    except ModemError:
        found = None
    console.put("service", found[0] if found else None)
    console.put("rssi_dbm", found[1] if found else None, "dBm")
    console.put("rsrp_dbm", found[2] if found else None, "dBm")
    forget("drivers.bg95", "setup", "cell")


async def do_at(console, words):
    """Send an AT command and show every line of the answer."""
    command = " ".join(words)
    if not command:
        raise ValueError("type at and a command, such as at AT+CSQ")
    if command[:2].upper() != "AT":
        command = "AT" + command
    plain = command.upper().replace(" ", "")
    for secret in _SECRET:
        if secret in plain:
            raise ValueError("%s is not for the console: it could show a key or password" % secret)
    await console.allow()
    modem = await _on(console)
    await modem.at.stop()
    lines: list = []

    def take(line):
        if len(lines) < _LINES:
            lines.append(str(line, "utf-8"))

    at = AT(console.port.bus("UART", board.MODEM["uart"]), take)
    at.start()
    try:
        await at.command(command.encode(), limit_ms=_ANSWER_MS)
        lines.append("OK")
    finally:
        await at.stop()
        modem.at.start()
        for line in lines:
            await console.row(line, ("line", line))


async def do_gnss(console, words):
    """Search for a position and show it; it is not logged."""
    limit_s = _GNSS_S
    if words:
        if len(words) > 1 or not words[0].isdigit() or not 1 <= int(words[0]) <= 600:
            raise ValueError("type gnss, or gnss and 1 to 600 seconds")
        limit_s = int(words[0])
    await console.allow()
    modem = await _on(console)
    from drivers.bg95 import gnss

    state = console.state
    sync, now = state.sync, console.port.since_boot(state.boot_rtc)[0]
    unix = None if sync is None else sync[2] + now - sync[0]
    found = await gnss.locate(modem.at, limit_s * 1000, lambda: True, unix)
    del gnss
    forget("drivers.bg95", "gnss", "time")
    if found is None:
        raise ValueError("no position within %d s: give it the sky" % limit_s)
    console.put("latitude", found[0], "", 6)
    console.put("longitude", found[1], "", 6)
    console.put("uncertainty_m", found[2], "m")
