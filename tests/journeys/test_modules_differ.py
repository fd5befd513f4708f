"""Modules differ: a command that one of them refuses, whichever it is, keeps no tracker silent."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cbor2
import pytest

from coldtrail_simulator.models.bg95.past import Past
from tests.support.trackers.sessions import CallingTracker, Cell, Sim, Site

FAULT = 13
MODEM, PASSED_OVER = 6, 7
PIN = "2468"

# What there is nothing else for: without them a call fails, as one without a card does.
NEEDED = {"AT+QIACT=1"}
ANSWERED = {"AT+CMEE?"}
"""By which the driver tells that there is a modem: any answer will do."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site"), tls=False) as found:
        yield found


class Unknowing:
    """A modem that refuses one command, or leaves it without an answer."""

    def __init__(self, tracker: CallingTracker, command: str, answer: bytes) -> None:
        self._tracker = tracker
        self._command = command
        self._answer = answer
        self._current = ""
        self.refused = 0
        tracker.modem.port.disturbance = self

    def begin(self, exchange: int) -> int | None:
        self._current = self._tracker.notes("at")[-1]["command"]
        if self._current != self._command:
            return 0
        self.refused += 1
        return None

    def spoil(self, kind: str, data: bytes) -> bytes:
        if kind == "answer" and self._current == self._command:
            return self._answer
        return data


STRANGE = Past(
    report_port="usbat",
    function=4,
    psm=("00000110", "00000001"),
    edrx={4: "1111"},
    operator="26299",
    settings={"nwscanseq": "03", "nwscanmode": "1", "iotopmode": "1"},
    apn="elsewhere.example",
    authentication=("somebody", "secret"),
)
"""Everything that the driver would bring into order, so that it sends all its commands."""


def tracker_of(site: Site, **modem: object) -> CallingTracker:
    return CallingTracker(site, modem=modem)


def until_data(tracker: CallingTracker) -> list[str]:
    """Return the commands from the first to the one that opens the connection."""
    commands = [note["command"] for note in tracker.notes("at")]
    opened = next(i for i, each in enumerate(commands) if each.startswith("AT+QIOPEN"))
    return list(dict.fromkeys(commands[:opened]))


def every_command() -> list[str]:
    """Return the commands of set-up and attachment with a modem that has a past."""
    with (
        tempfile.TemporaryDirectory() as work,
        Site(Path(work), tls=False) as place,
        tracker_of(place, past=STRANGE) as tracker,
    ):
        tracker.power_on()
        assert tracker.until(lambda: bool(place.keeper.kept), 600)
        return until_data(tracker)


def test_every_command_that_is_refused_is_passed_over_or_has_another_in_its_place(
    site: Site,
) -> None:
    commands = every_command()
    assert len(commands) >= 30
    kinds = [b"\r\nERROR\r\n", b"\r\n+CME ERROR: 4\r\n", b""]
    wrong = []
    for command in commands:
        for answer in kinds:
            if command in NEEDED or (command in ANSWERED and not answer):
                continue
            # Where what is refused stands in the module already, nobody need do anything; what
            # is refused of a past that forbids the network can only be told.
            past = STRANGE if command.startswith(PRELUDE) else Past()
            with tracker_of(site, past=past) as tracker:
                unknowing = Unknowing(tracker, command, answer)
                tracker.power_on()
                done = tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 300)
                if done and (not unknowing.refused or is_told(tracker, command)):
                    continue
                wrong.append((command, answer, done, tracker.console.text))
    assert not wrong


PRELUDE = ("AT+QCFG", "AT+CPSMS", "AT+CEDRX", "AT+QICSGP")


def is_told(tracker: CallingTracker, command: str) -> bool:
    """Return whether the tracker has told, once, what it does without; but for time and cell."""
    if command.startswith(("AT+QLTS", "AT+QNWINFO", "AT+QCSQ", "AT+CEREG=", "AT+CMEE?")):
        return True
    lines = [line for line in tracker.console.text.splitlines() if "does without" in line]
    faults = [tuple(what) for _, _, *what in tracker.records(FAULT)]
    told = faults == [(MODEM, PASSED_OVER, 1), (MODEM, PASSED_OVER, 0)]
    return len(lines) == 1 and command in lines[0] and told


