"""The state of the tracker, which is computed from the records of its log.

Only ``State.apply`` changes the state, and it sees nothing but the record. So a state restored
from a checkpoint and the records after it equals the one that was lost with the RTC memory, the
battery or the process. If power fails after a sample and before its alarm event, the same
computation finds the missing event.
"""

import struct

from micropython import const

from coldtrail.contract import cbor, cose
from coldtrail.judging.alarms import Engine, judged
from memory import forget

# From records.py, so that the compiler puts them in place.
_SAMPLE = const(1)
_POSITION = const(2)
_BOOT = const(3)
_CLOCK_SYNC = const(4)
_ALARM_START = const(5)
_ALARM_END = const(6)
_CONFIGURATION = const(7)
_LOG_GAP = const(9)
_SHIPMENT_START = const(10)
_SHIPMENT_STOP = const(11)
_FLIGHT_MODE = const(12)
_FAULT = const(13)
_SHOCK = const(14)
_FREE_FALL = const(15)
_COMMAND_OUTCOME = const(17)
_DOUBTED_TIME = const(22)
_BLOCK = const(28)
_CONFIRMED = const(29)
_CHECKPOINT = const(30)
_BLOCK_HEAD_SIZE = const(9)
_URGENT = const(1)
_COMPLETE = const(2)
_POWER_ON = const(1)
_BROWN_OUT = const(2)
_COMMANDED = const(4)
_BY_COMMAND = const(2)
_CONFIGURE = const(1)
_ACKNOWLEDGE = const(2)
_LOCATE = const(3)
_REBOOT = const(4)
_START = const(6)
_STOP = const(7)
_TAKEN = const(0)
_DONE = const(1)
_SUBJECT_LOG = const(5)
_CHANNEL_SHOCK = const(8)
_CHANNEL_FREE_FALL = const(9)
_OVERWRITTEN = const(1)
_FULL = const(15)
_RULES_REPLACED = const(4)
_BLOCK_HEAD = "<IIB"

_FORMAT = 6
# Attributes that are saved as they are.
_SAVED = (
    "chain boot boot_rtc number previous unsealed oldest leading urgent urgent_number watermark "
    "ranges release pending given_up last sync shipment stopped judge_from faults owed command "
    "taken configured provisioned flight held doubted carried"
).split()


