"""Mounts the flash log; FLASHLOG.md has the state machine.

The module is needed once in a wake. It stands alone so that its memory can be freed. It works on
the ring of a log and on its sectors.
"""

import struct
from binascii import crc32

from micropython import const

from coldtrail.log.ring import HINT
from coldtrail.log.sectors import BLANK, CHECKPOINT, DATA, HEAD, INVALID, RETIRED, SECOND, UNKNOWN

_TRIES = const(3)


# ---- by a hint ----


def resume(ring, hint):
    """Take the position from a hint if the flash agrees with it; return whether it does."""
    sectors = ring.sectors
    size = struct.calcsize(HINT)
    if len(hint) != size + 4 or struct.unpack_from("<I", hint, size)[0] != crc32(hint[:size]):
        return False
    (
        ring.head,
        ring.tail,
        ring.end,
        ring.last,
        sector,
        offset,
        ring.retired,
        ring.unknown,
        ring.opening,
        ring.oldest,
        ring.head_first,
        ring.first,
        ring.next,
        ring.checkpoint_sequence,
    ) = struct.unpack_from(HINT, hint)
    if max(ring.head, ring.tail) >= sectors.count or ring.end > sectors.size:
        return False
    ring.newest = ring.opening
    ring.checkpoint_at = (sector, offset) if sector < sectors.count else (-1, 0)
    opening, first, tail, ring.wear = sectors.header(ring.head)
    ring.reach = (tail - ring.head - 1) % sectors.count
    if opening != ring.opening or first != ring.head_first:
        return False
    last = sectors.parse(ring.head, ring.last, first)
    if not last or last[1] != ring.next - 1:
        return False
    if not _is_end(sectors, ring.head, ring.end):
        return False
    # The sector that would have been opened next must hold nothing newer.
    sector = ring.free(ring.after(ring.head))
    return sector >= 0 and sectors.header(sector)[0] in range(BLANK, opening)


