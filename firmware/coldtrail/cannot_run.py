"""The state of a tracker that cannot run: it says why, sleeps, and tries again.

The module is imported only in this state and after a reset by the watchdog. A tracker without a
log cannot prove what it measures. When a part that the log needs has failed, or the program never
comes to its end, going on does not help. Resets without end do not help either: nobody sees them,
and they empty the battery. At each try, and at a press of the button, both colours of the LED take
turns for ten seconds. On the cable the reason is repeated as long as the cable is in.

The tracker does not call in this state. The gateway accepts only blocks, and a block contains the
number and the hash of the block before it, which are in the log. A message outside the chain would
have to be accepted without them, and anybody could use it to report a shipment as lost. The
gateway notices the silence by itself, because it knows when the next call was due.
"""

import sys

from micropython import const

import board

# From records.py, so that the compiler puts them in place.
_POWER_ON = const(1)

_MARK = const(0xC7)
_MOST = const(255)
_MOST_RESETS = const(5)  # this many resets by the watchdog in a row mean that it cannot run
_SHOWN = const(5)  # times 2 s
_PAUSES_S = (60, 300, 3600)  # a loose contact is back in a minute; a dead part gets a rare try
_SENSORS = ("light", "accelerometer")


def before(port):
    """Count a reset by the watchdog; return why the tracker must not start, or None.

    The number of resets in a row is kept in the RTC memory. This wears no flash, and a tracker
    that reaches its sleep overwrites the number with its hint. On the nRF52840 no memory survives
    a reset by the watchdog, so only raised errors are counted there.
    """
    failures = _failures(port) + 1
    _keep(port, failures)
    if failures < _MOST_RESETS:
        return None
    return "the watchdog has reset it %d times in a row" % failures


def stand(port, reason):
    """Print ``reason``, an exception or a text, and sleep; returns on chips whose sleep returns.

    While there is power on the cable, the tracker stays awake and repeats the reason.
    """
    from coldtrail import panel
    from coldtrail.ports import parts

    failures = _failures(port)
    if isinstance(reason, Exception):
        sys.print_exception(reason)
        failures += 1
        said = reason.args[-1] if reason.args else ""
        reason = "%s: %s" % (type(reason).__name__, said)
    parts.cut_modem(board)  # the tracker may have failed in the middle of a call
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
