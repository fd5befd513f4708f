"""What the archive of a tracker says about its chains, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from coldtrail_gateway.contract import ranges
from coldtrail_gateway.contract.block import HASH_SIZE, Sync
from coldtrail_gateway.contract.events import EventType
from coldtrail_gateway.contract.ranges import Range
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.contract.words import SYNC_SOURCE
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.evidence.timeline import Timeline


class Name(StrEnum):
    """The kinds of finding."""

    DAMAGED = "damaged"
    UNDECODED = "undecoded"
    UNREAD = "unread"
    UNVERIFIED = "unverified"
    FORK = "fork"
    RESTORED_FLASH = "restored flash"
    SPLICE = "splice"
    GAP = "gap"
    TRUNCATED = "truncated"
    CLOCK_SYNC_REFUSED = "clock sync refused"
    TIME_IN_DOUBT = "time in doubt"
    NEW_CHAIN_UNANNOUNCED = "new chain, unannounced"
    NEW_CHAIN_ANNOUNCED = "new chain, announced"
    REPLAYED = "replayed"
    TIME_UNCHECKED = "time unchecked"


_HONEST: Final = frozenset({Name.NEW_CHAIN_ANNOUNCED, Name.REPLAYED, Name.TIME_UNCHECKED})


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about blocks `first` to `last` of a chain (None: of no known chain)."""

    name: Name
    chain: bytes | None
    first: int
    last: int
    text: str

    @property
    def wrong(self) -> bool:
        """Whether something is missing, contradictory or not understood."""
        return self.name not in _HONEST

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """All findings, and by row id the entries whose samples are not vouched for."""

    findings: tuple[Finding, ...]
    flawed: Mapping[int, Name]


