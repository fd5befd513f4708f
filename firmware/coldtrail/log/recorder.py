"""The log and the state that follows from it; every record goes through this module."""

import binascii
import struct

from micropython import const

from coldtrail.contract import cbor, cose
from coldtrail.log.flashlog import Log, LogFull
from coldtrail.log.state import State
from memory import forget

# From records.py, so that the compiler puts them in place.
_SAMPLE = const(1)
_CLOCK_SYNC = const(4)
_ALARM_START = const(5)
_ALARM_END = const(6)
_LOG_GAP = const(9)
_FAULT = const(13)
_BLOCK = const(28)
_CONFIRMED = const(29)
_BLOCK_HEAD_SIZE = const(9)
_SUBJECT_LOG = const(5)
_OVERWRITTEN = const(1)
_NOT_ACCEPTED = const(3)
_NEARLY_FULL = const(14)
_FULL = const(15)
_BLOCK_HEAD = "<IIB"

_RETAINED_FORMAT = 3

# Samples may not use these sectors, nor those that sealing needs. They serve faults and alarms,
# confirmations, and the replacement of a sector that fails.
_RESERVE = const(3)

_RANGES = const(16)  # of blocks confirmed beyond the watermark

# A full log does not accept these types. It accepts boots, faults of the log, blocks,
# confirmations and what people do, because these are few or help to make room.
_MEASURED = const(1 << 1 | 1 << 2 | 1 << 4 | 7 << 14 | 31 << 18)  # 14 to 16, 18 to 22


