"""BG95: commands that it can do without, and settings that it keeps from whatever came before.

Modules differ in what they know. Sources as in modem.py.

    await settings.attempt(modem.at, b"AT+QISDE=0")
    await settings.keep(modem.at, b"AT+CPSMS?", b"+CPSMS:", b"0", b"AT+CPSMS=0")
    modem.at.passed  # what was refused or not answered
"""

from drivers.bg95.at import COMMAND_MS, CommandError, NoAnswer


async def attempt(at, command, prefix=b"", limit_ms=COMMAND_MS):
    """Do what ``AT.command`` does; return None where the modem refuses or does not answer.

    The command is then noted in ``at.passed``. Raises ModemError where the modem has restarted,
    NoAnswer where it answers nothing else either.
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
    """Bring a setting to ``wanted``: how the answer to ``read`` begins after ``prefix``.

    The modem keeps it in its flash: ``write`` is sent only where it differs. Raises as
    ``attempt``.
    """
    found = await attempt(at, read, prefix)
    if found is not None and not found.startswith(wanted):
        await attempt(at, write, limit_ms=limit_ms)
