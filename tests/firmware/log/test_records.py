"""The contract's numbers stand once on the tracker's side, and they are those of uplink.cddl."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.blocks.cddl import CDDL

FIRMWARE = Path(__file__).resolve().parents[3] / "firmware"
RECORDS = FIRMWARE / "coldtrail" / "log" / "records.py"
MEMORIES = FIRMWARE / "coldtrail" / "memories.py"
MODULES = sorted(set((FIRMWARE / "coldtrail").rglob("*.py")) - {RECORDS, MEMORIES})

CONTRACT = CDDL.read_text(encoding="utf-8")

# Of each list of numbers in the contract's comments: where it stands, what our names begin with,
# and the names that the tracker has for its entries.
LISTS = {
    "boot": (r"cause: 1\.\.5, *;(.*)", "", "POWER_ON BROWN_OUT WATCHDOG COMMANDED OTHER"),
    "gap": (r"log-gap = .*;(.*)", "", "OVERWRITTEN DAMAGED NOT_ACCEPTED"),
    "stop": (r"shipment-stop = .*;(.*)", "BY_", "BUTTON COMMAND CONSOLE OTHER_SHIPMENT"),
    "outcome": (r"outcome: 0\.\.4, *;(.*)", "", "TAKEN DONE REFUSED EXPIRED INTERRUPTED"),
    "kind": (r"kind = 1\.\.4 *;(.*)", "", "INSTANT CONSECUTIVE CUMULATIVE TREND"),
    "end": (
        r"cause: 1\.\.4, *;(.*1 back.*)", "",
        "BACK_WITHIN SENSOR_LOST SHIPMENT_STOPPED RULES_REPLACED",
    ),
    "flight": (r"cause: 1\.\.4\] *;(.*planned leg.*)", "", "PLANNED TAKE_OFF ARRIVAL TIME_LIMIT"),
    "sync": (r"source: 1\.\.3, *;(.*)", "", "NETWORK GATEWAY"),
    "position": (r"source: 1\.\.2\] *;(.*)", "BY_", "GNSS"),
    "subject": (
        r"; subject 0\.\.4: sensor as in status;(.*)\.", "SUBJECT_",
        "LOG MODEM CLOCK CONFIGURATION DOWNLINK",
    ),
    "event channel": (r";( 8 shock .*)", "CHANNEL_", "SHOCK FREE_FALL"),
    "log": (r"; code: .*of the log (.*); of the clock", "", "NEARLY_FULL FULL"),
}  # fmt: skip


def constants(path: Path) -> dict[str, int]:
    """Return the names that a module assigns with ``const()``, and their values."""
    found: dict[str, int] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Name(id="const"), args=[ast.Constant(value=int(value))]),
            ):
                found[name] = value
    return found


def words(path: Path, name: str) -> list[str]:
    """Return the list that a module makes of a text by ``split()``."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=found)],
                value=ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)))),
            ) if found == name:
                return text.split()
    raise AssertionError(f"{path} has no {name}")


def copies(path: Path) -> Iterator[tuple[str, int]]:
    for name, value in constants(path).items():
        if name.startswith("_"):
            yield name[1:], value


ORIGINALS = constants(RECORDS) | constants(MEMORIES)


def test_no_name_stands_for_two_numbers() -> None:
    assert not constants(RECORDS).keys() & constants(MEMORIES).keys()
    assert len(ORIGINALS) > 70


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_copy_has_the_value_of_the_original(path: Path) -> None:
    for name, value in copies(path):
        assert ORIGINALS.get(name, value) == value, name
        if path.parent.name != "ports":  # where a register's name begins so too
            assert name in ORIGINALS or not name.startswith(("EVENTS_", "RADIO_", "REPEATS_")), (
                name
            )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_module_pays_for_the_names(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            named = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
            assert not named & {"coldtrail.log.records", "coldtrail.memories"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_positions_of_shared_memories_have_their_names(path: Path) -> None:
    """Whoever looks into the detector's or the sessions' memory names the position."""
    prefixes = {"events": "_EVENTS_", "radio": "_RADIO_", "repeats": "_REPEATS_"}
    if path.stem == "detector":
        prefixes["memory"] = "_EVENTS_"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Subscript(value=ast.Name(id=of) | ast.Attribute(attr=of), slice=place) if (
                of in prefixes and not isinstance(place, ast.Slice)
            ):
                names = {n.id for n in ast.walk(place) if isinstance(n, ast.Name)}
                assert names, ast.unparse(node)
                named = {n for n in names if n.startswith(prefixes[of])}
                assert named or names <= {"hour"}, ast.unparse(node)


# ---- the contract ----


def test_every_event_has_its_number() -> None:
    events = re.findall(r"^([a-z-]+) = \[(\d+), t: ", CONTRACT, re.MULTILINE)
    named = re.search(r"^event = ([^;]*?)\n\n", CONTRACT, re.MULTILINE)
    assert named
    assert {name for name, _ in events} == set(re.findall(r"[a-z-]+", named[1]))
    for name, number in events:
        assert ORIGINALS[name.replace("-", "_").upper()] == int(number), name


def test_every_action_has_its_number() -> None:
    named = re.search(r"^action = (.*)$", CONTRACT, re.MULTILINE)
    assert named
    ours = "CONFIGURE ACKNOWLEDGE LOCATE REBOOT SEND_AGAIN START STOP".split()
    for name, our in zip(re.findall(r"[a-z-]+", named[1]), ours, strict=True):
        found = re.search(rf"^{name} = \[(\d+)[,\]]", CONTRACT, re.MULTILINE)
        assert found, name
        assert name.replace("-", "_").upper().startswith(our)
        assert ORIGINALS[our] == int(found[1]), name


@pytest.mark.parametrize("what", LISTS)
def test_a_list_of_numbers_is_the_contracts(what: str) -> None:
    pattern, prefix, names = LISTS[what]
    found = re.search(pattern, CONTRACT)
    assert found, what
    contract = {
        int(number): text.lower().replace("-", " ")
        for number, text in re.findall(r"(\d+) ([A-Za-z][A-Za-z -]*)", found[1])
    }
    assert contract
    for name in names.split():
        value = ORIGINALS[prefix + name]
        assert name.lower().replace("_", " ") in contract[value], (name, contract)


def test_the_console_calls_records_channels_and_subjects_what_they_are() -> None:
    console = FIRMWARE / "coldtrail" / "console"
    types = words(console / "log.py", "_TYPES")
    for name, number in re.findall(r"^([a-z-]+) = \[(\d+), t: ", CONTRACT, re.MULTILINE):
        assert types[int(number)] == name
    for name in ("SAMPLE", "BLOCK", "CONFIRMED", "CHECKPOINT"):
        assert types[constants(RECORDS)[name]] == name.lower()
    subjects = words(console / "shown.py", "_SUBJECTS")
    channels = words(console / "shown.py", "_CHANNELS")
    for name, value in constants(RECORDS).items():
        group, _, rest = name.partition("_")
        if group == "SUBJECT":
            assert subjects[value] == rest.lower()
        elif group == "CHANNEL":
            assert channels[value] == rest.lower()
    sensors = re.search(r"least significant first: (.*?)battery \(4\)", CONTRACT, re.DOTALL)
    assert sensors
    assert subjects[:5] == [*re.findall(r"([a-z]+)[\s;]+\(", sensors[1]), "battery"]
    kinds = words(console / "shown.py", "_KINDS")
    for name in ("INSTANT", "CONSECUTIVE", "CUMULATIVE", "TREND"):
        assert kinds[constants(RECORDS)[name]] == name.lower()
