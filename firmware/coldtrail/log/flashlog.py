"""A ring log on raw NOR flash that loses no record it has accepted; FLASHLOG.md has the layout.

Two rules protect it. First, no word is programmed again to repair it: a record that may be torn is
written again on unused words, and of two records with one number the later one counts. Second, the
header of a sector is programmed last, when the content has been read back, so that a sector is
either complete or not there.
"""

from errno import EIO

from micropython import const

from coldtrail.log.ring import Ring
from coldtrail.log.sectors import CHECKPOINT, DATA, HEAD, SECOND

_ENOSPC = const(28)  # not in MicroPython's errno

_MAX_RANGES = const(8)
_SPARE = const(3)  # as in sectors.py


class LogFull(OSError):
    """The log is full: only records that are not released yet could make room."""

    def __init__(self):
        super().__init__(_ENOSPC, "the log is full of unreleased records")


class Log(Ring):
    """Records with consecutive sequence numbers in a ring of sectors.

    ``overwrite``: when full, give up the oldest records instead of raising LogFull.
    ``damaged``: the latest (first, last) ranges of sequence numbers found unreadable.
    ``max_payload``: bytes of the longest record.
    """

    def __init__(self, nor, snapshot, first=0, sectors=None):
        """Use ``sectors`` sectors of ``nor`` from number ``first`` on; ``mount`` comes next.

        ``snapshot()`` returns the bytes of a checkpoint: all that follows from the records so
        far. ValueError where the ring would not fit.
        """
        super().__init__(nor, first, sectors)
        self._snapshot = snapshot
        self.max_payload = self.sectors.max_payload
        self.overwrite = False
        self.damaged = []

    # ---- writing ----

    def append(self, kind, payload):
        """Write a record and read it back; return its sequence number.

        ``kind``: 1 to 29. ``payload``: up to ``max_payload`` bytes, and not a view that this log
        has yielded. Raises ValueError, LogFull, or OSError when the flash does not answer; the
        record is not accepted then.
        """
        if not 1 <= kind < CHECKPOINT or len(payload) > self.max_payload:
            raise ValueError("no such record: type 1 to 29, %d bytes at most" % self.max_payload)
        space = self.sectors.space(len(payload))
        if self.end + space > self.size:
            self._advance(False)
        while True:
            offset = self.end
            self.end = self.size  # after a failure nothing more is written to this sector
            if self.sectors.write(self.head, offset, self.next, kind, payload):
                break
            self._advance(True)
        self.last = offset
        self.end = self.sectors.behind(offset, len(payload))
        self.next += 1
        return self.next - 1

    def release(self, sequence):
        """Allow records before ``sequence`` to be overwritten, once their space is needed."""
        self.released = max(self.released, min(sequence, self.next))

    def _advance(self, moving):
        """Open the next sector for new records or, with ``moving``, to replace a failing head."""
        old = self.head
        sector = old
        while True:
            sector = self._make_room(self.after(sector))
            self._disown(sector)
            wear = self.clear(sector)
            if wear:
                first = self.head_first if moving else self.next
                last, end = self._fill_moved(sector) if moving else self._fill_new(sector)
                tail = sector if self.tail < 0 or (moving and self.tail == old) else self.tail
                if end and self.commit(sector, first, tail, wear, last, end):
                    break
            self.retire(sector)
        if moving:
            if self.checkpoint_at[0] == old:
                self.checkpoint_at = (sector, DATA)
            self.retire(old)
        else:
            self.checkpoint_at = (sector, DATA)
            self.checkpoint_sequence = first
            self.next = first + 1

    def _make_room(self, start):
        """Return a free sector from ``start`` on that is followed by three more.

        A mount after a power cut may need the next one, and then one must still be free, because a
        sector that the newest header calls part of the log is never erased. The third one serves
        when two sectors turn out bad in one mount.
        """
        while True:
            found = []
            sector = start
            for _ in range(1 + _SPARE):
                sector = self.free(sector)
                if sector < 0 or sector in found:
                    break
                found.append(sector)
                sector = self.after(sector)
            if len(found) > _SPARE:
                return found[0]
            if self.tail == self.head:
                raise LogFull
            # The oldest sector is given up for good when the next header states the new beginning.
            tail, first = self.next_live(self.tail)
            if first > self.released and not self.overwrite:
                raise LogFull
            self.tail = tail
            self.oldest = self.sectors.header(tail)[0]
            self.first = first

    def _disown(self, sector):
        """Make sure that a sector that will be erased is no longer part of the log.

        It still is only when sectors have failed in a mount of a full log. The second copy of the
        head's header then states where the log begins now.
        """
        head = self.head
        if head >= 0 and (sector - head - 1) % self.count >= self.reach and not self.settled:
            self.sectors.write_header(
                head, SECOND, self.opening, self.head_first, self.tail, self.wear
            )
            self.settled = True

    def _fill_new(self, sector):
        payload = self._snapshot()
        if len(payload) > self.max_payload:
            raise ValueError("checkpoint longer than %d bytes" % self.max_payload)
        if not self.sectors.write(sector, DATA, self.next, CHECKPOINT, payload):
            return 0, 0
        return DATA, self.sectors.behind(DATA, len(payload))

    def _fill_moved(self, sector):
        last = end = DATA
        first = self.head_first
        for record in self.sectors.accepted(self.head, first, first, self.size):
            if record[1] < self.next:
                if not self.sectors.copy(self.head, record, sector, end):
                    return 0, 0
                last = end
                end = self.sectors.behind(end, record[3])
        return last, end

    # ---- mount ----

    def mount(self, hint=None):
        """Find the end of the log, and decide for good what a power cut has left undecided.

        ``hint`` is what the method ``hint`` returned before a deep sleep in which the flash kept
        its power, or None. It is used only when it agrees exactly with the flash; the return value
        says whether it was used. Raises OSError when the flash does not answer.

        The caller may forget the module ``mounting`` afterwards to save memory.
        """
        from coldtrail.log import mounting

        self.damaged = []
        self.reset()
        if hint and mounting.resume(self, hint):
            return True
        self.reset()
        mounting.recover(self)
        return False

    # ---- reading ----

    @property
    def checkpoint(self):
        """Payload of the newest checkpoint, or None."""
        sector, offset = self.checkpoint_at
        if sector >= 0:
            found = self.sectors.parse(sector, offset, self.checkpoint_sequence)
            if found and found[1] == self.checkpoint_sequence:
                return bytes(self.sectors.load(sector, offset + HEAD, found[3]))
        return None

    def _note_damage(self, first, last):
        if (first, last) not in self.damaged:
            self.damaged.append((first, last))
            if len(self.damaged) > _MAX_RANGES:
                self.damaged.pop(0)

    def records(self, first, last=None):
        """Yield (sequence, type, payload) from number ``first`` to ``last``, the newest if None.

        ``payload`` is a view, valid until the next step and until anything else is done with the
        log. What cannot be read is skipped and noted in ``damaged``.
        """
        wanted = max(first, self.first)
        last = self.next - 1 if last is None else min(last, self.next - 1)
        while wanted <= last:
            sector = self.locate(wanted)
            wanted = yield from self._records_from(sector, wanted, last)

    def _records_from(self, sector, wanted, last):
        """Yield records of a sector; return the number of the next record that is wanted."""
        while wanted <= last:
            following, bound = self.next_live(sector)
            end = self.end if sector == self.head else self.size
            bound = min(bound, last + 1)
            for record in self.sectors.accepted(
                sector, self.sectors.header(sector)[1], wanted, end
            ):
                offset, sequence, kind, length = record
                if sequence >= bound:
                    break
                if sequence < wanted:
                    continue
                if sequence > wanted:
                    self._note_damage(wanted, sequence - 1)
                wanted = sequence + 1
                yield sequence, kind, self.sectors.load(sector, offset + HEAD, length)
                if self.first > wanted:
                    return self.first
            if wanted < bound:
                self._note_damage(wanted, bound - 1)
                wanted = bound
            sector = following
        return wanted

    def read(self, sequence):
        """Return (type, payload view) of one record.

        Raises LookupError when it is not kept, OSError (EIO) when it is damaged.
        """
        if not self.first <= sequence < self.next:
            raise LookupError("record %d is not in the log" % sequence)
        for _, kind, payload in self.records(sequence, sequence):
            return kind, payload
        raise OSError(EIO, "record %d is damaged" % sequence)
