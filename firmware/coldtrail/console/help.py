"""`help`: the list of commands."""

_HELP = (
    ("help [COMMAND]", "this list, or the lines of one command"),
    ("status", "shipment, verdict, alarms, faults, log, next sample"),
    ("sensors", "measure now, beside the samples of the shipment"),
    ("log", "how much the log holds"),
    ("log tail [N]", "the newest N records (10)"),
    ("log range FIRST LAST", "records by their numbers"),
    ("log export [FIRST]", "sealed blocks for 'coldtrail console --export'"),
    ("shipment start ID | stop", "begin or end a shipment"),
    ("profile", "intervals and rules in force"),
    ("alarms", "the rules and what they have seen; faults"),
    ("modem [on|off]", "switch it on, show card, network and signal; off again"),
    ("at COMMAND", "send an AT command, show the answer"),
    ("gnss [SECONDS]", "look for a position (120)"),
    ("config", "what was provisioned, without its secrets"),
    ("calibrate", "calibrations in force"),
    ("calibrate CHANNEL REFERENCE INSTRUMENT CERTIFICATE DUE",
     "add a point: the reading now against the reference; DUE as 2027-01-31"),
    ("selftest [gnss]", "every part once, with its limits"),
    ("time", "clock, its source and uncertainty"),
    ("power", "battery and cable"),
    ("version", "firmware, interpreter, board"),
    ("reboot", "start anew"),
    ("repl", "a MicroPython prompt, in service mode; ends with Ctrl-D or 'exit'"),
)  # fmt: skip


async def do_help(console, words):
    """List the commands."""
    for usage, text in _HELP:
        if not words or usage.split()[0] == words[0]:
            await console.row("%-26s %s" % (usage, text), ("command", usage), ("does", text))
    if not words:
        await console.row(
            "each also with --json; what changes something asks for the code in transit"
        ) if not console.json else None
