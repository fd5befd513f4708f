"""The state of a tracker that cannot run: it says why, sleeps, and tries again.

Imported only then, and after a watchdog's reset. Without its log a tracker has nothing to stand
for what it measures, so a part that the log needs, or a program that does not come to its end, is
not survived by going on. Nor by one reset after the other, which nobody sees and which empties the
battery. Somebody at the tracker sees both colours by turns for ten seconds at each try, so also at
a press of the button, and reads the reason on the cable for as long as it is in.

It does not call. What the gateway believes are blocks, and a block is sealed with the number and
the hash of the one before, which are in the log, and is on flash before its first byte is sent. A
message outside the chain would have to be believed without that, and would be the way in for
whoever wants a shipment to be taken for lost. The gateway learns of the silence itself: it knows
when the next call was due.
"""

import sys

from micropython import const

import board

# From records.py, so that the compiler puts them in place.
_POWER_ON = const(1)

_MARK = const(0xC7)
_MOST = const(255)
_MOST_RESETS = const(5)  # of the watchdog, one after the other, before it is said
_SHOWN = const(5)  # times 2 s
_PAUSES_S = (60, 300, 3600)  # a loose contact is back in a minute, a dead part is not worth more
_SENSORS = ("light", "accelerometer")


def before(port):
    """Count a reset by the watchdog; return why to make no start, or None.

    How many in a row have failed is kept in the RTC memory: no flash wears by it, and a tracker
    that comes to its sleep overwrites it with its hint. On the nRF52840 nothing survives a
    watchdog's reset, so that only what is raised is counted there.
    """
    failures = _failures(port) + 1
    _keep(port, failures)
    if failures < _MOST_RESETS:
        return None
    return "the watchdog has reset it %d times in a row" % failures


def stand(port, reason):
    """Say ``reason``, an exception or a text, and sleep; returns where the chip's sleep does.

    While there is power on the cable it stays and goes on saying it.
    """
    from coldtrail import panel
    from coldtrail.ports import parts

    failures = _failures(port)
    if isinstance(reason, Exception):
        sys.print_exception(reason)
        failures += 1
        said = reason.args[-1] if reason.args else ""
        reason = "%s: %s" % (type(reason).__name__, said)
    parts.cut_modem(board)  # it may have been in the middle of a call
    watchdog = port.watchdog()
    pause_s = _PAUSES_S[min(failures, len(_PAUSES_S)) - 1]
    while True:
        print("coldtrail: cannot run: %s. Tries again in %d min." % (reason, pause_s // 60))
        for _ in range(_SHOWN):
            watchdog.feed()
            panel.show(port, True, True)
        if not port.cable():
            break
    _keep(port, failures)
    watchdog.feed()
    port.deep_sleep(pause_s * 1000, _SENSORS)


def _failures(port):
    kept = port.retained()
    if len(kept) == 2 and kept[0] == _MARK and port.boot_cause != _POWER_ON:
        return kept[1]
    return 0


def _keep(port, failures):
    port.retain(bytes((_MARK, min(failures, _MOST))))
