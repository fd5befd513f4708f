"""BG95, settings: optional commands, and settings that earlier use has left in the modem's flash.

Modules differ in the commands they know. Sources as in modem.py.

    await settings.attempt(modem.at, b"AT+QISDE=0")
    await settings.keep(modem.at, b"AT+CPSMS?", b"+CPSMS:", b"0", b"AT+CPSMS=0")
    modem.at.passed  # the commands that the modem refused or did not answer
"""

from drivers.bg95.at import COMMAND_MS, CommandError, NoAnswer


async def attempt(at, command, prefix=b"", limit_ms=COMMAND_MS):
    """Send an optional command as ``AT.command`` does; return None when the modem refuses it.

    A command that is refused or not answered is noted in ``at.passed``. Raises ModemError when the
    modem has restarted, NoAnswer when it answers no other command either.
    """
    try:
        return await at.command(command, prefix, limit_ms)
    except CommandError:
        pass
    except NoAnswer:
        await at.in_step()
    if command not in at.passed:
        at.passed.append(command)
    return None


async def keep(at, read, prefix, wanted, write, limit_ms=COMMAND_MS):
    """Send ``write`` unless the answer to ``read`` begins with ``wanted`` after ``prefix``.

    The modem keeps the setting in its flash, so it is written only when it differs. Raises what
    ``attempt`` raises.
    """
    found = await attempt(at, read, prefix)
    if found is not None and not found.startswith(wanted):
        await attempt(at, write, limit_ms=limit_ms)
