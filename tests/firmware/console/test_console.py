"""The console on the tracker: every command, beside sampling that nothing delays."""

import json
import random
import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import cbor2
import pytest

from coldtrail.console import fields
from coldtrail_boards import logdump
from coldtrail_boards.cable.read_out import frames
from coldtrail_simulator.clock import US_PER_S, Clock, rng
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models.bg95.modem import BG95
from coldtrail_simulator.network.network import Network
from coldtrail_simulator.services import tools
from tests.bench import heap
from tests.simulator.modem_rig import EPOCH_MS, Places
from tests.support.trackers import travelled
from tests.support.trackers.bench import BenchTracker, NoModem, profile
from tests.support.trackers.cabled import CODE, NAME, provisioned

FIRMWARE_KIB = 104
PROFILE = profile([(1, 1, 0, 3, 2500, 0, 0, 0)])  # an alarm above 25 degrees
SERVICE, STOP, START, BOOT, SYNC, CABLE = 20, 11, 10, 3, 4, 4
COMMANDED, BY_CONSOLE = 4, 3
LINE_RATE = 11_520
"""Bytes a second at 115,200 baud, 10 bits a byte."""


class Typist:
    """Types commands on a tracker's console, as a terminal does."""

    def __init__(self, tracker: BenchTracker) -> None:
        self.tracker = tracker
        tracker.plug()
        tracker.power_on()
        self.wait_for("type help")
        if "waits" not in tracker.console.text:
            self.wait_for("the call has ended")

    def wait_for(self, text: str, limit_s: float = 200, since: int = 0) -> None:
        end_us = self.tracker.clock.now_us + round(limit_s * US_PER_S)
        while text not in self.tracker.console.text[since:]:
            said = self.tracker.console.text[since:]
            assert self.tracker.clock.now_us < end_us, f"no {text!r} in {said!r}"
            self.tracker.wait(0.1)

    def type(self, *lines: str, limit_s: float = 60) -> str:
        """Type lines, each when a prompt or a question stands; return what was said, but echo."""
        said = ""
        for line in lines:
            since = len(self.tracker.console.text)
            self.tracker.console.type(line.encode() + b"\r")
            end_us = self.tracker.clock.now_us + round(limit_s * US_PER_S)
            while not re.search(
                r"\n(> |code: |utc, within ms: |>>> |\.\.\. )$", self.tracker.console.text[since:]
            ):
                assert self.tracker.clock.now_us < end_us, self.tracker.console.text[since:]
                self.tracker.wait(0.05)
            said = self.tracker.console.text[since:]
        return said.partition("\n")[2].rpartition("\n")[0]

    def ask(self, line: str) -> list[dict[str, Any]]:
        """Return the objects that a command gives with --json."""
        return [json.loads(row) for row in self.type(line + " --json").splitlines()]


def modem(bench, name, entry) -> BG95:
    clock: Clock = bench.clock
    journal: Journal = bench.journal
    network = Network(clock, rng(1, "network"), journal, {}, None)
    utc = lambda: EPOCH_MS + clock.now_us // 1000  # noqa: E731
    return BG95(clock, rng(1, name), journal, Places(), network, utc)


@pytest.fixture(scope="module")
def typist(tmp_path_factory: pytest.TempPathFactory):
    files = {"identity.cbor": provisioned(service=1, code=CODE), "profile.cbor": PROFILE}
    with BenchTracker(
        tmp_path_factory.mktemp("console"), files=files, factories={"BG95-M3": modem}
    ) as tracker:
        yield Typist(tracker)


@pytest.fixture
def make(tmp_path: Path):
    made: list[BenchTracker] = []

    def make(modem=modem, **options):
        files = {"identity.cbor": provisioned(code=CODE), "profile.cbor": PROFILE}
        files |= options.pop("files", {})
        fitted = {"BG95-M3": modem}
        made.append(
            BenchTracker(tmp_path / str(len(made)), files=files, factories=fitted, **options)
        )
        return Typist(made[-1])

    yield make
    for tracker in made:
        tracker.close()


# --- what it shows -------------------------------------------------------------------------


def test_help_names_every_command_and_each_explains_itself(typist: Typist):
    named = {str(row["command"]).split()[0] for row in typist.ask("help")}
    assert named == set(
        "help status sensors log shipment profile alarms modem at gnss config calibrate selftest "
        "time power version reboot repl".split()
    )
    for name in named:
        assert name in typist.type(f"help {name}")


