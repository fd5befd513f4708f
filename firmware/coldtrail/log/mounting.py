"""How the flash log is mounted; FLASHLOG.md has the state machine.

Needed once a wake: a module of its own, so that its memory can be given back. It works on the ring
of a log and on its sectors.
"""

import struct
from binascii import crc32

from micropython import const

from coldtrail.log.ring import HINT
from coldtrail.log.sectors import BLANK, CHECKPOINT, DATA, HEAD, INVALID, RETIRED, SECOND, UNKNOWN

_TRIES = const(3)


# ---- by a hint ----


def resume(ring, hint):
    """Take the place a hint names if the flash agrees; return whether it does."""
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
    # Nothing newer where the next sector would have been opened.
    sector = ring.free(ring.after(ring.head))
    return sector >= 0 and sectors.header(sector)[0] in range(BLANK, opening)


def _is_end(sectors, sector, offset):
    """Whether neither a record nor a mount has gone beyond ``offset``."""
    page = sectors.page
    rest = min((offset // page + 1) * page + HEAD, sectors.size) - offset
    return not rest or min(sectors.load(sector, offset, rest)) == 0xFF


# ---- by what the flash says ----


def recover(ring):
    """Find the end of the log; make what is found there certain."""
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
            # A weak header may read otherwise than a moment ago.
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
            # Its opening was cut short: it never held anything.
    return None


def _last_record(ring, sector, first, end):
    """Return the last valid record before ``end``; note checkpoint and marks on the way."""
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
    """Look further back when the head has none that can be read."""
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
    """Make the last record, which may be weakly programmed, certain.

    Whatever follows it is void from now on: a copy on words never touched counts instead.
    Returns False when the head turns out to hold no record at all.
    """
    sectors = ring.sectors
    head = ring.head
    if not ring.settled:
        # The header may be as weak; its second copy has room of its own.
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
            # Every sector kept free has failed in this one mount (FLASHLOG.md).
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

    A weak record may have been valid a moment ago and not be now: then the one before it is the
    last.
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
    """See to it that what stands in the sector to be opened next can never be taken for more.

    Only a cut while it was opened, or a flash never used, leaves anything but a header older than
    the head's.
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
            sectors.zero(sector, 0, SECOND)  # void before it is erased
        if state == BLANK and _is_new(sectors, sector):
            # As good as new. The header of an opening that left no trace cannot come back through
            # this one.
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
    """Whether a sector is as good as never used; where programs are limited none is."""
    return not sectors.limited and sectors.is_blank(sector)


def _mark(sectors, sector, end, last):
    """Mark every page that begins behind ``end`` up to the page at ``last``, with zeros.

    Done in order and by every mount alike, whatever it sees there: one that was cut short has
    left nothing beyond the first page that shows no mark, and repeating it harms nothing.
    """
    page = sectors.page
    start = (end + page - 1) // page * page
    if start == end and min(sectors.load(sector, start, page)) != 0xFF:
        start += page  # the length of what was begun there still is needed
    for offset in range(start, last + 1, page):
        sectors.zero(sector, offset, HEAD)
        if max(sectors.load(sector, offset, HEAD)):
            return False
    return True


def _is_marked(sectors, sector, offset):
    """Whether a mount has written this record, on a page it had marked as its own."""
    return (
        offset % sectors.page == HEAD
        and offset > DATA
        and max(sectors.load(sector, offset - HEAD, HEAD)) == 0
    )


def _untouched(sectors, sector, offset):
    """Return the first page of a sector behind ``offset`` that no torn program can be in."""
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
    """Return the end of what a record at ``offset`` may have touched.

    Pages are programmed in order: its length is true, or nothing behind its first page is.
    """
    if offset + HEAD <= sectors.size:
        view = sectors.load(sector, offset, HEAD)
        end = offset + sectors.space(view[0] | (view[1] & 7) << 8)
        if 1 <= view[1] >> 3 <= CHECKPOINT and end <= sectors.size:
            return end
    return offset


def _holds_copies(sectors, sector):
    """Whether a head was being moved here: half erased it must not look whole."""
    view = sectors.load(sector, DATA, HEAD)
    behind = sectors.behind(DATA, view[0] | (view[1] & 7) << 8)
    number = view[2] | view[3] << 8
    if behind + HEAD > sectors.size:
        return False
    view = sectors.load(sector, behind, HEAD)
    return view[2] | view[3] << 8 == (number + 1) & 0xFFFF
