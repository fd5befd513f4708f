"""A ring log on raw NOR flash that loses nothing it once accepted; FLASHLOG.md has the layout.

Two ideas carry it. No word is programmed again to mend it: what may be torn is written anew on
words never touched, and of two records the later one counts. And a sector's header is programmed
last, when all it vouches for has been read back, so that a sector is wholly there or not at all.
"""

import struct
from binascii import crc32
from errno import EIO

from micropython import const

CHECKPOINT = const(30)

_ENOSPC = const(28)  # not in MicroPython's errno

_MAGIC = b"CL"
_VERSION = const(1)
# Magic, version, geometry, erase count, tail, opening, first sequence number; then the CRC-32.
_HEADER = "<2sBBHHII"
_SLOT = const(20)
_DATA = const(40)  # records begin here: behind the header and the room for its second copy
_RECORD = const(8)
_PIECE = const(256)  # bytes read at a time
_SPAN = const(1024)  # more records than any sector holds

# What a sector is when its header is none of this log.
_BLANK = const(-1)
_INVALID = const(-2)
_RETIRED = const(-3)
_UNKNOWN = const(-4)

# Head, tail, end, last record, sector and offset of the checkpoint, sectors retired and unknown;
# openings of head and tail; sequence numbers: head's first, oldest, next, checkpoint's.
_HINT = "<HHHHHHHHIIIIII"

_MAX_RANGES = const(8)
_TRIES = const(3)


def _log2(n):
    """Return the logarithm of a power of two."""
    power = 0
    while n > 1:
        n >>= 1
        power += 1
    return power


class LogFull(OSError):
    """Only records that were not released could make room."""

    def __init__(self):
        super().__init__(_ENOSPC, "the log is full of unreleased records")


