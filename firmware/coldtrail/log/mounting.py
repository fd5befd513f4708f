"""How the flash log is mounted; FLASHLOG.md has the state machine.

Needed once a wake: a module of its own, so that its memory can be given back. It works on the
log's own attributes and on its sectors.
"""

import struct
from binascii import crc32

from micropython import const

from coldtrail.log.flashlog import HINT
from coldtrail.log.sectors import BLANK, CHECKPOINT, DATA, HEAD, INVALID, RETIRED, SECOND, UNKNOWN

_TRIES = const(3)


# ---- by a hint ----


def resume(log, hint):
    """Take the place a hint names if the flash agrees; return whether it does."""
    sectors = log._sectors
    size = struct.calcsize(HINT)
    if len(hint) != size + 4 or struct.unpack_from("<I", hint, size)[0] != crc32(hint[:size]):
        return False
    (
        log._head,
        log._tail,
        log._end,
        log._last,
        sector,
        offset,
        log.retired,
        log.unknown,
        log._opening,
        log._oldest,
        log._head_first,
        log.first,
        log.next,
        log.checkpoint_sequence,
    ) = struct.unpack_from(HINT, hint)
    if max(log._head, log._tail) >= sectors.count or log._end > sectors.size:
        return False
    log._newest = log._opening
    log._checkpoint = (sector, offset) if sector < sectors.count else (-1, 0)
    opening, first, tail, log._wear = sectors.header(log._head)
    log._reach = (tail - log._head - 1) % sectors.count
    if opening != log._opening or first != log._head_first:
        return False
    last = sectors.parse(log._head, log._last, first)
    if not last or last[1] != log.next - 1:
        return False
    if not _is_end(sectors, log._head, log._end):
        return False
    # Nothing newer where the next sector would have been opened.
    sector = log._free(log._after(log._head))
    return sector >= 0 and sectors.header(sector)[0] in range(BLANK, opening)


def _is_end(sectors, sector, offset):
    """Whether neither a record nor a mount has gone beyond ``offset``."""
    page = sectors.page
    rest = min((offset // page + 1) * page + HEAD, sectors.size) - offset
    return not rest or min(sectors.load(sector, offset, rest)) == 0xFF


# ---- by what the flash says ----


def recover(log):
    """Find the end of the log; make what is found there certain."""
    for _ in range(_TRIES):
        record = _find_head(log)
        if not record:
            break
        _find_tail(log)
        if secure(log, record):
            _find_checkpoint(log)
            break
        log._reset()
    prepare(log)


def _find_head(log):
    """Make the newest sector the head and return its last valid record, or None."""
    sectors = log._sectors
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
            log.retired += 1
        elif opening == UNKNOWN:
            log.unknown += 1
    log._newest = openings[0]
    for sector in (newest, second):
        if sector >= 0:
            opening, first, tail, wear = sectors.header(sector)
            # A weak header may read otherwise than a moment ago.
            record = opening > 0 and _last_record(log, sector, first, sectors.size)
            if record:
                log._head = sector
                log._opening = opening
                log._head_first = first
                log._tail = tail
                log._wear = wear
                log._reach = (tail - sector - 1) % sectors.count
                log.next = record[1] + 1
                return record
            # Its opening was cut short: it never held anything.
    return None


def _last_record(log, sector, first, end):
    """Return the last valid record before ``end``; note checkpoint and marks on the way."""
    sectors = log._sectors
    last = None
    log._checkpoint = (-1, 0)
    found = sectors.seek(sector, DATA, first, end)
    while found:
        last = found
        if _is_marked(sectors, sector, found[0]):
            log._settled = True
        if found[2] == CHECKPOINT:
            log._checkpoint = (sector, found[0])
            log.checkpoint_sequence = found[1]
        found = sectors.seek(sector, sectors.behind(last[0], last[3]), first, end)
    return last


def _find_tail(log):
    while log._tail != log._head:
        opening, first, _, _ = log._sectors.header(log._tail)
        if 0 < opening < log._opening:
            log._oldest = opening
            log.first = first
            return
        log._tail = log._after(log._tail)
    log._oldest = log._opening
    log.first = log._head_first


def _find_checkpoint(log):
    """Look further back when the head has none that can be read."""
    sectors = log._sectors
    sector = log._head
    while log._checkpoint[0] < 0 and sector != log._tail:
        sector = (sector or sectors.count) - 1
        header = log._live(sector)
        if header:
            found = sectors.seek(sector, DATA, header[1], sectors.size)
            if found and found[2] == CHECKPOINT:
                log._checkpoint = (sector, found[0])
                log.checkpoint_sequence = found[1]


def secure(log, record):
    """Make the last record, which may be weakly programmed, certain.

    Whatever follows it is void from now on: a copy on words never touched counts instead.
    Returns False when the head turns out to hold no record at all.
    """
    sectors = log._sectors
    head = log._head
    if not log._settled:
        # The header may be as weak; its second copy has room of its own.
        sectors.write_header(head, SECOND, log._opening, log._head_first, log._tail, log._wear)
        log._settled = True
    end = sectors.behind(record[0], record[3])
    offset = _untouched(sectors, head, end) + HEAD
    fits = offset + sectors.space(record[3]) <= sectors.size
    if fits and _mark(sectors, head, end, offset - HEAD):
        record, done = _copy_last(log, record, head, offset)
        if done:
            log._last = offset
            log._end = sectors.behind(offset, record[3])
    sector = head
    while record and log._end == sectors.size:
        sector = log._free(log._after(sector))
        if sector < 0:
            # The log is full, and its last record has a whole copy in the last free sector.
            break
        wear = log._clear(sector)
        if wear:
            record, done = _copy_last(log, record, sector, DATA)
            if done:
                end = sectors.behind(DATA, record[3])
                if log._commit(sector, record[1], log._tail, wear, DATA, end):
                    break
        log._retire(sector)
    if not record:
        return False
    log.next = record[1] + 1
    return True


def _copy_last(log, record, sector, offset):
    """Copy the head's last record; return it, and whether the copy is there.

    A weak record may have been valid a moment ago and not be now: then the one before it is the
    last.
    """
    sectors = log._sectors
    done = None
    while record and offset + sectors.space(record[3]) <= sectors.size:
        done = sectors.copy(log._head, record, sector, offset)
        if done is not None:
            break
        record = _last_record(log, log._head, log._head_first, record[0])
    return record, done


def prepare(log):
    """See to it that what stands in the sector to be opened next can never be taken for more.

    Only a cut while it was opened, or a flash never used, leaves anything but a header older than
    the head's.
    """
    sectors = log._sectors
    sector = log._head
    for _ in range(sectors.count):
        sector = log._free(log._after(sector))
        if sector < 0:
            break
        state = sectors.header(sector)[0]
        if 0 <= state < max(1, log._opening):
            return
        if state == INVALID and _holds_copies(sectors, sector):
            sectors.zero(sector, 0, SECOND)  # void before it is erased
        if state == BLANK and _is_new(sectors, sector):
            # As good as new. The header of an opening that left no trace cannot come back through
            # this one.
            wear = log._erase_count(sector)
        else:
            wear = log._clear(sector)
            if not wear:
                log._retire(sector)
                continue
        if sectors.write_header(sector, 0, 0, 0, 0, wear):
            return
        log._retire(sector)
    log._end = sectors.size


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
