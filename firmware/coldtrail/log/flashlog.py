"""A ring log on raw NOR flash that loses nothing it once accepted; FLASHLOG.md has the layout.

Two ideas carry it. No word is programmed again to mend it: what may be torn is written anew on
words never touched, and of two records the later one counts. And a sector's header is programmed
last, when all it vouches for has been read back, so that a sector is wholly there or not at all.
"""

import struct
from binascii import crc32
from errno import EIO

from micropython import const

from coldtrail.log.sectors import CHECKPOINT, DATA, HEAD, RETIRED, SECOND, UNKNOWN, Sectors

_ENOSPC = const(28)  # not in MicroPython's errno

# Head, tail, end, last record, sector and offset of the checkpoint, sectors retired and unknown;
# openings of head and tail; sequence numbers: head's first, oldest, next, checkpoint's.
HINT = "<HHHHHHHHIIIIII"

_MAX_RANGES = const(8)


class LogFull(OSError):
    """Only records that were not released could make room."""

    def __init__(self):
        super().__init__(_ENOSPC, "the log is full of unreleased records")


class Log:
    """Records with consecutive sequence numbers in a ring of sectors.

    ``first``, ``next``: oldest sequence number kept, and the one the next record gets.
    ``overwrite``: when full, give up the oldest records instead of raising LogFull.
    ``damaged``: the latest (first, last) ranges of sequence numbers found unreadable.
    ``sectors``: how many make up the ring.
    ``retired``, ``unknown``: sectors out of service; sectors in a layout of another version,
    which are left alone.
    """

    def __init__(self, nor, snapshot, first=0, sectors=None):
        """Use ``sectors`` sectors of ``nor`` from number ``first`` on; ``mount`` comes next.

        ``snapshot()`` returns the bytes of a checkpoint: all that follows from the records so
        far. ValueError where the ring would not fit.
        """
        self._sectors = Sectors(nor, first, sectors)
        self.sectors = self._count = self._sectors.count
        self._size = self._sectors.size
        self._snapshot = snapshot
        self.max_payload = self._sectors.max_payload
        self.overwrite = False
        self._reset()

    def _reset(self):
        self._sectors.forget()
        self._head = self._tail = -1
        self._opening = 0  # of the head: sectors are numbered as they are opened, from 1
        self._oldest = 0  # of the tail
        self._newest = 0  # highest on the flash
        self._head_first = 0
        self._wear = 0  # erase count of the head
        self._last = 0  # offset of the head's last record
        self._end = self._size  # offset of its next one
        self._released = 0
        self._settled = False  # the head's header needs no second copy, or has one
        self._reach = 0  # sectors between head and tail as the head's header says
        self._checkpoint = (-1, 0)  # sector, offset
        self.checkpoint_sequence = 0
        self.first = self.next = 1
        self.retired = self.unknown = 0
        self.damaged = []

    # ---- the ring ----

    def _after(self, sector):
        sector += 1
        return sector if sector < self._count else 0

    def _live(self, sector):
        """Return the header of a sector that is part of the log, or None."""
        header = self._sectors.header(sector)
        return header if 0 < self._oldest <= header[0] <= self._opening else None

    def _free(self, sector):
        """Return the first sector in service from ``sector`` up to the tail, or -1."""
        for _ in range(self._count):
            if sector == self._tail:
                break
            if self._sectors.header(sector)[0] not in (RETIRED, UNKNOWN):
                return sector
            sector = self._after(sector)
        return -1

    def _next_live(self, sector):
        """Return the next sector of the log and its first sequence number; -1 after the head."""
        while sector != self._head:
            sector = self._after(sector)
            header = self._live(sector)
            if header:
                return sector, header[1]
        return -1, self.next

    def _erase_count(self, sector):
        header = self._sectors.header(sector)
        if header[0] >= 0:
            return header[3]
        # Lost with a torn erase or never written: the ring wears evenly.
        return max(0, self._wear - 1) if sector > self._head else self._wear

    # ---- writing ----

    def append(self, kind, payload):
        """Write a record and read it back; return its sequence number.

        ``kind``: 1 to 29. ``payload``: up to ``max_payload`` bytes, and not a view that this log
        has yielded. Raises ValueError, LogFull, or OSError when the flash does not answer; the
        record is not accepted then.
        """
        if not 1 <= kind < CHECKPOINT or len(payload) > self.max_payload:
            raise ValueError("no such record: type 1 to 29, %d bytes at most" % self.max_payload)
        space = self._sectors.space(len(payload))
        if self._end + space > self._size:
            self._advance(False)
        while True:
            offset = self._end
            self._end = self._size  # should this fail, nothing more is written here
            if self._sectors.write(self._head, offset, self.next, kind, payload):
                break
            self._advance(True)
        self._last = offset
        self._end = self._sectors.behind(offset, len(payload))
        self.next += 1
        return self.next - 1

    def release(self, sequence):
        """Allow records before ``sequence`` to be overwritten, once their space is needed."""
        self._released = max(self._released, min(sequence, self.next))

    def span(self, sequence):
        """Return how many sectors hold the records from number ``sequence`` on."""
        if self._head < 0 or sequence >= self._head_first:
            return 1
        first = self._locate(max(sequence, self.first))
        return (self._head - first) % self._count + 1

    def room(self):
        """Return how many more sectors can be filled before records are lost or refused.

        At least so many: sectors out of service all count as if they lay among the free ones, and
        three quarters of the ring are enough said.
        """
        out = self.retired + self.unknown + 2
        held = (self._head - self._tail) % self._count + 1
        if held * 4 > self._count:
            held = self.span(self._released)
        return self._count - held - out

    def _retire(self, sector):
        self._sectors.retire(sector)
        self.retired += 1

    def _advance(self, moving):
        """Open the next sector: for what comes, or ``moving`` the head out of a failing one."""
        old = self._head
        sector = old
        while True:
            sector = self._make_room(self._after(sector))
            self._disown(sector)
            wear = self._clear(sector)
            if wear:
                first = self._head_first if moving else self.next
                last, end = self._fill_moved(sector) if moving else self._fill_new(sector)
                tail = sector if self._tail < 0 or (moving and self._tail == old) else self._tail
                if end and self._commit(sector, first, tail, wear, last, end):
                    break
            self._retire(sector)
        if moving:
            if self._checkpoint[0] == old:
                self._checkpoint = (sector, DATA)
            self._retire(old)
        else:
            self._checkpoint = (sector, DATA)
            self.checkpoint_sequence = first
            self.next = first + 1

    def _make_room(self, start):
        """Return a free sector from ``start`` on that has two more behind it.

        A mount after a power cut has the next one to fall back on, and one is free even then: what
        is erased never is what the newest header still calls part of the log.
        """
        while True:
            found = []
            sector = start
            for _ in range(3):
                sector = self._free(sector)
                if sector < 0 or sector in found:
                    break
                found.append(sector)
                sector = self._after(sector)
            if len(found) == 3:
                return found[0]
            if self._tail == self._head:
                raise LogFull
            # Give up the oldest sector: for good once the next header says where the log begins.
            tail, first = self._next_live(self._tail)
            if first > self._released and not self.overwrite:
                raise LogFull
            self._tail = tail
            self._oldest = self._sectors.header(tail)[0]
            self.first = first

    def _disown(self, sector):
        """See to it that a sector to be erased is no part of the log any more.

        Only where sectors failed in a mount with the log full is it still one: then the second
        copy of the head's header says where the log begins now.
        """
        head = self._head
        if head >= 0 and (sector - head - 1) % self._count >= self._reach and not self._settled:
            self._sectors.write_header(
                head, SECOND, self._opening, self._head_first, self._tail, self._wear
            )
            self._settled = True

    def _clear(self, sector):
        """Erase a sector; return its new erase count, or 0 when it is not blank then."""
        wear = min(0xFFFF, self._erase_count(sector) + 1)
        return wear if self._sectors.erase(sector) else 0

    def _fill_new(self, sector):
        payload = self._snapshot()
        if len(payload) > self.max_payload:
            raise ValueError("checkpoint longer than %d bytes" % self.max_payload)
        if not self._sectors.write(sector, DATA, self.next, CHECKPOINT, payload):
            return 0, 0
        return DATA, self._sectors.behind(DATA, len(payload))

    def _fill_moved(self, sector):
        last = end = DATA
        first = self._head_first
        for record in self._sectors.accepted(self._head, first, first, self._size):
            if record[1] < self.next:
                if not self._sectors.copy(self._head, record, sector, end):
                    return 0, 0
                last = end
                end = self._sectors.behind(end, record[3])
        return last, end

    def _commit(self, sector, first, tail, wear, last, end):
        """Make a filled sector the head; return whether its header is there."""
        opening = self._newest + 1
        self._newest = opening
        if not self._sectors.write_header(sector, 0, opening, first, tail, wear):
            return False
        if tail == sector:
            self._tail = sector
            self._oldest = opening
        self._head = sector
        self._head_first = first
        self._opening = opening
        self._wear = wear
        self._reach = (tail - sector - 1) % self._count
        self._settled = False
        self._last = last
        self._end = end
        return True

    # ---- mount ----

    def mount(self, hint=None):
        """Find the end of the log, and settle for good what a power cut may have left undecided.

        ``hint``: what ``hint`` returned before a deep sleep through which the flash kept its
        power, or None. It is believed only when the flash stands exactly where it says: returns
        whether it was. Raises OSError when the flash does not answer.

        The module that does it is needed no more afterwards: who is short of memory forgets it.
        """
        from coldtrail.log import mounting

        self._reset()
        if hint and mounting.resume(self, hint):
            return True
        self._reset()
        mounting.recover(self)
        return False

    def hint(self):
        """Return what lets the next ``mount`` skip the search; empty when it has to search."""
        if self._head < 0 or self._end == self._size:
            return b""
        hint = struct.pack(
            HINT,
            self._head,
            self._tail,
            self._end,
            self._last,
            self._checkpoint[0] & 0xFFFF,
            self._checkpoint[1],
            self.retired,
            self.unknown,
            self._opening,
            self._oldest,
            self._head_first,
            self.first,
            self.next,
            self.checkpoint_sequence,
        )
        return hint + struct.pack("<I", crc32(hint))

    # ---- reading ----

    @property
    def checkpoint(self):
        """Payload of the newest checkpoint, or None."""
        sector, offset = self._checkpoint
        if sector >= 0:
            found = self._sectors.parse(sector, offset, self.checkpoint_sequence)
            if found and found[1] == self.checkpoint_sequence:
                return bytes(self._sectors.load(sector, offset + HEAD, found[3]))
        return None

    def _locate(self, sequence):
        """Return the last sector whose first record is not beyond ``sequence``."""
        low = 0
        high = (self._head - self._tail) % self._count
        while low < high:
            middle = at = (low + high + 1) // 2
            header = None
            while at <= high:
                header = self._live((self._tail + at) % self._count)
                if header:
                    break
                at += 1
            if header and header[1] <= sequence:
                low = at
            else:
                high = middle - 1
        return (self._tail + low) % self._count

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
            sector = self._locate(wanted)
            wanted = yield from self._records_from(sector, wanted, last)

    def _records_from(self, sector, wanted, last):
        """Yield records until the oldest sector was given up meanwhile; return what is wanted."""
        while wanted <= last:
            following, bound = self._next_live(sector)
            end = self._end if sector == self._head else self._size
            bound = min(bound, last + 1)
            for record in self._sectors.accepted(
                sector, self._sectors.header(sector)[1], wanted, end
            ):
                offset, sequence, kind, length = record
                if sequence >= bound:
                    break
                if sequence < wanted:
                    continue
                if sequence > wanted:
                    self._note_damage(wanted, sequence - 1)
                wanted = sequence + 1
                yield sequence, kind, self._sectors.load(sector, offset + HEAD, length)
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
