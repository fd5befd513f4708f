"""Lists that outlive what works on them: what stands at which position.

Session, detector and self-test are loaded for their work and given back, and the chip sleeps
between wakes; what each has to know of its work before is a short list, kept over deep sleep
(``Tracker``). As with log/records.py nothing on the tracker imports this module: each user
repeats the positions it uses as ``_NAME``, and tests/firmware/log/test_records.py holds the copies
to these originals.
"""

from micropython import const

# Of the detector: light and accelerometer (sensing/detector.py, tracker.py).
EVENTS_OPEN = const(0)  # the box stands open: what is waited for is its being closed
EVENTS_LIMIT = const(1)  # least light of an open box, 0.01 lx; 0 when nobody asks for it
EVENTS_TO_ARM = const(2)  # sources to be armed
EVENTS_ARMED = const(3)  # sources that may wake the tracker
EVENTS_MASKED = const(4)  # sources that may not, for what is left of their hour
EVENTS_HOURS = const(4)  # + 2 * source - 1: when their hour began, and wakes in it
EVENTS_SIZE = const(9)

# Of the uplink's sessions, times in seconds since boot (uplink/attach.py, recover.py).
RADIO_DAY = const(0)  # begin of the day that the modem's budget counts
RADIO_SPENT = const(1)  # seconds spent of it
RADIO_LOCATED = const(2)  # when the position was last looked for, None before
RADIO_CELL = const(3)  # the cell that was recorded last, None before
RADIO_ALARM = const(4)  # the block of the last alarm that has called
RADIO_VAIN = const(5)  # calls in a row that found no network
RADIO_ENDED = const(6)  # whether the end of the shipment has called
RADIO_PASSED = const(7)  # whether what the modem does not know has been reported

# Of the sampler (sensing/sampler.py): of each sensor its raw reading and how often it came, then
# what is known of the probe's conversions.
REPEATS_LAST = const(10)  # the probe's reading before, None after a boot or a fault
REPEATS_REPEATED = const(11)  # its conversion that was repeated and does not count, or None