def _is_end(sectors, sector, offset):
    """Return whether neither a record nor a mount has written beyond ``offset``."""
    page = sectors.page
    rest = min((offset // page + 1) * page + HEAD, sectors.size) - offset
    return not rest or min(sectors.load(sector, offset, rest)) == 0xFF


# ---- by what the flash says ----


def recover(ring):
    """Find the end of the log, and secure the last record."""
    for _ in range(_TRIES):
        record = _find_head(ring)
        if not record:
            break
        _find_tail(ring)
        if secure(ring, record):
            _find_checkpoint(ring)
            break
        ring.reset()
    prepare(ring)


def _find_head(ring):
    """Make the newest sector the head and return its last valid record, or None."""
    sectors = ring.sectors
    newest = second = -1
    openings = [0, 0]
    for sector in range(sectors.count):
        opening = sectors.header(sector)[0]
        if opening > openings[0]:
            openings = [opening, openings[0]]
            newest, second = sector, newest
        elif opening > openings[1]:
            openings[1] = opening
            second = sector
        elif opening == RETIRED:
            ring.retired += 1
        elif opening == UNKNOWN:
            ring.unknown += 1
    ring.newest = openings[0]
    for sector in (newest, second):
        if sector >= 0:
            opening, first, tail, wear = sectors.header(sector)
            # A weakly programmed header may read differently than a moment ago.
            record = opening > 0 and _last_record(ring, sector, first, sectors.size)
            if record:
                ring.head = sector
                ring.opening = opening
                ring.head_first = first
                ring.tail = tail
                ring.wear = wear
                ring.reach = (tail - sector - 1) % sectors.count
                ring.next = record[1] + 1
                return record
            # Power was cut while this sector was opened, so it never held a record.
    return None


def _last_record(ring, sector, first, end):
    """Return the last valid record before ``end``; note the checkpoint and marks before it."""
    sectors = ring.sectors
    last = None
    ring.checkpoint_at = (-1, 0)
    found = sectors.seek(sector, DATA, first, end)
    while found:
        last = found
        if _is_marked(sectors, sector, found[0]):
            ring.settled = True
        if found[2] == CHECKPOINT:
            ring.checkpoint_at = (sector, found[0])
            ring.checkpoint_sequence = found[1]
        found = sectors.seek(sector, sectors.behind(last[0], last[3]), first, end)
    return last


def _find_tail(ring):
    while ring.tail != ring.head:
        opening, first, _, _ = ring.sectors.header(ring.tail)
        if 0 < opening < ring.opening:
            ring.oldest = opening
            ring.first = first
            return
        ring.tail = ring.after(ring.tail)
    ring.oldest = ring.opening
    ring.first = ring.head_first


def _find_checkpoint(ring):
    """Search older sectors for a checkpoint when the head has none that can be read."""
    sectors = ring.sectors
    sector = ring.head
    while ring.checkpoint_at[0] < 0 and sector != ring.tail:
        sector = (sector or sectors.count) - 1
        header = ring.live(sector)
        if header:
            found = sectors.seek(sector, DATA, header[1], sectors.size)
            if found and found[2] == CHECKPOINT:
                ring.checkpoint_at = (sector, found[0])
                ring.checkpoint_sequence = found[1]


def secure(ring, record):
    """Secure the last record, which may be weakly programmed.

    A copy on unused words replaces it, and everything between the two is void from now on.
    Returns False when the head turns out to hold no record at all.
    """
    sectors = ring.sectors
    head = ring.head
    if not ring.settled:
        # The header may be weak as well. Its second copy has its own place.
        sectors.write_header(head, SECOND, ring.opening, ring.head_first, ring.tail, ring.wear)
        ring.settled = True
    end = sectors.behind(record[0], record[3])
    offset = _untouched(sectors, head, end) + HEAD
    fits = offset + sectors.space(record[3]) <= sectors.size
    if fits and _mark(sectors, head, end, offset - HEAD):
        record, done = _copy_last(ring, record, head, offset)
        if done:
            ring.last = offset
            ring.end = sectors.behind(offset, record[3])
    sector = head
    while record and ring.end == sectors.size:
        sector = ring.free(ring.after(sector))
        if sector < 0:
            # Every spare sector has failed in this mount (FLASHLOG.md).
            break
        wear = ring.clear(sector)
        if wear:
            record, done = _copy_last(ring, record, sector, DATA)
            if done:
                end = sectors.behind(DATA, record[3])
                if ring.commit(sector, record[1], ring.tail, wear, DATA, end):
                    break
        ring.retire(sector)
    if not record:
        return False
    ring.next = record[1] + 1
    return True


def _copy_last(ring, record, sector, offset):
    """Copy the head's last record; return it, and whether the copy is there.

    A weak record may have been valid a moment ago and be invalid now. Then the record before it is
    the last one.
    """
    sectors = ring.sectors
    done = None
    while record and offset + sectors.space(record[3]) <= sectors.size:
        done = sectors.copy(ring.head, record, sector, offset)
        if done is not None:
            break
        record = _last_record(ring, ring.head, ring.head_first, record[0])
    return record, done


def prepare(ring):
    """Make sure that the sector to be opened next can never be taken for a part of the log.

    It normally has a header older than the head's. Only a power cut while it was opened, or a new
    flash, leaves something else.
    """
    sectors = ring.sectors
    sector = ring.head
    for _ in range(sectors.count):
        sector = ring.free(ring.after(sector))
        if sector < 0:
            break
        state = sectors.header(sector)[0]
        if 0 <= state < max(1, ring.opening):
            return
        if state == INVALID and _holds_copies(sectors, sector):
            sectors.zero(sector, 0, SECOND)  # a header that is void cannot survive half an erase
        if state == BLANK and _is_new(sectors, sector):
            # The sector is as good as new. Should an interrupted opening have left an unreadable
            # header, the header programmed below prevents that it becomes readable again.
            wear = ring.erase_count(sector)
        else:
            wear = ring.clear(sector)
            if not wear:
                ring.retire(sector)
                continue
        if sectors.write_header(sector, 0, 0, 0, 0, wear):
            return
        ring.retire(sector)
    ring.end = sectors.size


# ---- what a power cut leaves in a sector ----


def _is_new(sectors, sector):
    """Return whether a sector is as good as new; none is on a flash with limited programs."""
    return not sectors.limited and sectors.is_blank(sector)


def _mark(sectors, sector, end, last):
    """Mark, with zeros, every page that begins behind ``end``, up to the page at ``last``.

    Every mount does this in order and for all these pages. A mount that was interrupted has left
    nothing behind the first page without a mark, and repeating a mark does no harm.
    """
    page = sectors.page
    start = (end + page - 1) // page * page
    if start == end and min(sectors.load(sector, start, page)) != 0xFF:
        start += page  # the length of the record that was begun there is still needed
    for offset in range(start, last + 1, page):
        sectors.zero(sector, offset, HEAD)
        if max(sectors.load(sector, offset, HEAD)):
            return False
    return True


def _is_marked(sectors, sector, offset):
    """Return whether a mount has written this record, on a page that the mount had marked."""
    return (
        offset % sectors.page == HEAD
        and offset > DATA
        and max(sectors.load(sector, offset - HEAD, HEAD)) == 0
    )


def _untouched(sectors, sector, offset):
    """Return the first page behind ``offset`` that no interrupted program can have touched."""
    page = sectors.page
    end = max(offset + 1, _claimed(sectors, sector, offset))
    while offset < sectors.size:
        n = page - offset % page
        view = sectors.load(sector, offset, n)
        if min(view) != 0xFF:
            while view[n - 1] == 0xFF:
                n -= 1
            end = max(end, offset + n)
            if max(view[:HEAD]) == 0:
                end = max(end, _claimed(sectors, sector, offset + HEAD))
        offset += page - offset % page
    return (end + page - 1) // page * page


def _claimed(sectors, sector, offset):
    """Return the end of the bytes that a record at ``offset`` may have touched.

    Pages are programmed in order. So either the length of the record can be trusted, or nothing
    behind its first page was programmed.
    """
    if offset + HEAD <= sectors.size:
        view = sectors.load(sector, offset, HEAD)
        end = offset + sectors.space(view[0] | (view[1] & 7) << 8)
        if 1 <= view[1] >> 3 <= CHECKPOINT and end <= sectors.size:
            return end
    return offset


def _holds_copies(sectors, sector):
    """Return whether a head was being moved here; half erased it must not look complete."""
    view = sectors.load(sector, DATA, HEAD)
    behind = sectors.behind(DATA, view[0] | (view[1] & 7) << 8)
    number = view[2] | view[3] << 8
    if behind + HEAD > sectors.size:
        return False
    view = sectors.load(sector, behind, HEAD)
    return view[2] | view[3] << 8 == (number + 1) & 0xFFFF
