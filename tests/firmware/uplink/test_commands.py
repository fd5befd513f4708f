"""What a tracker makes of the commands it hears: it believes, refuses, obeys them or not."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coldtrail.contract import cbor, cose
from coldtrail.judging import profile
from coldtrail.log import records as r
from coldtrail.log.recorder import Recorder
from coldtrail.uplink import commands
from coldtrail.uplink.session import Session
from coldtrail_boards.profiles import profile as host_profiles
from coldtrail_simulator.models.nor import NorArray
from tests.firmware.support import on_cpython  # noqa: F401 - what MicroPython has and CPython lacks
from tests.firmware.support.uplink_commands import mac0
from tests.support.flash.norflash import NorFlash
from tests.support.trackers.who import Identity

UNIX = 1_800_000_000
MADE = UNIX * 1000
HOUR = 3600
SLACK = 60

TOPIC = "coldtrail/1/SIM-000001/command"
OLD = host_profiles.load("refrigerated_2_8").encode()
PLAIN = {**cbor2.loads(OLD), 7: [], 8: [0]}
ALL = "probe ambient light accelerometer battery"
SEND_AGAIN = 5
NOT_VERIFIED, REPLAY, DOWNLINK = 2, 10, 9


class Reset(BaseException):
    """The chip starts anew."""


class CommandedTracker:
    """A tracker under way between two calls, ``now`` seconds after the commands were made."""

    def __init__(self, *, clock: bool = True, fitted: str = ALL) -> None:
        Path("profile.cbor").write_bytes(OLD)
        flash = NorFlash(NorArray(random.Random(1), 16 * 4096))
        self.recorder: Any = Recorder(flash, profile.load(OLD), Identity)
        self.fitted = fitted.split()
        self.held: set[str] = set()
        self.now = 100
        self.recorder.record(r.BOOT, [0, 1, 1, 0, "0"])
        digest = self.recorder.profile.digest
        self.recorder.record(r.CONFIGURATION, [0, "refrigerated_2_8", digest])
        if clock:
            self.recorder.record(r.CLOCK_SYNC, [0, 0, UNIX, 0, 500, 1])
        self.recorder.record(r.SHIPMENT_START, [0, "S-1"])
        self.recorder.seal()

    def since_boot(self, boot_rtc: int) -> tuple[int, int]:
        return self.now - boot_rtc, 0

    def sensor(self, name: str) -> object | None:
        if name not in self.fitted:
            return None
        self.held.add(name)
        return self

    def release_all(self) -> None:
        self.held.clear()

    def reset(self) -> None:
        raise Reset

    def hear(self, *messages: bytes) -> Session:
        """Hear messages in one session, and do what follows; return the session."""
        session = Session(self, self.recorder, None, 0, [])
        for message in messages:
            session._message(TOPIC, message, False)
        try:
            commands.follow(
                self, self.recorder, session.command, session.refused, session.replayed, False
            )
        except Reset:
            self.now += 1
        return session

    def outcomes(self) -> list[list[Any]]:
        """Return the outcomes in the log: counter, action, outcome, reason."""
        return [event[1:] for event in self.events(r.COMMAND_OUTCOME)]

    def faults(self) -> list[list[int]]:
        """Return the faults in the log: subject, code, on."""
        return [event[1:] for event in self.events(r.FAULT)]

    def events(self, kind: int) -> list[Any]:
        return [
            cbor.decode(bytes(payload))
            for _, found, payload in self.recorder.log.records(0)
            if found == kind
        ]


def command(action: list[Any], counter: int = MADE, expiry: int = UNIX + HOUR) -> bytes:
    """Return a command as the gateway seals it."""
    fields = {0: 1, 1: counter, 2: expiry, 3: action}
    return sealed(cbor2.dumps(fields, canonical=True))


def sealed(payload: bytes) -> bytes:
    message: bytes = mac0(
        Identity.downlink_key, 1, cose.COMMAND, "down", Identity.tracker, bytearray(payload)
    )
    return message


def configure(content: bytes) -> list[Any]:
    return [r.CONFIGURE, sha256(content).digest()[:8], content]


@pytest.fixture(autouse=True)
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


REFUSED = {
    "another digest": ([r.CONFIGURE, bytes(8), OLD], "its digest is another"),
    "no CBOR": (configure(b"\xff"), ""),
    "no profile": (configure(cbor2.dumps({0: 1})), "profile"),
    "of a later version": (configure(cbor2.dumps({**PLAIN, 0: 2})), "version"),
    "a rule that makes no sense": (
        configure(cbor2.dumps({**cbor2.loads(OLD), 7: [[1, 1, 0, 3, 800, 60, 0, 0]]})),
        "rule 1 of the profile: instant has duration 0, every other kind",
    ),
    "what no sensor measures": (
        configure(cbor2.dumps({**PLAIN, 8: [0, 8]})),
        "no sensor measures shock",
    ),
    "a rule on what no sensor measures": (
        configure(cbor2.dumps({**PLAIN, 7: [[1, 1, 7, 3, 500, 0, 0, 0]]})),
        "no sensor measures acceleration_z",
    ),
    "a block that is not sealed": ([SEND_AGAIN, 99], "block 1 is the newest"),
    "two arguments too many": ([r.REBOOT, 1, 2], "command"),
    "a shipment without a name": ([r.START, ""], "command"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused_with_the_reason_and_changes_nothing(name: str) -> None:
    action, reason = REFUSED[name]
    tracker = CommandedTracker(fitted=ALL.replace("accelerometer", ""))
    before = tracker.recorder.state.save()
    tracker.hear(command(action))
    [[counter, number, outcome, *said]] = tracker.outcomes()
    assert (counter, number, outcome) == (MADE, action[0], r.REFUSED)
    assert said
    assert reason in said[0]
    assert len(said[0].encode()) <= 64
    assert sorted(path.name for path in Path().iterdir()) == ["profile.cbor"]
    assert Path("profile.cbor").read_bytes() == OLD
    changed = [a for a, b in zip(before, tracker.recorder.state.save(), strict=True) if a != b]
    assert changed == [0]  # of all that is saved, the counter of the last command


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.integers(0, len(OLD) - 1), st.integers(1, 255))
def test_a_configuration_is_taken_whole_or_not_at_all(at: int, flip: int) -> None:
    content = bytearray(OLD)
    content[at] ^= flip
    tracker = CommandedTracker()
    tracker.hear(command(configure(bytes(content))))
    try:
        profile.load(bytes(content))
    except ValueError:
        expected, file = r.REFUSED, OLD
    else:
        expected, file = tracker.outcomes()[-1][2], bytes(content)
        if expected == r.REFUSED:  # sound, but for a board with other sensors
            file = OLD
            assert "no sensor measures" in tracker.outcomes()[-1][3]
        else:
            assert expected == r.TAKEN  # in force, and said to be, by the boot that follows
    assert [told[2] for told in tracker.outcomes()] == [expected]
    assert Path("profile.cbor").read_bytes() == file


@pytest.mark.parametrize(
    "content", [OLD, cbor2.dumps(PLAIN, canonical=True)], ids=["in force", "another"]
)
def test_no_sensors_driver_is_kept_when_a_profile_has_been_checked(content: bytes) -> None:
    tracker = CommandedTracker()
    tracker.hear(command(configure(content)))
    assert tracker.outcomes()
    assert not tracker.held


def test_the_configuration_in_force_is_done_and_boots_nothing() -> None:
    tracker = CommandedTracker()
    tracker.hear(command(configure(OLD)))
    assert [told[2] for told in tracker.outcomes()] == [r.DONE]
    assert tracker.recorder.state.taken is None


@given(st.integers(-2, 2), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_is_void_from_its_expiry_on(off: int, at_once: bool) -> None:
    tracker = CommandedTracker()
    tracker.now = 600 + off
    tracker.hear(command([r.REBOOT] if at_once else [r.ACKNOWLEDGE], expiry=UNIX + 600))
    outcome = tracker.outcomes()[0][2]
    assert outcome == (r.TAKEN if off < 0 else r.EXPIRED)


@pytest.mark.parametrize("action", [r.LOCATE, r.REBOOT])
@pytest.mark.parametrize("longer", [0, SLACK, SLACK + 1, 86400])
def test_to_locate_and_to_reboot_are_good_for_an_hour_at_most(action: int, longer: int) -> None:
    tracker = CommandedTracker()
    tracker.hear(command([action], expiry=UNIX + HOUR + longer))
    [told, *_] = tracker.outcomes()
    if longer <= SLACK:
        assert told[2] == r.TAKEN
    else:
        assert told[2:] == [r.REFUSED, "it would be good for more than an hour"]


def test_without_a_clock_nothing_is_done() -> None:
    tracker = CommandedTracker(clock=False)
    tracker.hear(command([r.ACKNOWLEDGE]))
    assert tracker.outcomes() == [
        [MADE, r.ACKNOWLEDGE, r.REFUSED, "no clock to judge its expiry by"]
    ]


counters = st.lists(st.lists(st.integers(1, 12), max_size=6), min_size=1, max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(counters)
def test_of_a_session_the_newest_is_taken_and_no_counter_twice(sessions: list[list[int]]) -> None:
    tracker = CommandedTracker()
    last = 0
    expected, faults = [], 0
    for heard in sessions:
        newest = max(heard, default=0)
        older = sum(counter < last for counter in heard)
        session = tracker.hear(*[command([r.ACKNOWLEDGE], MADE + counter) for counter in heard])
        assert session.refused == session.replayed == older
        if newest > last:
            expected.append(newest)
            last = newest
        if bool(older) != bool(faults % 2):
            faults += 1
    taken = [told[0] - MADE for told in tracker.outcomes() if told[2] == r.TAKEN]
    done = [told[0] - MADE for told in tracker.outcomes() if told[2] == r.DONE]
    assert taken == done == expected
    # A replay is reported where it begins and where it ends.
    assert tracker.faults() == [[DOWNLINK, REPLAY, 1 - number % 2] for number in range(faults)]


@contextmanager
def unharmed(tracker: CommandedTracker) -> Iterator[None]:
    before = tracker.recorder.state.save()
    yield
    assert tracker.recorder.state.command == 0
    assert tracker.recorder.state.save()[:3] == before[:3]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.data())
def test_a_forgery_is_refused_and_reported(data: st.DataObject) -> None:
    genuine = bytearray(command([r.REBOOT]))
    at = data.draw(st.integers(0, len(genuine) - 1))
    genuine[at] ^= data.draw(st.integers(1, 255))
    tracker = CommandedTracker()
    with unharmed(tracker):
        session = tracker.hear(bytes(genuine))
        assert session.command is None
        assert (session.refused, session.replayed) == (1, 0)
        assert tracker.outcomes() == []
        assert tracker.faults() == [[DOWNLINK, NOT_VERIFIED, 1]]
        tracker.hear()
        assert tracker.faults()[1:] == [[DOWNLINK, NOT_VERIFIED, 0]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80))
def test_what_is_sealed_and_no_command_is_refused_and_reported(payload: bytes) -> None:
    tracker = CommandedTracker()
    with unharmed(tracker):
        tracker.hear(sealed(payload))
        assert tracker.outcomes() == []
        assert tracker.faults() == [[DOWNLINK, NOT_VERIFIED, 1]]


def test_a_command_to_another_tracker_or_the_other_way_is_a_forgery() -> None:
    payload = bytearray(cbor2.loads(command([r.REBOOT])).value[2])
    for direction, tracker_id, content in (
        ("down", "SIM-000002", cose.COMMAND),
        ("up", "SIM-000001", cose.COMMAND),
        ("down", "SIM-000001", cose.CONFIRMATION),
    ):
        tracker = CommandedTracker()
        message = mac0(
            Identity.downlink_key, 1, content, direction, tracker_id, bytearray(payload)
        )
        with unharmed(tracker):
            tracker.hear(message)
        assert tracker.faults() == [[DOWNLINK, NOT_VERIFIED, 1]]
