"""Numbers of the contract (uplink.cddl); types 28 and above never leave the tracker.

For whoever reads or tests the firmware. Nothing on the tracker imports this module: names of
another module are looked up while the program runs, and took 3 KiB of heap. So each module
repeats the constants it uses as ``_NAME``, which the compiler puts in place;
tests/firmware/log/test_records.py holds the copies to these originals,
and these to uplink.cddl.
"""

from micropython import const

SAMPLE = const(1)
POSITION = const(2)
BOOT = const(3)
CLOCK_SYNC = const(4)
ALARM_START = const(5)
ALARM_END = const(6)
CONFIGURATION = const(7)
KEY_CHANGE = const(8)
LOG_GAP = const(9)
SHIPMENT_START = const(10)
SHIPMENT_STOP = const(11)
FLIGHT_MODE = const(12)
FAULT = const(13)
SHOCK = const(14)
FREE_FALL = const(15)
CALIBRATION = const(16)
COMMAND_OUTCOME = const(17)
RADIO = const(18)
CELL = const(19)
SERVICE = const(20)
REPEATED = const(21)
DOUBTED_TIME = const(22)

INTERNAL = const(28)  # this type and those above are not sealed into blocks
BLOCK = const(28)  # BLOCK_HEAD: number, sequence of the last record in it, flags; sealed bytes
CONFIRMED = const(29)  # [watermark, ranges, release, pending], see state.py
CHECKPOINT = const(30)  # State.save()

BLOCK_HEAD = "<IIB"
BLOCK_HEAD_SIZE = const(9)
URGENT = const(1)  # flag: carries an alarm, published first
COMPLETE = const(2)  # flag: no record was left over for another block

# Causes of a boot.
POWER_ON = const(1)
BROWN_OUT = const(2)
WATCHDOG = const(3)
COMMANDED = const(4)
OTHER = const(5)

# Causes of the end of a shipment.
BY_BUTTON = const(1)
BY_COMMAND = const(2)
BY_CONSOLE = const(3)
BY_OTHER_SHIPMENT = const(4)

# Actions of a command, as far as the state follows from them.
CONFIGURE = const(1)
ACKNOWLEDGE = const(2)
LOCATE = const(3)
REBOOT = const(4)
SEND_AGAIN = const(5)
START = const(6)
STOP = const(7)

# Outcomes of a command.
TAKEN = const(0)
DONE = const(1)
REFUSED = const(2)
EXPIRED = const(3)
INTERRUPTED = const(4)

# Kinds of a rule.
INSTANT = const(1)
CONSECUTIVE = const(2)
CUMULATIVE = const(3)
TREND = const(4)

# Causes of the end of an alarm.
BACK_WITHIN = const(1)
SENSOR_LOST = const(2)
SHIPMENT_STOPPED = const(3)
RULES_REPLACED = const(4)
END_BY_ARRIVAL = const(5)  # see arrival.py

# Causes of flight mode's begin and end.
PLANNED = const(1)
TAKE_OFF = const(2)
ARRIVAL = const(3)
TIME_LIMIT = const(4)
NO_CLOCK = const(5)

# Subjects of a fault: the sensors as in the status, then what is none.
SUBJECT_LIGHT = const(2)
SUBJECT_ACCELEROMETER = const(3)
SUBJECT_LOG = const(5)
SUBJECT_MODEM = const(6)
SUBJECT_CLOCK = const(7)
SUBJECT_CONFIGURATION = const(8)
SUBJECT_DOWNLINK = const(9)

# Codes of a fault of a sensor, as in the status: of those of fault.py what is judged as a reading.
ABOVE_RANGE = const(14)
BELOW_RANGE = const(15)

# Codes of a fault beyond those of a reading.
OTHER_VERSION = const(9)  # subject log: some of its sectors are of another version
NO_SYNC = const(1)  # subject clock
STORM = const(12)  # subject light or accelerometer

# Channels.
CHANNEL_PAYLOAD = const(0)
CHANNEL_LIGHT = const(3)
CHANNEL_SHOCK = const(8)
CHANNEL_FREE_FALL = const(9)

# Codes of a fault of the downlink.
NOT_VERIFIED = const(2)
REPLAY = const(10)

# Codes of a fault of the modem.
CERTIFICATE_DATES = const(2)  # certificates' dates are not looked at: there is no time yet
REFUSED_BY_DATE = const(3)  # and on: by host, by authority, by the broker (refusal.py)
PASSED_OVER = const(7)  # it does not know a command that the driver can do without
CALL_RAISED = const(8)  # a call has ended by an error that nothing foresees
BUDGET_SPENT = const(13)

# Causes of a gap in the log.
OVERWRITTEN = const(1)
DAMAGED = const(2)
NOT_ACCEPTED = const(3)

# Codes of a fault of the log.
NEARLY_FULL = const(14)
FULL = const(15)

# Sources of time.
NETWORK = const(1)
GNSS = const(2)
GATEWAY = const(3)
CABLE = const(4)

# Sources of a position.
BY_GNSS = const(1)
