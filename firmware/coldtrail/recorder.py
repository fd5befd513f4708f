"""The log and the state that follows from it: every record goes through here."""

import binascii
import os
import struct

from coldtrail import block, cbor
from coldtrail import records as r
from coldtrail.flashlog import Log
from coldtrail.state import State

_RETAINED_FORMAT = 1


class Recorder:
    """Appends records and folds them into the state in one step.

    What is kept over deep sleep in RTC memory is only a hint: it is used when its CRC holds and
    the log, checked against the flash, stands exactly where the hint says.
    """

    def __init__(self, nor, profile, identity, retained=b""):
        """Mount the log on ``nor`` and restore the state.

        ``retained`` is what ``retain`` returned before the deep sleep, or anything at all.
        Raises OSError when the flash does not answer.
        """
        self.profile = profile
        self.identity = identity
        self.extra = None  # the tracker's own few words, kept with the hint
        hint = _checked(retained)
        self.state = State(profile, None)
        self.log = Log(nor, self._snapshot)
        self.log.overwrite = profile.overwrite
        self.log.mount(hint and hint[1])
        self._given_up = self.log.overwritten
        if hint and hint[2] == self.log.next:
            self.state.load(hint[3])
            self.extra = hint[4]
        else:
            self._replay()
        self.log.release(self.state.release)

    def _snapshot(self):
        return cbor.encode(self.state.save())

    def _replay(self):
        state, log = self.state, self.log
        first = log.first
        if log.checkpoint is not None:
            state.load(cbor.decode(log.checkpoint))
            first = log.checkpoint_sequence + 1
        else:
            state.chain = os.urandom(8)
        for sequence, kind, payload in log.records(first):
            state.apply(sequence, kind, payload)

    def retain(self):
        """Return what the RTC memory is to keep over a deep sleep, under 2 KiB."""
        body = cbor.encode(
            [_RETAINED_FORMAT, self.log.hint(), self.log.next, self.state.save(), self.extra]
        )
        return struct.pack("<I", binascii.crc32(body)) + body

    def record(self, kind, fields):
        """Append one record, durable on return, and fold it in.

        ``fields``: the record's CBOR array. Raises OSError when the log takes no more.
        """
        self._append(kind, cbor.encode(fields))
        lost = self.log.overwritten - self._given_up
        if lost:
            # Before the next record: a loss is said where it happened.
            self._given_up += lost
            self._append(r.LOG_GAP, cbor.encode([self.state.last or 0, r.OVERWRITTEN, lost]))

    def _append(self, kind, payload):
        self.state.apply(self.log.append(kind, payload), kind, memoryview(payload))

    def settle(self):
        """Write the alarm events that the samples in the log have called for."""
        owed = self.state.owed
        while owed:
            change, index = owed[0][0], owed[0][1]
            rule = self.profile.rules[index]
            if change == "start":
                value, beyond, t = owed[0][2:]
                self.record(r.ALARM_START, [t] + list(rule[:6]) + [value, beyond])
            else:
                cause, minimum, maximum, beyond, t = owed[0][2:]
                self.record(r.ALARM_END, [t, rule[0], cause, minimum, maximum, beyond])

    def seal(self):
        """Seal every record that is in no block yet, in as many blocks as it takes."""
        while self._seal_one():
            pass

    def _seal_one(self):
        state, identity = self.state, self.identity
        builder = None
        last = damaged = 0
        complete = True
        for sequence, kind, payload in self.log.records(state.unsealed):
            if kind >= r.INTERNAL:
                continue
            if builder is None:
                builder = block.Builder(
                    state.chain,
                    state.number + 1,
                    state.previous,
                    state.boot,
                    sequence,
                    state.leading or state.interval,
                    state.shipment,
                )
            try:
                if not builder.add(kind, payload):
                    complete = False
                    break
            except ValueError:
                # Its CRC holds, so this firmware wrote it; leaving it out beats sealing no more.
                damaged += 1
            last = sequence
        if builder is None:
            return False
        builder.sync = state.sync
        builder.urgent = state.urgent
        sealed = builder.seal(identity.uplink_key, identity.kid, identity.tracker)
        builder = None  # what it has collected takes as much memory again
        flags = (r.URGENT if state.urgent else 0) | (r.COMPLETE if complete else 0)
        self._append(r.BLOCK, struct.pack(r.BLOCK_HEAD, state.number + 1, last, flags) + sealed)
        if damaged:
            self.record(r.LOG_GAP, [state.last or 0, r.DAMAGED, damaged])
        return not complete

    def blocks(self, first):
        """Yield (sequence, number, flags, sealed) of the blocks from sequence number ``first``.

        ``sealed`` is valid until the next step, and until anything is recorded.
        """
        for sequence, kind, payload in self.log.records(first):
            if kind == r.BLOCK:
                number, _, flags = struct.unpack_from(r.BLOCK_HEAD, payload)
                yield sequence, number, flags, payload[r.BLOCK_HEAD_SIZE :]

    def sealed(self, sequence):
        """Return the sealed block that is record ``sequence``, valid as in ``blocks``.

        Raises OSError when it cannot be read any more.
        """
        try:
            return self.log.read(sequence)[1][r.BLOCK_HEAD_SIZE :]
        except LookupError as error:
            raise OSError(str(error))

    def confirm(self, document):
        """Apply a confirmation whose MAC holds; return whether it released anything.

        ``document``: (chain, watermark, hash, ranges, unix, ms). The tracker only ever adds: a
        document of another chain, one that names another hash for the watermark block, or one
        that knows less, releases nothing.
        """
        state = self.state
        chain, watermark, digest, ranges = document[:4]
        if chain != state.chain or not state.watermark <= watermark <= state.number:
            return False
        ranges = [pair for pair in ranges if watermark < pair[0] <= pair[1] <= state.number]
        release, pending = state.release, state.pending
        if watermark > state.watermark:
            found = self._find(watermark)
            if found is None or found[2] != digest:
                return False
            pending, release = found[0] + 1, found[1] + 1
        elif _size(ranges) <= _size(state.ranges):
            return False
        self.log.release(release)
        self.record(r.CONFIRMED, [watermark, ranges, release, pending])
        return True

    def _find(self, number):
        for sequence, kind, payload in self.log.records(self.state.pending):
            if kind == r.BLOCK:
                found, last, _ = struct.unpack_from(r.BLOCK_HEAD, payload)
                if found == number:
                    return sequence, last, block.digest(payload[r.BLOCK_HEAD_SIZE :])
        return None


def _size(ranges):
    return sum(last - first + 1 for first, last in ranges)


def _checked(retained):
    """Return the retained list when its CRC holds, else None."""
    if len(retained) < 5:
        return None
    if struct.unpack_from("<I", retained)[0] != binascii.crc32(retained[4:]):
        return None
    try:
        hint = cbor.decode(retained[4:])
    except ValueError:
        return None
    if not isinstance(hint, list) or len(hint) != 5 or hint[0] != _RETAINED_FORMAT:
        return None
    return hint