def test_sensors_are_what_the_models_gave_and_no_record(typist: Typist):
    before = typist.tracker.records(1)
    rows = {row["channel"]: row for row in typist.ask("sensors")}
    said = {note["sensor"]: note for note in typist.tracker.notes("measure")}
    assert rows["payload"]["value"] == pytest.approx(said["probe"]["celsius"], abs=0.006)
    assert rows["humidity"]["value"] == pytest.approx(said["ambient"]["percent"], abs=0.06)
    assert all(row["status"] == "ok" for row in rows.values())
    assert typist.tracker.records(1) == before


def test_status_and_log_are_what_the_flash_holds(typist: Typist):
    (status,) = typist.ask("status")
    tail = typist.ask("log tail 5")
    dump = logdump.decode(bytes(typist.tracker.parts["flash"].array.cells))
    assert status["shipment"] == NAME.shipment
    assert status["records"] == [dump.records[0].sequence, dump.records[-1].sequence]
    assert status["blocks"] == sum(record.kind == 28 for record in dump.records)
    assert [row["record"] for row in tail] == [record.sequence for record in dump.records[-5:]]
    for row, record in zip(tail, dump.records[-5:], strict=True):
        if record.kind < 28:
            _, pairs = fields.row(record.kind, cbor2.loads(record.payload))
            assert {name: row[name] for name, _, _ in pairs} == {
                name: value / 10**places if places and value is not None else value
                for name, value, places in pairs
            }
    first, last = tail[1]["record"], tail[3]["record"]
    assert typist.ask(f"log range {first} {last}") == tail[1:4]
    assert "confirmed" in typist.type("log")


def test_the_newest_records_have_their_fields_in_words(typist: Typist):
    lines = typist.type("log tail 40").splitlines()
    (boot,) = (line for line in lines if " boot " in line)
    assert re.search(r"boot +t 0 s, boot number 1, cause 1, rtc \d+ s, firmware [\d.]+$", boot)
    sample = next(line for line in lines if " sample " in line)
    assert re.search(r"sample +t \d+ s, status 0, payload [\d.]+ C, ambient [\d.]+ C, ", sample)


def test_time_is_the_networks_once_it_is_known(typist: Typist):
    (said,) = typist.ask("time")
    unix = EPOCH_MS / 1000 + typist.tracker.clock.now_us / US_PER_S
    # A whole second, asked for a moment ago, by a network that tells it up to 250 ms late.
    assert -0.5 < unix - datetime.fromisoformat(str(said["utc"])).timestamp() < 2
    assert said["source"] == "network"


@pytest.mark.parametrize(
    ("command", "holds"),
    [
        ("alarms", {"rule": 1, "state": "good", "threshold": 25.0, "comparison": ">"}),
        ("profile", {"profile": "bench", "interval_s": 60, "rules": 1}),
        ("config", {"tracker": NAME.tracker, "code": "is set", "service_mode": True}),
        ("version", {"micropython": "1.25.0", "board": "esp32_bg95"}),
        ("shipment", {"shipment": NAME.shipment, "stopped_last": None}),
        ("log", {"damaged": []}),
    ],
)
def test_each_shows_the_same_in_words_and_in_json(typist: Typist, command: str, holds):
    (said,) = typist.ask(command)
    assert holds.items() <= said.items()
    words = typist.type(command)
    for value in holds.values():
        if isinstance(value, str):
            assert value in words


def test_power_is_that_of_cable_and_battery(typist: Typist):
    (said,) = typist.ask("power")
    battery = typist.tracker.parts["battery"]
    assert said["cable"] is True
    assert said["battery_mv"] == pytest.approx(battery.millivolts, abs=10)
    assert said["charge_percent"] == pytest.approx(battery.percent, abs=1.5)
    words = re.findall(r"(\d+) (mV|%)", typist.type("power"))  # measured anew
    assert [unit for _, unit in words] == ["mV", "%"]
    assert int(words[1][0]) == pytest.approx(battery.percent, abs=1.5)


def test_it_knows_its_chip(typist: Typist):
    (said,) = typist.ask("version")
    assert said["serial_number"] == typist.tracker.chip.unique_id.hex()