class Log:
    """Records with consecutive sequence numbers in a ring of sectors.

    ``first``, ``next``: oldest sequence number kept, and the one the next record gets.
    ``overwrite``: when full, give up the oldest records instead of raising LogFull.
    ``overwritten``: how many records were given up that way since mount.
    ``damaged``: the latest (first, last) ranges of sequence numbers found unreadable.
    ``retired``, ``unknown``: sectors out of service; sectors in a layout of another version,
    which are left alone.
    """

    def __init__(self, nor, snapshot, first=0, sectors=None):
        """Use ``sectors`` sectors of ``nor`` from number ``first`` on; ``mount`` comes next.

        ``snapshot()`` returns the bytes of a checkpoint: all that follows from the records so
        far. ValueError where the ring would not fit.
        """
        size = nor.sector_size
        self._nor = nor
        self._snapshot = snapshot
        self._size = size
        self._unit = nor.write_unit
        self._base = first * size
        self.sectors = nor.size // size - first if sectors is None else sectors
        if not 3 <= self.sectors <= nor.size // size - first or self.sectors > 0xFFFF:
            raise ValueError("a log takes 3 to 65535 sectors within the flash")
        self._geometry = _log2(size) | _log2(self._unit) << 5
        # Two copies of the longest record, and what marks them, fit into one sector.
        self.max_payload = min(2047, size // 2 - _DATA - _RECORD)
        self._page = memoryview(bytearray(nor.program_size))
        self._window = memoryview(bytearray(_PIECE))
        self.overwrite = False
        self._reset()

    def _reset(self):
        self._at = self._have = 0  # what the window shows
        self._known = -1  # sector whose header was read last
        self._header = None
        self._head = self._tail = -1
        self._opening = 0  # of the head: sectors are numbered as they are opened, from 1
        self._oldest = 0  # of the tail
        self._newest = 0  # highest on the flash
        self._head_first = 0
        self._wear = 0  # erase count of the head
        self._last = 0  # offset of the head's last record
        self._end = self._size  # offset of its next one
        self._released = 0
        self._settled = False  # the head's header is known to be whole
        self._checkpoint = (-1, 0)  # sector, offset
        self.checkpoint_sequence = 0
        self.first = self.next = 1
        self.overwritten = self.retired = self.unknown = 0
        self.damaged = []

    # ---- flash ----

    def _address(self, sector, offset):
        return self._base + sector * self._size + offset

    def _load(self, sector, offset, n, ahead=_PIECE):
        """Return a view of ``n`` bytes, valid until anything else is read."""
        address = self._address(sector, offset)
        start = address - self._at
        if start < 0 or start + n > self._have:
            self._have = 0
            if n > len(self._window):
                self._window = memoryview(bytearray(n))
            have = min(max(n, ahead), self._size - offset)
            self._nor.read(address, self._window[:have])
            self._at = address
            self._have = have
            start = 0
        return self._window[start : start + n]

    def _program(self, sector, offset, n):
        """Program the first ``n`` bytes of the page buffer."""
        self._have = 0
        self._known = -1
        self._nor.program(self._address(sector, offset), self._page[:n])

    def _after(self, sector):
        sector += 1
        return sector if sector < self.sectors else 0

    # ---- sector headers ----

    def _read_header(self, sector):
        """Return (opening, first, tail, erase count), the opening negative when there is none."""
        if sector != self._known:
            view = self._page[:_DATA]
            self._nor.read(self._address(sector, 0), view)
            self._header = self._parse_header(view)
            self._known = sector
        return self._header

    def _parse_header(self, view):
        for at in (0, _SLOT):
            found = self._parse_slot(view[at : at + _SLOT])
            if found:
                return found
        state = _INVALID
        if min(view) == 0xFF:
            state = _BLANK
        elif max(view) == 0:
            state = _RETIRED
        elif max(view[:_SLOT]):
            # A single flipped bit must not hide a sector's worth of records.
            slot = view[:_SLOT]
            for bit in range(8 * _SLOT):
                slot[bit >> 3] ^= 1 << (bit & 7)
                found = self._parse_slot(slot)
                if found:
                    return found
                slot[bit >> 3] ^= 1 << (bit & 7)
        return state, 0, 0, 0

    def _parse_slot(self, slot):
        if slot[0] != _MAGIC[0] or slot[1] != _MAGIC[1]:
            return None
        if crc32(slot[: _SLOT - 4]) != struct.unpack_from("<I", slot, _SLOT - 4)[0]:
            return None
        _, version, geometry, wear, tail, opening, first = struct.unpack_from(_HEADER, slot)
        if version != _VERSION or geometry != self._geometry or tail >= self.sectors:
            return _UNKNOWN, 0, 0, 0
        return opening, first, tail, wear

    def _write_header(self, sector, at, opening, first, tail, wear):
        page = self._page
        struct.pack_into(
            _HEADER, page, 0, _MAGIC, _VERSION, self._geometry, wear, tail, opening, first
        )
        struct.pack_into("<I", page, _SLOT - 4, crc32(page[: _SLOT - 4]))
        self._program(sector, at, _SLOT)
        return self._load(sector, at, _SLOT) == page[:_SLOT]

    def _live(self, sector):
        """Return the header of a sector that is part of the log, or None."""
        header = self._read_header(sector)
        return header if 0 < self._oldest <= header[0] <= self._opening else None

    def _free(self, sector):
        """Return the first sector in service from ``sector`` up to the tail, or -1."""
        for _ in range(self.sectors):
            if sector == self._tail:
                break
            if self._read_header(sector)[0] not in (_RETIRED, _UNKNOWN):
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
        header = self._read_header(sector)
        if header[0] >= 0:
            return header[3]
        # Lost with a torn erase or never written: the ring wears evenly.
        return max(0, self._wear - 1) if sector > self._head else self._wear

    def _retire(self, sector):
        """Take a sector out of service for good, as far as it still can be programmed."""
        page = self._page
        for i in range(_DATA):
            page[i] = 0
        self._program(sector, 0, _DATA)
        self.retired += 1

    # ---- records in a sector ----

    def _space(self, length):
        unit = self._unit
        return (_RECORD + length + unit - 1) // unit * unit

    def _parse(self, sector, offset, first):
        """Return (offset, sequence, type, length) of the valid record at ``offset``, or None."""
        if offset + _RECORD > self._size:
            return None
        view = self._load(sector, offset, _RECORD)
        sequence = first + (((view[2] | view[3] << 8) - first) & 0xFFFF)
        length = view[0] | (view[1] & 7) << 8
        kind = view[1] >> 3
        if (
            sequence - first >= _SPAN
            or not 1 <= kind <= CHECKPOINT
            or offset + self._space(length) > self._size
        ):
            return None
        view = self._load(sector, offset, _RECORD + length)
        # The upper half of the number is not stored: a record of another lap fails here.
        crc = crc32(view[_RECORD:], crc32(view[:4], sequence >> 16))
        if crc != struct.unpack_from("<I", view, 4)[0]:
            return None
        return offset, sequence, kind, length

    def _seek(self, sector, offset, first, end):
        """Return the next valid record from ``offset`` on, as ``_parse`` does."""
        found = self._parse(sector, offset, first)
        unit = self._unit
        while found is None and offset + _RECORD <= end:
            self._load(sector, offset, _RECORD)
            start = self._address(sector, offset) - self._at
            view = self._window[start : min(self._have, start + end - offset)]
            step = (len(view) - _RECORD) // unit * unit + unit
            if min(view) != 0xFF:
                for at in range(0, step, unit):
                    low = view[at + 2] | view[at + 3] << 8
                    if (low - first) & 0xFFFF < _SPAN and 8 <= view[at + 1] < 0xF8:
                        found = self._parse(sector, offset + at, first)
                        step = at + unit  # the window may show something else now
                        break
            offset += step
        return found

    def _accepted(self, sector, first, wanted, end):
        """Yield the records that count, from number ``wanted`` or before it."""
        record = self._seek(sector, self._hop(sector, first, wanted, end), first, end)
        if record is None or record[1] != wanted:
            record = self._seek(sector, _DATA, first, end)
        while record:
            offset, sequence, _, length = record
            behind = offset + self._space(length)
            after = None
            if behind + _RECORD <= end:
                view = self._load(sector, offset, behind - offset + _RECORD)
                behind_low = view[-6] | view[-5] << 8
                if behind_low != (sequence + 1) & 0xFFFF or not view[-7] >> 3:
                    # Written behind it at once: accepted then. Else a later mount may have given
                    # its number away.
                    after = self._seek(sector, behind, first, end)
                    if after is None:
                        behind = end
            if after is None or after[1] > sequence:
                yield record
            record = after or self._seek(sector, behind, first, end)

    def _hop(self, sector, first, wanted, end):
        """Return where the record should be when all before it are whole."""
        offset = _DATA
        for sequence in range(first, wanted):
            if offset + _RECORD > end:
                return _DATA
            view = self._load(sector, offset, _RECORD)
            if view[2] | view[3] << 8 != sequence & 0xFFFF:
                return _DATA
            offset += self._space(view[0] | (view[1] & 7) << 8)
        return offset

    # ---- writing ----

    def _write(self, sector, offset, sequence, kind, payload):
        """Program a record and read it back; return whether it is there."""
        length = len(payload)
        payload = memoryview(payload)
        head = bytearray(_RECORD)
        struct.pack_into("<HH", head, 0, length | kind << 11, sequence & 0xFFFF)
        crc = crc32(payload, crc32(memoryview(head)[:4], sequence >> 16))
        struct.pack_into("<I", head, 4, crc)
        page = self._page
        done = 0
        total = self._space(length)
        while done < total:
            n = min(total - done, len(page) - (offset + done) % len(page))
            k = 0
            if done < _RECORD:
                k = min(n, _RECORD - done)
                page[:k] = memoryview(head)[done : done + k]
            start = done + k - _RECORD
            m = min(n - k, length - start)
            if m > 0:
                page[k : k + m] = payload[start : start + m]
                k += m
            for i in range(k, n):
                page[i] = 0xFF
            self._program(sector, offset + done, n)
            done += n
        self._load(sector, offset, _RECORD + length, 0)
        # The CRC read back is compared too: the one just written stands in `head`.
        return self._parse(sector, offset, sequence) == (offset, sequence, kind, length) and (
            self._load(sector, offset, _RECORD) == head
        )

    def _copy(self, source, record, sector, offset):
        """Copy a record; return whether it is there, None when its source is not valid now."""
        at, sequence, kind, length = record
        if self._parse(source, at, sequence) != record:
            return None
        # What was just found valid, not another reading of it, is what gets written.
        payload = self._load(source, at + _RECORD, length)
        return self._write(sector, offset, sequence, kind, payload)

    def append(self, kind, payload):
        """Write a record and read it back; return its sequence number.

        ``kind``: 1 to 29. ``payload``: up to ``max_payload`` bytes, and not a view that this log
        has yielded. Raises ValueError, LogFull, or OSError when the flash does not answer; the
        record is not accepted then.
        """
        if not 1 <= kind < CHECKPOINT or len(payload) > self.max_payload:
            raise ValueError("no such record: type 1 to 29, %d bytes at most" % self.max_payload)
        space = self._space(len(payload))
        if self._end + space > self._size:
            self._advance(False)
        while True:
            offset = self._end
            self._end = self._size  # should this fail, nothing more is written here
            if self._write(self._head, offset, self.next, kind, payload):
                break
            self._advance(True)
        self._last = offset
        self._end = offset + space
        self.next += 1
        return self.next - 1

    def release(self, sequence):
        """Allow records before ``sequence`` to be overwritten, once their space is needed."""
        self._released = max(self._released, min(sequence, self.next))

    def _advance(self, moving):
        """Open the next sector: for what comes, or ``moving`` the head out of a failing one."""
        old = self._head
        sector = old
        while True:
            sector = self._make_room(self._after(sector))
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
                self._checkpoint = (sector, _DATA)
            self._retire(old)
        else:
            self._checkpoint = (sector, _DATA)
            self.checkpoint_sequence = first
            self.next = first + 1

    def _make_room(self, start):
        """Return a free sector from ``start`` on that has another one behind it.

        The one behind is what a mount after a power cut has to fall back on.
        """
        while True:
            sector = self._free(start)
            if sector >= 0:
                behind = self._free(self._after(sector))
                if behind >= 0 and behind != sector:
                    return sector
            if self._tail == self._head:
                raise LogFull
            # Give up the oldest sector: for good once the next header says where the log begins.
            tail, first = self._next_live(self._tail)
            if first > self._released:
                if not self.overwrite:
                    raise LogFull
                self.overwritten += first - max(self.first, self._released)
            self._tail = tail
            self._oldest = self._read_header(tail)[0]
            self.first = first

    def _clear(self, sector):
        """Erase a sector; return its new erase count, or 0 when it is not blank then."""
        wear = min(0xFFFF, self._erase_count(sector) + 1)
        self._have = 0
        self._known = -1
        self._nor.erase(self._address(sector, 0))
        return wear if self._is_blank(sector) else 0

    def _is_blank(self, sector):
        for offset in range(0, self._size, _PIECE):
            if min(self._load(sector, offset, min(_PIECE, self._size - offset))) != 0xFF:
                return False
        return True

    def _fill_new(self, sector):
        payload = self._snapshot()
        if len(payload) > self.max_payload:
            raise ValueError("checkpoint longer than %d bytes" % self.max_payload)
        if not self._write(sector, _DATA, self.next, CHECKPOINT, payload):
            return 0, 0
        return _DATA, _DATA + self._space(len(payload))

    def _fill_moved(self, sector):
        last = end = _DATA
        first = self._head_first
        for record in self._accepted(self._head, first, first, self._size):
            if record[1] < self.next:
                if not self._copy(self._head, record, sector, end):
                    return 0, 0
                last = end
                end += self._space(record[3])
        return last, end

    def _commit(self, sector, first, tail, wear, last, end):
        """Make a filled sector the head; return whether its header is there."""
        opening = self._newest + 1
        self._newest = opening
        if not self._write_header(sector, 0, opening, first, tail, wear):
            return False
        if tail == sector:
            self._tail = sector
            self._oldest = opening
        self._head = sector
        self._head_first = first
        self._opening = opening
        self._wear = wear
        self._last = last
        self._end = end
        return True

    # ---- mount ----

    def mount(self, hint=None):
        """Find the end of the log, and settle for good what a power cut may have left undecided.

        ``hint``: what ``hint`` returned before a deep sleep through which the flash kept its
        power, or None. It is believed only when the flash stands exactly where it says. Raises
        OSError when the flash does not answer.
        """
        self._reset()
        if hint and self._resume(hint):
            return
        self._reset()
        for _ in range(_TRIES):
            record = self._find_head()
            if not record:
                break
            self._find_tail()
            if self._secure(record):
                self._find_checkpoint()
                break
            self._reset()
        self._prepare()

    def _find_head(self):
        """Make the newest sector the head and return its last valid record, or None."""
        newest = second = -1
        openings = [0, 0]
        for sector in range(self.sectors):
            opening = self._read_header(sector)[0]
            if opening > openings[0]:
                openings = [opening, openings[0]]
                newest, second = sector, newest
            elif opening > openings[1]:
                openings[1] = opening
                second = sector
            elif opening == _RETIRED:
                self.retired += 1
            elif opening == _UNKNOWN:
                self.unknown += 1
        self._newest = openings[0]
        for sector in (newest, second):
            if sector >= 0:
                opening, first, tail, wear = self._read_header(sector)
                # A weak header may read otherwise than a moment ago.
                record = opening > 0 and self._last_record(sector, first, self._size)
                if record:
                    self._head = sector
                    self._opening = opening
                    self._head_first = first
                    self._tail = tail
                    self._wear = wear
                    self.next = record[1] + 1
                    return record
                # Its opening was cut short: it never held anything.
        return None

    def _last_record(self, sector, first, end):
        """Return the last valid record before ``end``; note checkpoint and marks on the way."""
        last = None
        self._checkpoint = (-1, 0)
        found = self._seek(sector, _DATA, first, end)
        while found:
            last = found
            if self._is_marked(sector, found[0]):
                self._settled = True
            if found[2] == CHECKPOINT:
                self._checkpoint = (sector, found[0])
                self.checkpoint_sequence = found[1]
            found = self._seek(sector, last[0] + self._space(last[3]), first, end)
        return last

    def _find_tail(self):
        while self._tail != self._head:
            opening, first, _, _ = self._read_header(self._tail)
            if 0 < opening < self._opening:
                self._oldest = opening
                self.first = first
                return
            self._tail = self._after(self._tail)
        self._oldest = self._opening
        self.first = self._head_first

    def _find_checkpoint(self):
        """Look further back when the head has none that can be read."""
        sector = self._head
        while self._checkpoint[0] < 0 and sector != self._tail:
            sector = (sector or self.sectors) - 1
            header = self._live(sector)
            if header:
                found = self._seek(sector, _DATA, header[1], self._size)
                if found and found[2] == CHECKPOINT:
                    self._checkpoint = (sector, found[0])
                    self.checkpoint_sequence = found[1]

    def _is_marked(self, sector, offset):
        """Whether a mount has written this record, on a page it had marked as its own."""
        return (
            offset % len(self._page) == _RECORD
            and offset > _DATA
            and max(self._load(sector, offset - _RECORD, _RECORD)) == 0
        )

    def _secure(self, record):
        """Make the last record, which may be weakly programmed, certain.

        Whatever follows it is void from now on: a copy on words never touched counts instead.
        Returns False when the head turns out to hold no record at all.
        """
        head = self._head
        if not self._settled:
            # The header may be as weak; its second copy has room of its own.
            self._write_header(
                head, _SLOT, self._opening, self._head_first, self._tail, self._wear
            )
        offset = self._untouched(record[0] + self._space(record[3])) + _RECORD
        if offset + self._space(record[3]) <= self._size and self._mark(head, offset - _RECORD):
            record, done = self._copy_last(record, head, offset)
            if done:
                self._last = offset
                self._end = offset + self._space(record[3])
        sector = head
        while record and self._end == self._size:
            sector = self._free(self._after(sector))
            if sector < 0:
                # The log is full, and its last record has a whole copy in the last free sector.
                break
            wear = self._clear(sector)
            if wear:
                record, done = self._copy_last(record, sector, _DATA)
                if done and self._commit(
                    sector, record[1], self._tail, wear, _DATA, _DATA + self._space(record[3])
                ):
                    break
            self._retire(sector)
        if not record:
            return False
        self.next = record[1] + 1
        return True

    def _mark(self, sector, offset):
        """Mark a page as touched, with zeros whatever will follow.

        Cut short, this is not mistaken for a blank page later, and repeating it harms nothing.
        """
        page = self._page
        for i in range(_RECORD):
            page[i] = 0
        self._program(sector, offset, _RECORD)
        return max(self._load(sector, offset, _RECORD)) == 0

    def _copy_last(self, record, sector, offset):
        """Copy the head's last record; return it, and whether the copy is there.

        A weak record may have been valid a moment ago and not be now: then the one before it is
        the last.
        """
        done = None
        while record and offset + self._space(record[3]) <= self._size:
            done = self._copy(self._head, record, sector, offset)
            if done is not None:
                break
            record = self._last_record(self._head, self._head_first, record[0])
        return record, done

    def _untouched(self, offset):
        """Return the first page of the head behind ``offset`` that no torn program can be in."""
        head = self._head
        page = len(self._page)
        end = max(offset + 1, self._claimed(offset))
        while offset < self._size:
            n = page - offset % page
            view = self._load(head, offset, n)
            if min(view) != 0xFF:
                while view[n - 1] == 0xFF:
                    n -= 1
                end = max(end, offset + n)
                if max(view[:_RECORD]) == 0:
                    end = max(end, self._claimed(offset + _RECORD))
            offset += page - offset % page
        return (end + page - 1) // page * page

    def _claimed(self, offset):
        """Return the end of what a record at ``offset`` may have touched.

        Pages are programmed in order: its length is true, or nothing behind its first page is.
        """
        if offset + _RECORD <= self._size:
            view = self._load(self._head, offset, _RECORD)
            if min(view) != 0xFF:
                return offset + self._space(view[0] | (view[1] & 7) << 8)
        return offset

    def _prepare(self):
        """See to it that what stands in the sector to be opened next can never be taken for more.

        Only a cut while it was opened, or a flash never used, leaves anything but a header older
        than the head's.
        """
        sector = self._head
        for _ in range(self.sectors):
            sector = self._free(self._after(sector))
            if sector < 0:
                break
            state = self._read_header(sector)[0]
            if 0 <= state < max(1, self._opening):
                return
            if state == _INVALID and self._holds_copies(sector):
                self._retire(sector)
                self.retired -= 1
            if state == _BLANK and self._is_blank(sector):
                # As good as new. The header of an opening that left no trace cannot come back
                # through this one.
                wear = self._erase_count(sector)
            else:
                wear = self._clear(sector)
                if not wear:
                    self._retire(sector)
                    continue
            if self._write_header(sector, 0, 0, 0, 0, wear):
                return
            self._retire(sector)
        self._end = self._size

    def _holds_copies(self, sector):
        """Whether a head was being moved here: half erased it must not look whole."""
        view = self._load(sector, _DATA, _RECORD)
        behind = _DATA + self._space(view[0] | (view[1] & 7) << 8)
        number = view[2] | view[3] << 8
        if behind + _RECORD > self._size:
            return False
        view = self._load(sector, behind, _RECORD)
        return view[2] | view[3] << 8 == (number + 1) & 0xFFFF

    def hint(self):
        """Return what lets the next ``mount`` skip the search; empty while nothing was written."""
        if self._head < 0:
            return b""
        hint = struct.pack(
            _HINT,
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

    def _resume(self, hint):
        """Take the place a hint names if the flash agrees; return whether it does."""
        size = struct.calcsize(_HINT)
        if len(hint) != size + 4 or struct.unpack_from("<I", hint, size)[0] != crc32(hint[:size]):
            return False
        (
            self._head,
            self._tail,
            self._end,
            self._last,
            sector,
            offset,
            self.retired,
            self.unknown,
            self._opening,
            self._oldest,
            self._head_first,
            self.first,
            self.next,
            self.checkpoint_sequence,
        ) = struct.unpack_from(_HINT, hint)
        if max(self._head, self._tail) >= self.sectors or self._end > self._size:
            return False
        self._newest = self._opening
        self._checkpoint = (sector, offset) if sector < self.sectors else (-1, 0)
        opening, first, _, self._wear = self._read_header(self._head)
        if opening != self._opening or first != self._head_first:
            return False
        last = self._parse(self._head, self._last, first)
        if not last or last[1] != self.next - 1:
            return False
        rest = min(_RECORD, self._size - self._end)
        if rest and min(self._load(self._head, self._end, rest)) != 0xFF:
            return False
        # Nothing newer where the next sector would have been opened.
        sector = self._free(self._after(self._head))
        return sector >= 0 and self._read_header(sector)[0] in range(_BLANK, opening)

    # ---- reading ----

    @property
    def checkpoint(self):
        """Payload of the newest checkpoint, or None."""
        sector, offset = self._checkpoint
        if sector >= 0:
            found = self._parse(sector, offset, self.checkpoint_sequence)
            if found and found[1] == self.checkpoint_sequence:
                return bytes(self._load(sector, offset + _RECORD, found[3]))
        return None

    def _locate(self, sequence):
        """Return the last sector whose first record is not beyond ``sequence``."""
        low = 0
        high = (self._head - self._tail) % self.sectors
        while low < high:
            middle = at = (low + high + 1) // 2
            header = None
            while at <= high:
                header = self._live((self._tail + at) % self.sectors)
                if header:
                    break
                at += 1
            if header and header[1] <= sequence:
                low = at
            else:
                high = middle - 1
        return (self._tail + low) % self.sectors

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
            for record in self._accepted(sector, self._read_header(sector)[1], wanted, end):
                offset, sequence, kind, length = record
                if sequence >= bound:
                    break
                if sequence < wanted:
                    continue
                if sequence > wanted:
                    self._note_damage(wanted, sequence - 1)
                wanted = sequence + 1
                yield sequence, kind, self._load(sector, offset + _RECORD, length)
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
