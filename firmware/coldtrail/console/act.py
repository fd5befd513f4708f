"""`shipment`, `reboot`, `selftest`, `repl`: commands that write to the log."""

import asyncio
import sys

from micropython import const

from memory import forget

# Constants of records.py, repeated so that the compiler can inline them.
_SERVICE = const(20)
_BY_CONSOLE = const(3)


async def do_shipment(console, words):
    """Start or stop a shipment, or show the active one."""
    recorder, state = console.recorder, console.state
    if not words:
        console.put("shipment", state.shipment)
        console.put("stopped_last", state.stopped)
        return
    starts = words[0] == "start" and len(words) == 2
    if not starts and words != ["stop"]:
        raise ValueError("type shipment, shipment start ID or shipment stop")
    if recorder.boot:
        raise ValueError("the log is full: let it call first")
    if starts:
        if len(words[1]) > 32:
            raise ValueError("a shipment's id has at most 32 characters")
        if words[1] in (state.shipment, state.stopped):
            raise ValueError("shipment %s has begun before: take a new id" % words[1])
    elif state.shipment is None:
        raise ValueError("no shipment is under way")
    await console.allow()
    from coldtrail import shipment

    t = console.port.since_boot(state.boot_rtc)[0]
    if starts:
        shipment.start(recorder, t, words[1])
    else:
        shipment.stop(recorder, t, _BY_CONSOLE)
    del shipment
    forget("coldtrail", "shipment")
    console.put("shipment", state.shipment)
    console.put("stopped_last", state.stopped)


async def do_reboot(console):
    """Restart the tracker; the log is kept."""
    await console.allow()
    print("starting anew")
    console.end_answer(False)
    # Let the printed text leave the chip before the reset.
    await asyncio.sleep_ms(50)
    console.port.restart()


async def do_selftest(console, words):
    """Start the self-test."""
    if words not in ([], ["gnss"]):
        raise ValueError("type selftest or selftest gnss")
    session = console.session
    if session.calling:
        raise ValueError("a call is under way: the modem is free when it has ended")
    if console.state.flight is not None:
        raise ValueError("flight mode: nothing may be sent")
    await console.allow()
    session.tracker.start_test(console.json, words == ["gnss"])
    if not console.json:
        print("the console is back when the self-test has ended")


# ---- service mode ----


async def do_repl(console):
    """Run Python statements until Ctrl-D or `exit`; sampling continues meanwhile."""
    recorder, state = console.recorder, console.state
    if not recorder.identity.service:
        raise ValueError("this tracker is not provisioned for service mode")
    if recorder.boot:
        raise ValueError("the log is full: let it call first")
    await console.allow()
    _note(console, 1)
    try:
        await _prompt(console, {"port": console.port, "asyncio": asyncio})
    finally:
        _note(console, 0)
    console.put("service_mode", "ended; %d blocks" % state.number)


def _note(console, on):
    """Record the start or the end of service mode, and seal the block after it."""
    t = console.port.since_boot(console.state.boot_rtc)[0]
    console.recorder.record(_SERVICE, [t, on])
    console.recorder.seal()


async def _prompt(console, names):
    lines = ""
    while True:
        line = await console.ask("... " if lines else ">>> ", False, 600)
        if line == "\x04" or (not lines and line.strip() in ("exit", "exit()")):
            return
        # An empty line ends a compound statement, as at MicroPython's own prompt.
        if lines and line:
            lines += line + "\n"
            continue
        if not lines and line.rstrip().endswith(":"):
            lines = line + "\n"
            continue
        source, lines = lines or line, ""
        try:
            _run(source, names)
        except Exception as error:
            sys.print_exception(error)


def _run(source, names):
    try:
        code = compile(source, "<console>", "eval")
    except SyntaxError:
        exec(compile(source, "<console>", "exec"), names)  # noqa: S102 -- a prompt must do this
        return
    value = eval(code, names)  # noqa: S307
    if value is not None:
        print(repr(value))
