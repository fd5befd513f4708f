"""The positions in the lists that some modules keep from one wake to the next.

Session, detector and self-test are loaded for their work and unloaded afterwards, and the chip
sleeps between wakes. What each must remember is a short list, which is kept over deep sleep
(``Tracker``). As with log/records.py, nothing on the tracker imports this module. Each user
repeats the positions it uses as ``_NAME``, and tests/firmware/log/test_records.py compares the
copies with these originals.
"""

from micropython import const

# Of the detector: light and accelerometer (sensing/detector.py, tracker.py).
EVENTS_OPEN = const(0)  # whether the box is open, so that the detector waits for its closing
EVENTS_LIMIT = const(1)  # least light of an open box in 0.01 lx; 0 when no rule needs it
EVENTS_TO_ARM = const(2)  # sources to be armed
EVENTS_ARMED = const(3)  # sources that may wake the tracker
EVENTS_MASKED = const(4)  # sources that may not wake it for the rest of their hour
EVENTS_HOURS = const(4)  # + 2 * source - 1: when their hour began, and wakes in it
EVENTS_SIZE = const(9)

# Of the uplink's sessions, times in seconds since boot (uplink/attach.py, recover.py).
RADIO_DAY = const(0)  # begin of the day that the modem's budget counts
RADIO_SPENT = const(1)  # seconds of this budget that are spent
RADIO_LOCATED = const(2)  # when the position was last searched, None before the first search
RADIO_CELL = const(3)  # the cell that was recorded last, None before the first
RADIO_ALARM = const(4)  # the block of the last alarm that a call was made for
RADIO_VAIN = const(5)  # calls in a row that found no network
RADIO_ENDED = const(6)  # whether a call was made for the end of the shipment
RADIO_PASSED = const(7)  # whether the commands that the modem lacks have been reported

# Of the sampler (sensing/sampler.py): for each sensor its raw reading and how often it was
# repeated, then the state of the probe's conversions.
REPEATS_LAST = const(10)  # the probe's last reading, None after a boot or a fault
REPEATS_REPEATED = const(11)  # the conversion that was repeated and does not count, or None
