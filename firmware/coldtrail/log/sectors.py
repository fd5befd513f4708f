"""The sectors of a flash log on raw NOR: layout, headers and records; FLASHLOG.md describes it.

This module does not know in which order sectors follow each other; ring.py does.
"""

import struct
from binascii import crc32

from micropython import const

CHECKPOINT = const(30)
DATA = const(40)  # records begin here, behind the header and the place of its second copy
SECOND = const(20)  # length of a header, and place of its copy
HEAD = const(8)  # length of a record's header, and of what marks a page as touched
_SPARE = const(3)  # sectors that stay free behind the one being written

# The states of a sector whose header does not belong to this log.
BLANK = const(-1)
INVALID = const(-2)
RETIRED = const(-3)
UNKNOWN = const(-4)

_MAGIC = b"CL"
_VERSION = const(1)
# Magic, version, geometry, erase count, tail, opening, first sequence number; then the CRC-32.
_HEADER = "<2sBBHHII"
_FEW = const(4)  # bytes of a retired sector's header that may have refused to become zero
_PIECE = const(256)  # bytes read at a time
_LARGEST = const(8192)
_SPAN = const(1024)  # more records than the largest sector holds


def _log2(n):
    """Return the logarithm of a power of two."""
    power = 0
    while n > 1:
        n >>= 1
        power += 1
    return power