def judge(entries: Sequence[Entry]) -> Judgement:
    """Judge all of a tracker's archived blocks, given in the order of arrival."""
    chains: dict[bytes, list[Entry]] = {}
    for entry in entries:
        if entry.head is not None and not entry.damage:
            chains.setdefault(entry.head.chain, []).append(entry)
    findings = [*_unreadable(entries)]
    flawed: dict[int, Name] = {entry.row.id: Name.DAMAGED for entry in entries if entry.damage}
    flawed |= {entry.row.id: Name.UNVERIFIED for entry in entries if entry.unverified}
    for index, (chain, members) in enumerate(chains.items()):
        judged = _Chain(chain, members)
        if index:
            findings.append(judged.beginning())
        findings += [
            *judged.unverified(),
            *judged.gaps(),
            *judged.forks(),
            *judged.splices(),
            *judged.repeats(),
        ]
        flawed |= judged.flawed
    findings += _truncated(list(chains.values()))
    return Judgement(in_order(findings), flawed)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings with the gravest first, else as they are."""
    order = list(Name)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.name)))


def of_time(chain: bytes, boot: int, blocks: Range, line: Timeline) -> Iterator[Finding]:
    """Name what the clock syncs of a boot, which is in these blocks, say of each other."""
    label = f"chain {chain.hex()}: boot {boot}"
    for sync in line.refused:
        text = (
            f"{label}: the clock sync {_sync(sync)} contradicts the others or an arrival: not used"
        )
        yield Finding(Name.CLOCK_SYNC_REFUSED, chain, *blocks, text)
    if line.doubtful:
        them = " and ".join(map(_sync, line.doubtful))
        text = f"{label}: the clock syncs {them} contradict each other: the uncertainty covers all"
        yield Finding(Name.TIME_IN_DOUBT, chain, *blocks, text)
    if line.late:
        text = (
            f"{label}: every clock sync lies after the arrival of a block: the tracker's clock "
            "or the gateway's is wrong; the uncertainty covers both"
        )
        yield Finding(Name.TIME_IN_DOUBT, chain, *blocks, text)
    if not line.checked:
        text = f"{label}: its time rests on one clock sync, and no other confirms it"
        yield Finding(Name.TIME_UNCHECKED, chain, *blocks, text)


def unreadable(name: Name, chain: bytes | None, number: int, row: int, reason: str) -> Finding:
    """Name a block that is damaged, or that nothing is understood of."""
    label = f"chain {chain.hex()}: block {number}" if chain else "a block"
    return Finding(name, chain, number, number, f"{label} (row {row}): {reason}")


def beginning(chain: bytes, *, announced: bool) -> Finding:
    """Name a chain that exists beside an earlier one."""
    name = Name.NEW_CHAIN_ANNOUNCED if announced else Name.NEW_CHAIN_UNANNOUNCED
    how = (
        "its first block begins with a boot"
        if announced
        else "no first block that begins with a boot is here"
    )
    return _of_chain(name, chain, (1, 1), f"the log was formatted anew ({how})")


def gap(chain: bytes, span: Range) -> Finding:
    """Name numbers that are missing."""
    return _of_chain(Name.GAP, chain, span, f"{_blocks(span)} not here")


def fork(chain: bytes, span: Range) -> Finding:
    """Name numbers with two blocks or more."""
    text = f"{_blocks(span)} here with different contents: a cloned tracker or an old log"
    return _of_chain(Name.FORK, chain, span, text)


def restored(chain: bytes, span: Range) -> Finding:
    """Name a fork that an old log has made."""
    text = (
        f"from block {span[0]} on the tracker began again, with a boot, after the "
        "first line of blocks had ended: an old image of its log was restored"
    )
    return _of_chain(Name.RESTORED_FLASH, chain, span, text)


def splice(chain: bytes, number: int) -> Finding:
    """Name a block that names another hash than that of the block before."""
    text = f"block {number} does not follow from the one before it"
    return _of_chain(Name.SPLICE, chain, (number, number), text)


def replayed(chain: bytes, repeats: Mapping[int, int]) -> Iterator[Finding]:
    """Name blocks whose bytes came again: by number, how often."""
    again = [(number, number) for number, count in repeats.items() if count]
    for span in ranges.join(again):
        count = sum(repeats[number] for number in range(span[0], span[1] + 1))
        text = (
            f"{_blocks(span)} received again, {count} more in all: "
            "sent again for want of a confirmation, or replayed; counted once"
        )
        yield _of_chain(Name.REPLAYED, chain, span, text)


def truncated(chain: bytes, shipment: str, number: int) -> Finding:
    """Name a shipment that ends with a block, without a stop."""
    text = (
        f"shipment {shipment} ends with block {number} "
        "without a stop, and the tracker went on to something else"
    )
    return _of_chain(Name.TRUNCATED, chain, (number, number), text)


def _of_chain(name: Name, chain: bytes, span: Range, text: str) -> Finding:
    return Finding(name, chain, *span, f"chain {chain.hex()}: {text}")


def _sync(sync: Sync) -> str:
    source = SYNC_SOURCE[sync.source]
    return f"at {sync.t_ms / 1000:.3f} s ({source}: {iso(sync.utc_ms)})"


class _Chain:
    """The blocks of one chain, in the order of arrival."""

    def __init__(self, chain: bytes, entries: Sequence[Entry]) -> None:
        self._chain = chain
        self._label = f"chain {chain.hex()}"
        self._entries = entries
        self._variants: dict[int, list[Entry]] = {}
        for entry in entries:
            if entry.head is not None:
                self._variants.setdefault(entry.head.number, []).append(entry)
        self.flawed: dict[int, Name] = {}

    def beginning(self) -> Finding:
        """Return the finding that this chain exists beside an earlier one."""
        first = self._variants.get(1, [None])[0]
        block = first.block if first else None
        announced = block is not None and any(e.type is EventType.BOOT for e in block.events[:1])
        return beginning(self._chain, announced=announced)

    def unverified(self) -> Iterator[Finding]:
        """Yield findings for blocks whose key is not registered here."""
        lacking = [
            number for number, same in self._variants.items() if any(e.unverified for e in same)
        ]
        for span in self._spans(lacking):
            text = f"{_blocks(span)} not verified: their key is not registered here"
            yield self._finding(Name.UNVERIFIED, span, text)

    def gaps(self) -> Iterator[Finding]:
        """Yield findings for numbers that are missing below the highest."""
        for span in ranges.missing(self._spans(self._variants)):
            yield gap(self._chain, span)

    def forks(self) -> Iterator[Finding]:
        """Yield findings for numbers with two blocks, and for an old log that was restored."""
        forked = [number for number, entries in self._variants.items() if len(entries) > 1]
        for span in self._spans(forked):
            for number in range(span[0], span[1] + 1):
                for entry in self._variants[number]:
                    self.flawed[entry.row.id] = Name.FORK
            yield fork(self._chain, span)
            if self._is_restored(span[0]):
                yield restored(self._chain, span)

    def _is_restored(self, number: int) -> bool:
        """Tell whether one tracker went back in time, and not two reported at the same time."""
        lines = [self._line(entry) for entry in self._variants[number]]
        for earlier, later in pairwise(lines):
            start = later[0].block
            boots = start is not None and any(e.type is EventType.BOOT for e in start.events)
            if not boots or max(e.row.id for e in earlier) > min(e.row.id for e in later):
                return False
        return True

    def _line(self, start: Entry) -> list[Entry]:
        """Return a block and those that follow from it by their hashes."""
        line = [start]
        while line[-1].head is not None:
            following = [
                entry
                for entry in self._variants.get(line[-1].head.number + 1, [])
                if entry.head is not None and entry.head.previous == line[-1].digest16
            ]
            if not following:
                break
            line.append(following[0])
        return line

    def splices(self) -> Iterator[Finding]:
        """Yield findings for blocks that name another hash than that of the block before."""
        for number, entries in sorted(self._variants.items()):
            before = {entry.digest16 for entry in self._variants.get(number - 1, [])}
            if number == 1:
                before = {bytes(HASH_SIZE)}
            for entry in entries:
                if before and entry.head is not None and entry.head.previous not in before:
                    self.flawed[entry.row.id] = Name.SPLICE
                    yield splice(self._chain, number)

    def repeats(self) -> Iterator[Finding]:
        """Yield findings for blocks whose bytes came more than once; each counts once."""
        times = {
            number: sum(entry.row.repeats for entry in entries)
            for number, entries in self._variants.items()
        }
        yield from replayed(self._chain, times)

    def _spans(self, numbers: Sequence[int] | Mapping[int, object]) -> list[Range]:
        return ranges.join((number, number) for number in numbers)

    def _finding(self, name: Name, span: Range, text: str) -> Finding:
        return Finding(name, self._chain, *span, f"{self._label}: {text}")


def _unreadable(entries: Sequence[Entry]) -> Iterator[Finding]:
    for entry in entries:
        chain = entry.head.chain if entry.head else entry.row.chain
        number = (entry.head.number if entry.head else entry.row.number) or 0
        for name, reason in (
            (Name.DAMAGED, entry.damage),
            (Name.UNDECODED, entry.undecoded),
        ):
            if reason:
                yield unreadable(name, chain, number, entry.row.id, reason)


def _truncated(chains: Sequence[Sequence[Entry]]) -> Iterator[Finding]:
    """Yield findings for shipments without a stop after which the tracker did something else."""
    ordered = [
        entry
        for members in chains
        for entry in sorted(members, key=lambda e: e.head.number if e.head else 0)
        if entry.block is not None
    ]
    stopped = {
        event.fields["shipment"]
        for entry in ordered
        if entry.block is not None
        for event in entry.block.events
        if event.type is EventType.SHIPMENT_STOP
    }
    current: Entry | None = None
    for entry in ordered:
        if current is not None and current.block is not None and entry.block is not None:
            left = current.block.shipment
            if left is not None and left != entry.block.shipment and left not in stopped:
                head = current.block.head
                yield truncated(head.chain, left, head.number)
        current = entry


def _blocks(span: Range) -> str:
    first, last = span
    return f"block {first} is" if first == last else f"blocks {first} to {last} are"