def test_nothing_shows_a_secret(typist: Typist):
    secrets = [NAME.uplink_key, NAME.downlink_key]
    shown = typist.tracker.console.text + typist.type("config")
    for command in ('at AT+QFDWL="client.key"', "at AT+CSQ;+QFLST", "at at + qf list"):
        assert "could show a key" in typist.type(command)
    assert CODE not in shown
    for secret in secrets:
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("bogus", "there is no command 'bogus'"),
        ("status now", "nothing goes behind 'status'"),
        ("log tail x", "'x' is not a number"),
        ("log range 5", "type log,"),
        ("log range 1 99999", "at most 1000 records"),
        ("gnss 0", "1 to 600 seconds"),
        ("modem up", "type modem"),
        ("at", "type at and a command"),
        ("shipment start", "type shipment"),
        ("calibrate payload", "type calibrate CHANNEL"),
        ("calibrate payload 5,0 F250 C-1 2027-01-31", "'5,0' is not a decimal"),
        ("calibrate payload 5.0 F250 C-1 31.1.2027", "is not a date"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(typist: Typist, line: str, says: str):
    said = typist.type(line)
    assert said.startswith("error: ")
    assert says in said
    assert "\n" not in said
    (told,) = typist.ask(line) if line != "at" else ({"error": said},)
    assert says in str(told["error"])


# --- what it changes -----------------------------------------------------------------------


def test_the_modem_answers_by_hand_and_is_off_when_told(typist: Typist):
    said = typist.type("modem", CODE, limit_s=120)
    assert "registration" in said
    assert re.search(r"rssi +-\d+ dBm", said), said
    assert typist.type("at AT+CGMM;+CSQ", CODE).splitlines()[-1] == "OK"
    assert "+CSQ:" in typist.type("at +csq", CODE)
    assert "ERROR" in typist.type("at AT+NONSENSE", CODE)
    assert typist.type("modem off", limit_s=120).split() == ["modem", "off"]
    assert typist.tracker.parts["modem"].status.level != 1


def test_satellites_out_of_sight_are_said_and_the_call_goes_on(typist: Typist):
    said = typist.type("gnss 5", CODE, limit_s=120)
    assert said == "error: no position within 5 s: give it the sky"
    assert "modem" in typist.type("modem off", limit_s=120)


def test_a_command_that_changes_something_wants_the_code_in_transit(typist: Typist):
    began_us = typist.tracker.clock.now_us
    assert "wrong code" in typist.type("shipment stop", "guess")
    assert typist.tracker.clock.now_us - began_us > 3 * US_PER_S
    assert typist.tracker.records(STOP) == []
    assert "stopped last" in typist.type("shipment stop", CODE)
    ((_, _, stopped, cause),) = typist.tracker.records(STOP)
    assert (stopped, cause) == (NAME.shipment, BY_CONSOLE)
    # Out of transit nobody is asked.
    assert "begun before" in typist.type(f"shipment start {NAME.shipment}")
    typist.type("shipment start S-2")
    assert [fields[2] for fields in typist.tracker.records(START)] == [NAME.shipment, "S-2"]


def test_a_prompt_is_logged_and_closes_the_block(typist: Typist):
    said = typist.type("repl", CODE, "6 * 7")
    assert said == "42"
    assert typist.type("for n in range(2):", "    print(n * 11)", "") == "0\n11"
    assert "ZeroDivisionError" in typist.type("1 / 0")
    samples = len(typist.tracker.records(1))
    typist.tracker.wait(130)
    assert len(typist.tracker.records(1)) - samples >= 2
    assert "ended" in typist.type("exit")
    dump = logdump.decode(bytes(typist.tracker.parts["flash"].array.cells))
    marks = [record.sequence for record in dump.records if record.kind == SERVICE]
    ends = [logdump.BLOCK_HEAD.unpack_from(b.payload)[1] for b in dump.records if b.kind == 28]
    assert [fields[2] for fields in typist.tracker.records(SERVICE)] == [1, 0]
    assert set(marks) <= set(ends)


def test_a_point_of_a_calibration_comes_into_force_with_a_reboot(typist: Typist):
    assert "no sensor" in typist.type("calibrate")
    said = typist.type("calibrate payload 5.50 F250 C-77 2030-01-31", CODE)
    assert "after a reboot" in said
    since = len(typist.tracker.console.text)
    typist.tracker.console.type(b"reboot\r")
    typist.wait_for("code: ", since=since)
    typist.tracker.console.type(CODE.encode() + b"\r")
    typist.wait_for("type help", since=since)
    assert typist.tracker.records(BOOT)[-1][3] == COMMANDED
    typist.wait_for("the call has ended", since=since)
    rows = {row["channel"]: row for row in typist.ask("sensors")}
    # An element of class A, 3 counts of offset, 5 sigma of noise: test_max31865.py.
    assert rows["payload"]["raw"] == pytest.approx(5.0, abs=0.8)
    (entry,) = typist.ask("calibrate")
    ((raw, offset),) = entry["points"]
    assert raw == pytest.approx(500, abs=80)
    assert raw + offset == 550
    assert round(100 * (rows["payload"]["value"] - rows["payload"]["raw"])) == offset
    assert (entry["certificate"], entry["channel"]) == ("C-77", "payload")


def test_without_service_mode_there_is_no_prompt(make):
    typist = make()
    assert "not provisioned for service mode" in typist.type("repl")
    assert typist.tracker.records(SERVICE) == []


# --- the clock -----------------------------------------------------------------------------


def test_the_clock_is_set_by_who_has_the_code_and_says_how_surely(make):
    typist = make(modem=NoModem)
    assert typist.ask("time")[0]["utc"] is None
    assert "wrong code" in typist.type("time set", "guess")
    assert typist.tracker.records(SYNC) == []
    said = typist.type("time set", CODE, "2026-03-01T12:00:00.250Z 400")
    assert "source         cable" in said
    [sync] = typist.tracker.records(SYNC)
    noon = round(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())
    assert sync[3:5] == [noon, 250]
    assert 400 <= sync[5] < 1000
    assert sync[6] == CABLE
    typist.tracker.unplug()
    typist.tracker.wait(20_000)
    typist.tracker.plug()
    typist.tracker.wait(5)
    (clock,) = typist.ask("time")
    # 100 ppm of what has passed.
    assert 2000 <= clock["uncertainty_ms"] - sync[5] <= 2020
    now = datetime.fromisoformat(str(clock["utc"])).timestamp()
    assert now - noon == pytest.approx(20_005, abs=15)


@pytest.mark.parametrize(
    "answer",
    ["", "now", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z soon", "2026-03-01 12:00:00Z 500",
     "2026-03-01T24:00:00Z 500", "2026-13-01T12:00:00Z 500", "2026-03-01T12:00:00.25Z 500",
     "2026-03-01T12:00:00+01:00 500", "2026-03-01T12:00:00Z 9999999", "1970-01-01T00:00:00Z 5"],
)  # fmt: skip
def test_what_is_no_time_sets_no_clock(typist: Typist, answer: str):
    before = typist.tracker.records(SYNC)
    assert "error: " in typist.type("time set", CODE, answer)
    assert typist.tracker.records(SYNC) == before


# --- the line ------------------------------------------------------------------------------


def test_keys_of_a_plain_terminal(typist: Typist):
    assert "1.25" in typist.type("bogus\x15verz\x7fsion")
    assert "1.25" in typist.type("\x1b[A\x1b[1;5Cver\x1bOHsion")
    assert "1.25" in typist.type("nonsense\x03version")


def test_lines_end_with_cr_lf_or_both(typist: Typist):
    for end in (b"\r", b"\n", b"\r\n"):
        since = len(typist.tracker.console.text)
        typist.tracker.console.type(b"version" + end)
        typist.tracker.wait(1)
        assert typist.tracker.console.text[since:].count("esp32_bg95") == 1


def test_ctrl_c_stops_a_command_and_nothing_else(typist: Typist):
    since = len(typist.tracker.console.text)
    boots = len(typist.tracker.notes("boot"))
    typist.tracker.console.type(b"log tail 1000\r")
    typist.tracker.wait(0.02)
    typist.tracker.console.type(b"\x03")
    typist.tracker.wait(2)
    assert "error: stopped" in typist.tracker.console.text[since:]
    assert "1.25" in typist.type("version")
    assert len(typist.tracker.notes("boot")) == boots


def test_garbage_and_endless_lines_delay_no_sample(make):
    typist = make()
    tracker = typist.tracker
    began_us = tracker.clock.now_us
    noise = random.Random(5)
    for n in range(8):
        tracker.clock.call_after(
            n * 20 * US_PER_S, lambda: tracker.console.type(noise.randbytes(5000) + b"\r")
        )
        tracker.clock.call_after(
            (n * 20 + 10) * US_PER_S, lambda: tracker.console.type(b"x" * 10_000 + b"\r")
        )
    tracker.wait(200)
    assert "a line has at most 160 characters" in tracker.console.text
    tracker.console.type(b"\x03\x02\x03")
    tracker.wait(5)
    assert "1.25" in typist.type("version")
    _on_time(tracker, began_us)
    assert [note["cause"] for note in tracker.notes("boot")] == ["power-on"]


def _on_time(tracker: BenchTracker, since_us: int) -> None:
    times = [fields[1] for fields in tracker.records(1)]
    assert all(later - earlier == 60 for earlier, later in pairwise(times))
    taken = [n["us"] for n in tracker.notes("measure") if n["sensor"] == "probe"]
    # The first came with the boot, which asks the probe twice; the others at whole seconds of the
    # tracker's clock.
    zero_us = taken[2] - times[1] * US_PER_S
    for us in taken[2:]:
        if us > since_us:
            off = (us - zero_us) % (60 * US_PER_S)
            assert min(off, 60 * US_PER_S - off) < US_PER_S // 4


# --- beside the tracker's work -------------------------------------------------------------


def test_on_the_cable_it_stays_awake_samples_calls_and_then_sleeps(make):
    typist = make(modem=NoModem)
    tracker = typist.tracker
    tracker.wait(40 * 60)
    assert tracker.notes("deep-sleep") == []
    assert [note["cause"] for note in tracker.notes("boot")] == ["power-on"]
    _on_time(tracker, 0)
    # A modem that does not answer: calls are repeated as they are without a cable.
    calls = [fields[1] for fields in tracker.records(18)]
    assert len(calls) == 4
    gaps = [later - earlier for earlier, later in pairwise(calls)]
    assert [round(gap / 300) for gap in gaps] == [1, 2, 4]
    tracker.unplug()
    tracker.wait(130)
    assert len(tracker.notes("deep-sleep")) >= 2
    tracker.plug()
    tracker.wait(5)
    assert tracker.console.text.count("type help") == 2


def test_an_alarm_calls_at_once_with_somebody_at_the_console(make):
    typist = make()
    tracker = typist.tracker
    since = len(tracker.console.text)
    tracker.world.payload = 30.0
    end_us = tracker.clock.now_us + 130 * US_PER_S
    while not tracker.records(5):
        assert tracker.clock.now_us < end_us
        tracker.wait(0.25)
    typist.wait_for("calling the gateway", limit_s=10, since=since)
    (status,) = typist.ask("status")
    assert status["calling"] is True
    assert status["alarms_now"] == [1]
    assert "a call is under way" in typist.type("at AT", CODE)


def test_it_fits_beside_a_tracker_in_a_small_heap(make):
    kib = FIRMWARE_KIB + heap.shims_bytes() // 1024
    typist = make(argv=tools.micropython32(), heap_kib=kib)
    for command in ("help", "status", "sensors", "log tail 5", "alarms", "profile", "config",
                    "time", "power", "version", "calibrate", "log", "shipment"):  # fmt: skip
        assert typist.ask(command) or command == "calibrate", command
    for _ in range(3):
        said = typist.type("modem", CODE, limit_s=120)
        if said.splitlines()[0].split() == ["modem", "on"]:
            break
        # A fresh console has room for it; a call that is due goes first.
        assert "no memory left" in said or "stopped" in said
        typist.tracker.wait(100)
    else:
        pytest.fail(said)
    typist.tracker.wait(900)
    assert "1.25" in typist.type("version")
    assert "MemoryError" not in typist.tracker.console.text
    assert {note["cause"] for note in typist.tracker.notes("boot")} == {"power-on", "deep sleep"}


@pytest.mark.slow
@pytest.mark.parametrize("samples", [12, 96])
def test_an_export_reaches_four_fifths_of_the_line(make, samples: int):
    identity = provisioned()
    cells, blocks = travelled.log(identity, PROFILE, 1200 // samples, samples)
    typist = make(files={"identity.cbor": identity})
    tracker = typist.tracker
    tracker.power_off()
    tracker.parts["flash"].array.cells[:] = cells
    tracker.power_on()
    tracker.wait(60)
    printed = tracker.console.printed
    began_us = tracker.clock.now_us
    tracker.console.type(b"\x01log export\r")
    while b"\x04" not in tracker.console.raw(printed):
        tracker.wait(0.05)
    seconds = (tracker.clock.now_us - began_us) / US_PER_S
    got = [frame.payload for frame in frames([tracker.console.raw(printed)]) if frame.kind == "b"]
    assert got[: len(blocks)] == blocks
    assert sum(map(len, got)) / seconds >= 0.8 * LINE_RATE