class Sectors:
    """``count`` sectors of ``size`` bytes on ``nor``."""

    def __init__(self, nor, first, count):
        """Use ``count`` sectors of ``nor`` from number ``first`` on, all if None.

        ValueError where they do not fit.
        """
        self.size = size = nor.sector_size
        self.count = nor.size // size - first if count is None else count
        if not _SPARE + 2 <= self.count <= nor.size // size - first or self.count > 0xFFFF:
            raise ValueError("a log takes 5 to 65535 sectors within the flash")
        if size > _LARGEST or nor.program_size < DATA:
            raise ValueError("a log takes sectors up to 8 KiB and pages from 64 bytes")
        self.nor = nor
        self._base = first * size
        self._unit = nor.write_unit
        self.page = nor.program_size
        self.limited = nor.programs_per_unit > 0
        self._geometry = _log2(size) | _log2(self._unit) << 5
        self._page = memoryview(bytearray(nor.program_size))
        self._window = memoryview(bytearray(_PIECE))
        self.forget()

    @property
    def max_payload(self):
        """Bytes of the longest record. Two copies of it, with their marks, fit into a sector."""
        return min(2047, self.size // 2 - DATA - HEAD)

    def forget(self):
        """Forget all data that was read."""
        self._at = self._have = 0  # the offset and the size of the data in the window
        self._known = -1  # sector whose header was read last
        self._header = None

    def address(self, sector, offset):
        """Return an offset's address on the flash."""
        return self._base + sector * self.size + offset

    def load(self, sector, offset, n, ahead=_PIECE):
        """Return a view of ``n`` bytes, valid until anything else is read."""
        address = self._base + sector * self.size + offset
        start = address - self._at
        if start < 0 or start + n > self._have:
            self._have = 0
            if n > len(self._window):
                self._window = memoryview(bytearray(n))
            have = min(max(n, ahead), self.size - offset)
            self.nor.read(address, self._window[:have])
            self._at = address
            self._have = have
            start = 0
        return self._window[start : start + n]

    def _program(self, sector, offset, n):
        """Program the first ``n`` bytes of the page buffer."""
        self._have = 0
        self._known = -1
        self.nor.program(self.address(sector, offset), self._page[:n])

    def erase(self, sector):
        """Erase a sector; return whether it is blank then."""
        self._have = 0
        self._known = -1
        self.nor.erase(self.address(sector, 0))
        return self.is_blank(sector)

    def is_blank(self, sector):
        """Return whether every bit of a sector is erased."""
        for offset in range(0, self.size, _PIECE):
            if min(self.load(sector, offset, min(_PIECE, self.size - offset))) != 0xFF:
                return False
        return True

    # ---- headers ----

    def header(self, sector):
        """Return (opening, first, tail, erase count), the opening negative when there is none."""
        if sector != self._known:
            view = self._page[:DATA]
            self.nor.read(self.address(sector, 0), view)
            self._header = self._parse_header(view)
            self._known = sector
        return self._header

    def _parse_header(self, view):
        for at in (SECOND, 0):
            found = self._parse_slot(view[at : at + SECOND])
            if found:
                return found
        state = INVALID
        if min(view) == 0xFF:
            state = BLANK
        elif sum(1 for byte in view if byte) <= _FEW:
            state = RETIRED  # zeros, except for bits that can no longer be programmed
        elif max(view[:SECOND]):
            # A single flipped bit must not hide a sector's worth of records.
            slot = view[:SECOND]
            for bit in range(8 * SECOND):
                slot[bit >> 3] ^= 1 << (bit & 7)
                found = self._parse_slot(slot)
                if found:
                    return found
                slot[bit >> 3] ^= 1 << (bit & 7)
        return state, 0, 0, 0

    def _parse_slot(self, slot):
        if slot[0] != _MAGIC[0] or slot[1] != _MAGIC[1]:
            return None
        if crc32(slot[: SECOND - 4]) != struct.unpack_from("<I", slot, SECOND - 4)[0]:
            return None
        _, version, geometry, wear, tail, opening, first = struct.unpack_from(_HEADER, slot)
        if version != _VERSION or geometry != self._geometry or tail >= self.count:
            return UNKNOWN, 0, 0, 0
        return opening, first, tail, wear

    def write_header(self, sector, at, opening, first, tail, wear):
        """Program a header at offset ``at``, 0 or SECOND; return whether it reads back right."""
        page = self._page
        struct.pack_into(
            _HEADER, page, 0, _MAGIC, _VERSION, self._geometry, wear, tail, opening, first
        )
        struct.pack_into("<I", page, SECOND - 4, crc32(page[: SECOND - 4]))
        self._program(sector, at, SECOND)
        return self.load(sector, at, SECOND) == page[:SECOND]

    def retire(self, sector):
        """Take a sector out of service for good, as far as it can still be programmed."""
        # This takes two programs. Until a header that may be valid is gone for sure, the sector
        # must look like one whose opening was torn.
        self.zero(sector, 0, SECOND)
        self.zero(sector, SECOND, DATA - SECOND)

    def zero(self, sector, offset, n):
        """Program ``n`` zeros within one page."""
        page = self._page
        for i in range(n):
            page[i] = 0
        self._program(sector, offset, n)

    # ---- records ----

    def space(self, length):
        """Return how many bytes a record takes with ``length`` bytes of payload."""
        unit = self._unit
        return (HEAD + length + unit - 1) // unit * unit

    def behind(self, offset, length):
        """Return where the record after one of ``length`` bytes at ``offset`` begins.

        It never begins with the last byte of a page, so that its length is on one page.
        """
        end = offset + self.space(length)
        return end + 1 if (end + 1) % len(self._page) == 0 else end

    def parse(self, sector, offset, first):
        """Return (offset, sequence, type, length) of the valid record at ``offset``, or None."""
        if offset + HEAD > self.size:
            return None
        view = self.load(sector, offset, HEAD)
        sequence = first + (((view[2] | view[3] << 8) - first) & 0xFFFF)
        length = view[0] | (view[1] & 7) << 8
        kind = view[1] >> 3
        if (
            sequence - first >= _SPAN
            or not 1 <= kind <= CHECKPOINT
            or offset + self.space(length) > self.size
        ):
            return None
        view = self.load(sector, offset, HEAD + length)
        # The upper half of the number is not stored, but the CRC covers it. So a record of another
        # lap fails here.
        crc = crc32(view[HEAD:], crc32(view[:4], sequence >> 16))
        if crc != struct.unpack_from("<I", view, 4)[0]:
            return None
        return offset, sequence, kind, length

    def seek(self, sector, offset, first, end):
        """Return the next valid record from ``offset`` on, as ``parse`` does."""
        found = self.parse(sector, offset, first)
        unit = self._unit
        while found is None and offset + HEAD <= end:
            self.load(sector, offset, HEAD)
            start = self.address(sector, offset) - self._at
            view = self._window[start : min(self._have, start + end - offset)]
            step = (len(view) - HEAD) // unit * unit + unit
            if min(view) != 0xFF:
                for at in range(0, step, unit):
                    low = view[at + 2] | view[at + 3] << 8
                    if (low - first) & 0xFFFF < _SPAN and 8 <= view[at + 1] < 0xF8:
                        found = self.parse(sector, offset + at, first)
                        step = at + unit  # the search reads from the window, which has changed
                        break
            offset += step
        return found

    def accepted(self, sector, first, wanted, end):
        """Yield the records that no later one replaces, from number ``wanted`` or before it."""
        record = self.seek(sector, self._hop(sector, first, wanted, end), first, end)
        if record is None or record[1] != wanted:
            record = self.seek(sector, DATA, first, end)
        while record:
            offset, sequence, _, length = record
            behind = self.behind(offset, length)
            after = None
            if behind + HEAD <= end:
                view = self.load(sector, offset, behind - offset + HEAD)
                behind_low = view[-6] | view[-5] << 8
                if behind_low != (sequence + 1) & 0xFFFF or not view[-7] >> 3:
                    # A record written directly behind this one shows that this one was accepted.
                    # Without it, a later mount may have given the number to another record.
                    after = self.seek(sector, behind, first, end)
                    if after is None:
                        behind = end
            if after is None or after[1] > sequence:
                yield record
            record = after or self.seek(sector, behind, first, end)

    def _hop(self, sector, first, wanted, end):
        """Return where the record should be if all records before it are intact."""
        offset = DATA
        for sequence in range(first, wanted):
            if offset + HEAD > end:
                return DATA
            view = self.load(sector, offset, HEAD)
            if view[2] | view[3] << 8 != sequence & 0xFFFF:
                return DATA
            offset = self.behind(offset, view[0] | (view[1] & 7) << 8)
        return offset

    def write(self, sector, offset, sequence, kind, payload):
        """Program a record and read it back; return whether it reads back right."""
        length = len(payload)
        payload = memoryview(payload)
        head = bytearray(HEAD)
        struct.pack_into("<HH", head, 0, length | kind << 11, sequence & 0xFFFF)
        crc = crc32(payload, crc32(memoryview(head)[:4], sequence >> 16))
        struct.pack_into("<I", head, 4, crc)
        page = self._page
        done = 0
        total = self.space(length)
        while done < total:
            n = min(total - done, len(page) - (offset + done) % len(page))
            k = 0
            if done < HEAD:
                k = min(n, HEAD - done)
                page[:k] = memoryview(head)[done : done + k]
            start = done + k - HEAD
            m = min(n - k, length - start)
            if m > 0:
                page[k : k + m] = payload[start : start + m]
                k += m
            for i in range(k, n):
                page[i] = 0xFF
            self._program(sector, offset + done, n)
            done += n
        self.load(sector, offset, HEAD + length, 0)
        # The CRC that was read back is compared with the written one, which is still in `head`.
        return self.parse(sector, offset, sequence) == (offset, sequence, kind, length) and (
            self.load(sector, offset, HEAD) == head
        )

    def copy(self, source, record, sector, offset):
        """Copy a record; return whether the copy is valid, None when its source no longer is."""
        at, sequence, kind, length = record
        if self.parse(source, at, sequence) != record:
            return None
        # The bytes that were just found valid are written. A second read might differ.
        payload = self.load(source, at + HEAD, length)
        return self.write(sector, offset, sequence, kind, payload)
