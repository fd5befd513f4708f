"""The ring of a flash log: where it begins and ends, and which sectors are free.

The last mount and the writes since then determine these values; FLASHLOG.md has the order of the
writes.
"""

import struct
from binascii import crc32

from coldtrail.log.sectors import RETIRED, UNKNOWN, Sectors

# Head, tail, end, last record, sector and offset of the checkpoint, sectors retired and unknown;
# openings of head and tail; sequence numbers: head's first, oldest, next, checkpoint's.
HINT = "<HHHHHHHHIIIIII"


class Ring:
    """The sectors of a log and its place among them, as mounting and writing leave it.

    ``sectors``: their layout, see sectors.py; ``count`` of ``size`` bytes.
    ``first``, ``next``: oldest sequence number kept, and the one the next record gets.
    ``retired``, ``unknown``: sectors out of service; sectors in a layout of another version,
    which are left alone.
    """

    def __init__(self, nor, first=0, sectors=None):
        """Use ``sectors`` sectors of ``nor`` from number ``first`` on.

        ValueError where the ring would not fit.
        """
        self.sectors = Sectors(nor, first, sectors)
        self.count = self.sectors.count
        self.size = self.sectors.size
        self.reset()

    def reset(self):
        """Forget everything, as before a mount."""
        self.sectors.forget()
        self.head = self.tail = -1
        self.opening = 0  # of the head: sectors are numbered as they are opened, from 1
        self.oldest = 0  # of the tail
        self.newest = 0  # highest on the flash
        self.head_first = 0
        self.wear = 0  # erase count of the head
        self.last = 0  # offset of the head's last record
        self.end = self.size  # offset of its next one
        self.released = 0
        self.settled = False  # whether the head's header has a second copy or needs none
        self.reach = 0  # sectors between head and tail as the head's header says
        self.checkpoint_at = (-1, 0)  # sector, offset
        self.checkpoint_sequence = 0
        self.first = self.next = 1
        self.retired = self.unknown = 0

    def after(self, sector):
        """Return the next sector's number."""
        sector += 1
        return sector if sector < self.count else 0

    def live(self, sector):
        """Return the header of a sector that is part of the log, or None."""
        header = self.sectors.header(sector)
        return header if 0 < self.oldest <= header[0] <= self.opening else None

    def free(self, sector):
        """Return the first sector in service from ``sector`` up to the tail, or -1."""
        for _ in range(self.count):
            if sector == self.tail:
                break
            if self.sectors.header(sector)[0] not in (RETIRED, UNKNOWN):
                return sector
            sector = self.after(sector)
        return -1

    def next_live(self, sector):
        """Return the next sector of the log and its first sequence number; -1 after the head."""
        while sector != self.head:
            sector = self.after(sector)
            header = self.live(sector)
            if header:
                return sector, header[1]
        return -1, self.next

    def erase_count(self, sector):
        """Return how often a sector was erased, as far as it is known."""
        header = self.sectors.header(sector)
        if header[0] >= 0:
            return header[3]
        # The count was lost in a torn erase or never written. The ring wears evenly, so the head's
        # count is close.
        return max(0, self.wear - 1) if sector > self.head else self.wear

    def span(self, sequence):
        """Return how many sectors hold the records from number ``sequence`` on."""
        if self.head < 0 or sequence >= self.head_first:
            return 1
        first = self.locate(max(sequence, self.first))
        return (self.head - first) % self.count + 1

    def room(self):
        """Return how many more sectors can be filled before records are lost or refused.

        This is a lower bound and leaves out the three sectors that stay free. All sectors out of
        service count as if they were among the free ones. When the log fills a quarter of the
        ring or less, released records are not searched.
        """
        out = self.retired + self.unknown + 3
        held = (self.head - self.tail) % self.count + 1
        if held * 4 > self.count:
            held = self.span(self.released)
        return self.count - held - out

    def clear(self, sector):
        """Erase a sector; return its new erase count, or 0 when it is not blank then."""
        wear = min(0xFFFF, self.erase_count(sector) + 1)
        return wear if self.sectors.erase(sector) else 0

    def retire(self, sector):
        """Take a sector out of service for good."""
        self.sectors.retire(sector)
        self.retired += 1

    def commit(self, sector, first, tail, wear, last, end):
        """Make a filled sector the head; return whether its header was programmed."""
        opening = self.newest + 1
        self.newest = opening
        if not self.sectors.write_header(sector, 0, opening, first, tail, wear):
            return False
        if tail == sector:
            self.tail = sector
            self.oldest = opening
        self.head = sector
        self.head_first = first
        self.opening = opening
        self.wear = wear
        self.reach = (tail - sector - 1) % self.count
        self.settled = False
        self.last = last
        self.end = end
        return True

    def locate(self, sequence):
        """Return the last sector whose first record is not beyond ``sequence``."""
        low = 0
        high = (self.head - self.tail) % self.count
        while low < high:
            middle = at = (low + high + 1) // 2
            header = None
            while at <= high:
                header = self.live((self.tail + at) % self.count)
                if header:
                    break
                at += 1
            if header and header[1] <= sequence:
                low = at
            else:
                high = middle - 1
        return (self.tail + low) % self.count

    def hint(self):
        """Return what lets the next ``mount`` skip the search; empty when it has to search."""
        if self.head < 0 or self.end == self.size:
            return b""
        hint = struct.pack(
            HINT,
            self.head,
            self.tail,
            self.end,
            self.last,
            self.checkpoint_at[0] & 0xFFFF,
            self.checkpoint_at[1],
            self.retired,
            self.unknown,
            self.opening,
            self.oldest,
            self.head_first,
            self.first,
            self.next,
            self.checkpoint_sequence,
        )
        return hint + struct.pack("<I", crc32(hint))