def test_what_is_passed_over_is_told_once_a_boot_and_ends_with_the_call(site: Site) -> None:
    with CallingTracker(site) as tracker:
        unknowing = Unknowing(tracker, 'AT+QCFG="nwscanmode"', b"\r\n+CME ERROR: 4\r\n")
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 300)
        kept = len(site.keeper.kept)
        assert tracker.until(lambda: tracker.asleep and len(site.keeper.kept) > kept, 4000)
        assert unknowing.refused == 2
        assert is_told(tracker, 'AT+QCFG="nwscanmode"')
        states = [note["state"] for note in tracker.notes("modem-power")]
        assert states.count("booting") == 2


# ---- a module with a past ----


@pytest.mark.parametrize(
    ("past", "order"),
    [
        (Past(psm=("00000110", "00000001")), ("AT+CPSMS=0",)),
        (Past(edrx={4: "1111", 5: "1111"}), ("AT+CEDRXS=0,4",)),
        (Past(report_port="usbat"), ('AT+QURCCFG="urcport","uart1"',)),
        (Past(function=0), ("AT+CFUN=1",)),
        (Past(function=4), ("AT+CFUN=1",)),
        (Past(operator="26299"), ("AT+COPS=0",)),
        (Past(baud=57_600), ("AT+IPR=115200", "AT&W")),
        (Past(apn="elsewhere.example", authentication=("a", "b")), ()),
        (Past(settings={"nwscanmode": "1"}), ('AT+QCFG="nwscanmode",0,1',)),
        (STRANGE, ("AT+CPSMS=0", "AT+CEDRXS=0,4", "AT+COPS=0", "AT+CFUN=1")),
    ],
    ids=["PSM", "eDRX", "port", "CFUN 0", "CFUN 4", "operator", "rate", "APN", "QCFG", "all"],
)
def test_a_module_with_a_past_is_brought_into_order_once(
    site: Site, past: Past, order: tuple[str, ...]
) -> None:
    with tracker_of(site, past=past) as tracker:
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 300)
        states = [note["state"] for note in tracker.notes("modem-power")]
        assert "psm" not in states
        assert "uplink:" not in tracker.console.text
        kept, first = len(site.keeper.kept), tracker.notes("at")
        assert set(order) <= {note["command"] for note in first}
        assert tracker.until(lambda: tracker.asleep and len(site.keeper.kept) > kept, 4000)
        later = [note["command"] for note in tracker.notes("at")[len(first) :]]
        # What the module keeps in its flash is written once. The model forgets its contexts.
        written = ("AT+CPSMS=", "AT+CEDRXS=", "AT+COPS=", "AT+IPR=", "AT&W")
        assert not [each for each in later if each.startswith(written)]
        assert not [each for each in later if each.startswith("AT+QCFG") and "," in each]
        assert not [each for each in later if each.startswith("AT+QURCCFG") and "," in each]


class Unconfirming(Site):
    """One at which nobody confirms."""

    def confirms(self, topic: str, payload: bytes) -> bool:
        return False


def test_a_confirmation_that_takes_its_time_finds_the_module_awake(tmp_path: Path) -> None:
    """A module that has PSM on falls asleep some seconds after the last packet."""
    with Unconfirming(tmp_path, tls=False) as site:
        site.keeper.close()
        past = Past(psm=("00000110", "00000001"))  # an hour; 2 s after the connection's release
        with tracker_of(site, past=past) as tracker:
            tracker.power_on()
            assert tracker.until(lambda: bool(tracker.notes("mqtt-up")), 120, 1)
            assert tracker.until(lambda: tracker.asleep, 120)
            assert "no confirmation within 15 s" in tracker.console.text
            assert "psm" not in [note["state"] for note in tracker.notes("modem-power")]


def test_a_card_with_a_pin_and_a_module_with_a_past(tmp_path: Path) -> None:
    with Site(tmp_path, tls=False) as site:
        volume = tmp_path / "own"
        shutil.copytree(site.volume, volume)
        path = volume / "identity.cbor"
        path.write_bytes(cbor2.dumps(cbor2.loads(path.read_bytes()) | {11: PIN}, canonical=True))
        modem = {"past": STRANGE, "sim": Sim(pin=PIN)}
        with CallingTracker(site, volume=volume, modem=modem) as tracker:
            tracker.places.cell = Cell()
            tracker.power_on()
            assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 300)
