"""The state of a tracker that cannot run: it says why, sleeps, and tries again.

Imported only then. Without its log a tracker has nothing to stand for what it measures, so a part
that the log needs, or a program that does not come to its end, is not survived by going on. Nor by
one reset after the other, which nobody sees and which empties the battery. Somebody at the tracker
sees both colours by turns for ten seconds at each try, so also at a press of the button, and reads
the reason on the cable for as long as it is in.

It does not call. What the gateway believes are blocks, and a block is sealed with the number and
the hash of the one before, which are in the log, and is on flash before its first byte is sent. A
message outside the chain would have to be believed without that, and would be the way in for
whoever wants a shipment to be taken for lost. The gateway learns of the silence itself: it knows
when the next call was due.
"""

from micropython import const

import board
from coldtrail import panel
from coldtrail.ports import parts

_SHOWN = const(5)  # times 2 s
_PAUSES_S = (60, 300, 3600)  # a loose contact is back in a minute, a dead part is not worth more
_MARK = const(0xC7)  # from start.py, so that the compiler puts it in place
_MOST = const(255)
_SENSORS = ("light", "accelerometer")


def stand(port, failures, reason):
    """Say ``reason`` and sleep; returns where the chip's sleep does, to try again.

    ``failures``: starts in a row that have failed, this one included. While there is power on the
    cable it stays and goes on saying it.
    """
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
    port.retain(bytes((_MARK, min(failures, _MOST))))
    watchdog.feed()
    port.deep_sleep(pause_s * 1000, _SENSORS)