class Recorder:
    """Appends records and folds them into the state in one step.

    The RTC memory keeps only a hint over deep sleep. It is used when its CRC is right and the log
    on the flash ends exactly where the hint says.
    """

    def __init__(self, nor, profile, identity, retained=b""):
        """Mount the log on ``nor`` and restore the state.

        ``retained`` is what ``retain`` returned before the deep sleep, through which the flash
        kept its power, or anything at all. Raises OSError when the flash does not answer.
        """
        self.profile = profile
        self.identity = identity
        self.extra = None  # a few values of the tracker, which are kept with the hint
        self.boot = []  # [cause, counter] of a boot that is not in the log yet
        from coldtrail.log import restoring

        hint = restoring.checked(retained, _RETAINED_FORMAT)
        self.state = State(profile, None)
        self.log = Log(nor, self._snapshot)
        self.log.overwrite = profile.overwrite
        if self.log.mount(hint and hint[1]):
            self.state.load(hint[2])
        else:
            restoring.replay(self.log, self.state)
        if hint:
            self.extra, self.boot = hint[3:]
        self.log.release(self.state.release)

    def _snapshot(self):
        return cbor.encode(self.state.save())

    def retain(self):
        """Return the bytes that the RTC memory must keep over a deep sleep, less than 2 KiB."""
        body = cbor.encode(
            [_RETAINED_FORMAT, self.log.hint(), self.state.save(), self.extra, self.boot]
        )
        return struct.pack("<I", binascii.crc32(body)) + body

    def record(self, kind, fields):
        """Append one record and apply it to the state; return whether it was accepted.

        The record is on the flash when the method returns. ``fields`` is the record's CBOR array.
        A log that is full of unconfirmed data accepts no measurements. Raises OSError when the
        flash does not answer.
        """
        state = self.state
        if kind == _SAMPLE:
            self._watch_room(fields[0])
        if state.full and (
            (_MEASURED >> kind & 1 and (kind != _CLOCK_SYNC or state.sync or self.boot))
            or (kind == _FAULT and fields[1] != _SUBJECT_LOG)
        ):
            return False
        try:
            self.append(kind, cbor.encode(fields))
        except LogFull:
            return False
        lost = self.log.first - max(state.release, state.given_up)
        if lost > 0 and self.profile.overwrite:
            # The loss is recorded before the next record, at the place where it happened.
            self.record(_LOG_GAP, [state.last or 0, _OVERWRITTEN, lost])
        return True

    def _watch_room(self, t):
        """Record a fault when there is little or no room left for unconfirmed data."""
        if self.state.full:
            return
        left, near = self._left(), self.state.stands(_SUBJECT_LOG, _NEARLY_FULL)
        full = left < 0 and not self.profile.overwrite
        # The fault ends with one sector more than it begins, because sealing moves the border by
        # one.
        if near != (not full and (left - near) * 10 < self.log.count):
            self.record(_FAULT, [t, _SUBJECT_LOG, _NEARLY_FULL, int(not near)])
        if full:
            self.record(_FAULT, [t, _SUBJECT_LOG, _FULL, 1])

    def _left(self):
        """Return how many more sectors samples may fill; below 0, they are refused."""
        # A block takes no more room than the records that it seals.
        return self.log.room() - self.log.span(self.state.unsealed) - _RESERVE

    def room(self):
        """Return whether samples are accepted, or can be again."""
        return not self.state.full or self._left() > 0

    def resume(self, t):
        """Accept samples again after a full log; ``t`` is now, in seconds since boot."""
        if self.state.full:
            self.record_gap(t)
            self.record(_FAULT, [t, _SUBJECT_LOG, _FULL, 0])

    def record_gap(self, t):
        """Record how many samples were due until ``t`` and were not accepted.

        After a boot that had to wait, the true number may be greater.
        """
        state = self.state
        if state.full and state.shipment is not None and not state.stopping:
            # The sample that is due now does not count.
            due = t if state.last is None else t - state.last - 1
            lost = max(1, due // state.interval)
            self.record(_LOG_GAP, [state.last or 0, _NOT_ACCEPTED, lost])

    def append(self, kind, payload):
        """Append one record and apply it to the state; raises LogFull, OSError."""
        self.state.apply(self.log.append(kind, payload), kind, memoryview(payload))

    def settle(self):
        """Write the alarm events that follow from the samples in the log."""
        owed = self.state.owed
        while owed:
            change, index = owed[0][0], owed[0][1]
            rule = self.profile.rules[index]
            if change == "start":
                value, beyond, t = owed[0][2:]
                done = self.record(_ALARM_START, [t] + list(rule[:6]) + [value, beyond])
            else:
                cause, minimum, maximum, beyond, t = owed[0][2:]
                done = self.record(_ALARM_END, [t, rule[0], cause, minimum, maximum, beyond])
            if not done:
                return

    def seal(self):
        """Seal every record that is in no block yet, in as many blocks as needed.

        When the log has no room for a block, its records wait for the next time.
        """
        from coldtrail.log import sealing

        try:
            while sealing.seal_one(self):
                pass
        except LogFull:
            pass
        del sealing
        forget("coldtrail.log", "sealing")
        forget("coldtrail.contract", "block", "limits", "mac0")

    def blocks(self, first):
        """Yield (sequence, number, flags, sealed) of the blocks from sequence number ``first``.

        ``sealed`` is valid until the next step, and until anything is recorded.
        """
        for sequence, kind, payload in self.log.records(first):
            if kind == _BLOCK:
                number, _, flags = struct.unpack_from(_BLOCK_HEAD, payload)
                yield sequence, number, flags, payload[_BLOCK_HEAD_SIZE:]

    def sealed(self, sequence):
        """Return the sealed block that is record ``sequence``, valid as in ``blocks``.

        Raises OSError when it cannot be read any more.
        """
        try:
            return self.log.read(sequence)[1][_BLOCK_HEAD_SIZE:]
        except LookupError as error:
            raise OSError(str(error))

    def confirm(self, document):
        """Apply a confirmation whose MAC is right; return whether it released anything.

        ``document`` is (chain, watermark, hash, ranges, unix, ms). A confirmation can only add to
        what is confirmed. One of another chain, one with another hash for the watermark block, and
        one that confirms less release nothing.
        """
        state = self.state
        chain, watermark, digest, ranges = document[:4]
        if chain != state.chain or not state.watermark <= watermark <= state.number:
            return False
        ranges = [pair for pair in ranges if pair[1] <= state.number]
        ranges = _beyond(watermark, ranges + state.ranges)
        proven = watermark == state.watermark
        if proven and ranges == state.ranges:
            return False
        # A block that can no longer be read can never be confirmed. It must not block the others.
        release, pending = state.release, 0
        for sequence, kind, payload in self.log.records(release):
            if kind != _BLOCK:
                continue
            number, last, _ = struct.unpack_from(_BLOCK_HEAD, payload)
            if number == watermark and not proven:
                if cose.digest(payload[_BLOCK_HEAD_SIZE:]) != digest:
                    return False
                proven = True
            if pending == 0:
                if number <= watermark or any(a <= number <= b for a, b in ranges):
                    release = last + 1
                else:
                    pending = sequence
            if pending and number >= watermark:
                break
        if not proven:
            return False
        self.log.release(release)
        # Only a full log refuses the record. The gateway will confirm the same blocks again.
        return self.record(_CONFIRMED, [watermark, ranges, release, pending])


def _beyond(watermark, ranges):
    """Return the ranges beyond the watermark, joined; of too many, the newest.

    The newest are kept because the log gives up its oldest blocks first. A block that was given up
    leaves a gap that is never filled.
    """
    joined = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1][1] = max(last, joined[-1][1])
        elif last > watermark:
            joined.append([max(first, watermark + 1), last])
    return joined[-_RANGES:]
