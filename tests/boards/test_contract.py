"""What the boards' tools repeat of the contract is what firmware/uplink.cddl says.

The contract's tables of numbers stand in its types and comments; they are read from there.
"""

from __future__ import annotations

import re

from coldtrail.log import records
from coldtrail_boards import logdump, quantities
from coldtrail_boards.profiles import profile
from tests.support.blocks.cddl import CDDL

TEXT = CDDL.read_text(encoding="utf-8")


def alternatives(name: str) -> list[str]:
    """Return the names in `name = a / b / c`."""
    found = re.search(rf"^{name} = ((?:[a-z-]+\s*/\s*)+[a-z-]+)$", TEXT, re.MULTILINE)
    assert found is not None, name
    return [part.strip() for part in found[1].split("/")]


def number(name: str) -> int:
    """Return the first item of `name = [number, …]`."""
    found = re.search(rf"^{name} = \[(\d+),", TEXT, re.MULTILINE)
    assert found is not None, name
    return int(found[1])


def test_the_log_s_records_have_the_contract_s_numbers_and_names() -> None:
    types = {number(event): event.replace("-", " ") for event in alternatives("event")}
    types[records.SAMPLE] = "sample"  # blocks hold it in columns
    inner = {kind: name for kind, name in logdump.TYPES.items() if kind >= records.INTERNAL}
    assert {kind: name for kind, name in logdump.TYPES.items() if kind not in inner} == types
    assert inner == {
        records.BLOCK: "sealed block",
        records.CONFIRMED: "confirmation",
        records.CHECKPOINT: "checkpoint",
    }
    assert logdump.BLOCK_HEAD.format == records.BLOCK_HEAD
    assert (logdump.BLOCK, logdump.CHECKPOINT) == (records.BLOCK, records.CHECKPOINT)


def test_every_type_of_a_record_has_its_name_in_a_dump() -> None:
    for kind in logdump.TYPES:
        line = logdump.describe(logdump.Record(1, kind, b"\x80"))
        assert line.split("  ")[-1].strip() == ("1 bytes" if kind == logdump.CHECKPOINT else "[]")
        assert logdump.TYPES[kind] in line
    assert "type 27" in logdump.describe(logdump.Record(1, 27, b"\x80"))


def test_the_channels_have_the_contract_s_numbers_and_units() -> None:
    names = re.findall(r"^([a-z-]+) = column +; channel (\d): (?:([\d.]+) )?(\S+?),?(?: |$)", TEXT,
                       re.MULTILINE)  # fmt: skip
    assert [int(index) for _, index, _, _ in names] == list(range(8))
    known = {"payload-temperature": "payload", "ambient-temperature": "ambient",
             "illuminance": "light"}  # fmt: skip
    channels = [known.get(name, name).replace("-", "_") for name, _, _, _ in names]
    units = [
        (unit.replace("degC", "°C"), len(step.partition(".")[2])) for _, _, step, unit in names
    ]
    events = re.search(
        r"8 shock \([^)]*event (\d+), (\w+)\), 9 free fall \([^)]*event (\d+), (\w+)\)", TEXT
    )
    assert events is not None
    assert (int(events[1]), int(events[3])) == (number("shock"), number("free-fall"))
    assert list(quantities.CHANNELS) == [*channels, "shock", "free_fall"]
    assert list(quantities.UNITS) == [*units, (events[2], 0), (events[4], 0)]


def test_the_subjects_of_faults_have_the_contract_s_numbers() -> None:
    status = re.search(r"; Status: four bits a sensor, least significant first: ([^.]*)\.", TEXT)
    assert status is not None
    sensors = re.findall(r"(\w+) \(channel [^)]*\)|(\w+)\s*(?:; )?\(\d", status[1])
    subjects = [first or second for first, second in sensors]
    others = re.search(r"; subject 0\.\.4: sensor as in status; ([^.]*)\.", TEXT)
    assert others is not None
    numbered = re.findall(r"(\d) (\w+)", others[1])
    assert [int(index) for index, _ in numbered] == list(range(5, 10))
    assert list(profile.SUBJECTS) == subjects + [name for _, name in numbered]


def test_kinds_and_comparisons_have_the_contract_s_numbers() -> None:
    kinds = re.search(r"^kind = 1\.\.4 +; (.*)$", TEXT, re.MULTILINE)
    comparisons = re.search(r"^comparison = 1\.\.4 +; (.*)$", TEXT, re.MULTILINE)
    assert kinds is not None
    assert comparisons is not None
    assert re.findall(r"(\d) (\w+)", kinds[1]) == numbered(profile.KINDS)
    assert re.findall(r"(\d) ([<>]=?)", comparisons[1]) == numbered(profile.COMPARISONS)


def numbered(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(str(index), name) for index, name in enumerate(names, 1)]