class State:
    """The state. All modules may read its attributes; only ``apply`` writes them."""

    def __init__(self, profile, chain):
        """Begin the state of a new log, whose random id is ``chain`` (8 bytes)."""
        self.profile = profile
        self.engine = Engine(profile.rules)
        self.chain = chain
        self.boot = 0
        self.boot_rtc = 0  # the chip's counter, in seconds, when this boot began
        self.number = 0  # the number of the last sealed block
        self.previous = bytes(16)  # the hash of that block
        self.unsealed = 0  # sequence number of the first record in no block
        self.oldest = None  # t of the oldest sample in no block
        self.leading = 0  # sampling interval that led to the samples in no block
        self.urgent = False  # whether a record in no block needs a person to act
        self.urgent_number = 0  # the last block with such a record
        self.watermark = 0  # blocks 1...watermark are confirmed
        self.ranges = []  # [from, to] confirmed beyond it
        self.release = 0  # sequence number before which the log may reuse space
        self.pending = 0  # sequence number of the first unconfirmed block, 0 when there is none
        self.given_up = 1  # the loss of records before this sequence number is recorded
        self.last = None  # t of the last sample
        self.sync = None  # (t, ms, unix, unix_ms, uncertainty_ms, source) of this boot
        self.carried = None  # the sync of an earlier boot (t is negative) if the counter ran on
        self.doubted = None  # the newest time, in the same form, that contradicts the clock
        self.shipment = None
        self.stopped = None  # the shipment that was stopped last: it is never started again
        self.judge_from = 0  # t from which samples are judged: before, the box may still be warm
        self.faults = []  # 16 * subject + code of each fault that has not ended
        self.owed = []  # alarm changes that the log does not hold yet
        self.command = 0  # counter of the last command taken, refused or expired
        self.taken = None  # [counter, action, 1 once its effect is in the log] without an outcome
        self.configured = None  # digest of the profile that was reported in force last
        self.provisioned = None  # the shipment that was started last without a command
        # [t when flight mode began, its cause, Unix second then or None] while it lasts.
        self.flight = None
        self.held = []  # alarms that may be of the arrival, see arrival.py

    @property
    def interval(self):
        """Seconds to the next sample."""
        return self.profile.alarm_interval if self.engine.standing else self.profile.interval

    @property
    def upload_interval(self):
        """Seconds between uplinks."""
        if self.engine.standing and not self.held:
            return self.profile.alarm_upload_interval
        return self.profile.upload_interval

    @property
    def clock(self):
        """The sync on which the running clock is based, or None."""
        return self.sync or self.carried

    @property
    def stopping(self):
        """Whether the shipment has been stopped and its last block is not sealed yet."""
        return self.shipment is not None and self.shipment == self.stopped

    @property
    def full(self):
        """Whether the log is full of unconfirmed data, so that no samples are taken."""
        return self.stands(_SUBJECT_LOG, _FULL)

    def stands(self, subject, code):
        """Whether a fault has begun and not ended."""
        return 16 * subject + code in self.faults

    @property
    def locate(self):
        """Whether a command that has been taken asks for the position."""
        return self.taken is not None and self.taken[1] == _LOCATE and not self.taken[2]

    def is_confirmed(self, number):
        """Whether the gateway is known to keep block ``number``."""
        if number <= self.watermark:
            return True
        return any(first <= number <= last for first, last in self.ranges)

    def apply(self, sequence, kind, payload):
        """Apply one record; ``payload`` may be a memoryview and is not kept."""
        if kind == _BLOCK:
            self._sealed(sequence, payload)
            return
        if kind == _CHECKPOINT:
            return
        fields = cbor.decode(payload)
        held = False
        if self.held or (kind == _ALARM_START and self.profile.arrival_window):
            from coldtrail.judging import arrival

            held = arrival.follow(self, kind, fields)
            del arrival
            forget("coldtrail.judging", "arrival")
        if kind == _SAMPLE:
            self._sample(fields)
        elif kind == _BOOT:
            self._boot(fields)
        elif kind == _CLOCK_SYNC:
            self._synchronise(fields)
        elif kind in (_ALARM_START, _ALARM_END):
            if self.owed:
                self.owed.pop(0)
            if kind == _ALARM_START and not held:
                # The engine may be one of other rules that know nothing of it.
                self.urgent = self.engine.before = True
        elif kind == _SHIPMENT_START:
            self.shipment = fields[1]
            self.judge_from = fields[0] + self.profile.start_delay
            self.engine.reset()
            if not self._effect(_START):
                self.provisioned = fields[1]
        elif kind == _SHIPMENT_STOP:
            self.stopped = fields[1]
            if fields[2] == _BY_COMMAND:
                self._effect(_STOP)
            self._owe(self.engine.stop(fields[0]))
        elif kind == _FAULT:
            self._fault(*fields[1:])
        elif kind == _SHOCK:
            peak = max([abs(axis) for axis in fields[1:]])
            self._event(fields[0], _CHANNEL_SHOCK, peak)
        elif kind == _FREE_FALL:
            self._event(fields[0], _CHANNEL_FREE_FALL, fields[1])
        elif kind == _LOG_GAP:
            _, cause, count = fields
            if cause == _OVERWRITTEN:
                self.given_up = max(self.given_up, self.release) + count
        elif kind == _CONFIGURATION:
            self._configuration(fields[2])
        elif kind == _POSITION:
            self._effect(_LOCATE)
        elif kind == _COMMAND_OUTCOME:
            self._command(fields)
        elif kind == _FLIGHT_MODE:
            self.flight = [fields[0], fields[2], self.unix(fields[0])] if fields[1] else None
        elif kind == _DOUBTED_TIME:
            self.doubted = tuple(fields)
        elif kind == _CONFIRMED:
            self.watermark, self.ranges, self.release, self.pending = fields

    def unix(self, t):
        """Return the Unix second at ``t`` (seconds since boot) by the clock; None without one."""
        clock = self.clock
        return None if clock is None else clock[2] + t - clock[0]

    def _synchronise(self, fields):
        source, before = fields[5], self.clock or fields
        # The doubt is over when its source agrees again, or another source confirms the clock.
        if self.doubted and (source == self.doubted[5] or source != before[5]):
            self.doubted = None
        self.sync, self.carried = tuple(fields), None

    def _configuration(self, digest):
        if digest == self.configured:
            return
        self._effect(_CONFIGURE)
        self.configured = digest
        self._other_rules(self.engine.alarmed)

    def _other_rules(self, alarmed):
        # They have no words for what others have begun; that there was an alarm stays.
        self.engine.reset()
        self.engine.before = alarmed
        self.owed = []

    def _command(self, fields):
        _, self.command, action, outcome = fields[:4]
        self.taken = None
        if outcome == _TAKEN:
            self.taken = [self.command, action, 0]
            if action == _CONFIGURE:
                self._owe(self.engine.stop(fields[0], _RULES_REPLACED))
        if action == _ACKNOWLEDGE and outcome == _DONE:
            self.engine.acknowledge()

    def _effect(self, action):
        """Note that the log holds what the command under way asks for; return whether it does."""
        if self.taken is None or self.taken[1] != action:
            return False
        self.taken[2] = 1
        return True

    def _boot(self, fields):
        _, self.boot, cause, rtc, _ = fields
        passed, last = rtc - self.boot_rtc, self.last or 0
        self.boot_rtc = rtc
        clock, doubted = self.clock, self.doubted
        self.carried = self.doubted = None
        if cause in (_POWER_ON, _BROWN_OUT) or passed < last:
            # The chip's counter has restarted, so the duration of the power loss is unknown.
            self.engine.restart()
            passed = last
        else:
            self.engine.restart(passed)
            if clock and passed >= clock[0]:
                self.carried = (clock[0] - passed,) + clock[1:]
                self.doubted = doubted and (doubted[0] - passed,) + doubted[1:]
        self.judge_from = max(0, self.judge_from - passed)
        if self.flight:
            self.flight[0] -= passed
        self.sync = self.last = self.oldest = None
        if cause == _COMMANDED:
            self._effect(_REBOOT)

    def _fault(self, subject, code, on):
        fault = 16 * subject + code
        if fault in self.faults:
            self.faults.remove(fault)
        if on:
            self.faults.append(fault)
            if self.full or subject in self.profile.urgent_faults:
                self.urgent = True

    def _event(self, t, channel, value):
        if self.shipment is not None and t >= self.judge_from:
            self._owe(self.engine.event(t, channel, value))

    def _sample(self, fields):
        t, values = fields[0], judged(fields[1], fields[2:])
        leading = self.interval
        if self.oldest is None:
            self.oldest = t
            self.leading = leading
        self.last = t
        if self.shipment is None:
            return
        if self.profile.zone_start and self.engine.within(values):
            self.judge_from = min(self.judge_from, t)
        if t >= self.judge_from:
            self._owe(self.engine.sample(t, leading, values))

    def _owe(self, changes):
        for change in changes:
            self.owed.append(list(change))

    def _sealed(self, sequence, payload):
        number, last, flags = struct.unpack_from(_BLOCK_HEAD, payload)
        self.number = number
        self.previous = cose.digest(payload[_BLOCK_HEAD_SIZE:])
        self.unsealed = last + 1
        if self.pending == 0:
            self.pending = sequence
        if flags & _URGENT:
            self.urgent_number = number
        if flags & _COMPLETE:
            self.oldest = None
            self.urgent = False
            if self.stopping:
                self.shipment = None

    def save(self):
        """Return the state in the form that ``load`` takes, for a checkpoint or RTC memory."""
        saved = [_FORMAT, self.profile.digest, self.engine.save()]
        for name in _SAVED:
            saved.append(getattr(self, name))
        return saved

    def load(self, saved):
        """Restore what ``save`` returned; ValueError when it is of another format."""
        if not isinstance(saved, list) or not saved or saved[0] != _FORMAT:
            raise ValueError("state of another format")
        _, digest, engine = saved[:3]
        for name, value in zip(_SAVED, saved[3:]):
            setattr(self, name, value)
        self.sync = self.sync and tuple(self.sync)
        self.carried = self.carried and tuple(self.carried)
        self.doubted = self.doubted and tuple(self.doubted)
        if digest == self.profile.digest:
            self.engine.load(engine)
        else:
            # Provisioned with another profile since.
            self._other_rules(engine[1])
