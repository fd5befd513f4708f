"""The power fails at every flash operation from a command's arrival to its outcome.

Whatever the command and wherever the cut: it is recorded as taken before anything is done, it is
carried out at most once, and its outcome is told exactly once, as done only where it was.
"""

import os
import random
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from coldtrail import shipment
from coldtrail.contract import cbor, cose
from coldtrail.judging import profile
from coldtrail.log import records as r
from coldtrail.log.recorder import Recorder
from coldtrail.uplink import commands
from coldtrail.uplink.session import Session
from coldtrail_boards.profiles import profile as host_profiles
from coldtrail_gateway.contract.command import Command
from coldtrail_simulator.models.nor import Mood, NorArray, Tear
from tests.firmware.support import on_cpython  # noqa: F401 - what MicroPython has and CPython lacks
from tests.firmware.support.uplink_commands import mac0
from tests.support.flash.norflash import NorFlash
from tests.support.trackers.who import Identity

UNIX = 1_800_000_000
COUNTER = UNIX * 1000 + 77
TOPIC = "coldtrail/1/SIM-000001/command"
OLD = host_profiles.load("refrigerated_2_8").encode()
NEW = host_profiles.load("who_type_1").encode()
SEND_AGAIN = 5
ACTIONS: dict[str, list[Any]] = {
    "configure": [r.CONFIGURE, sha256(NEW).digest()[:8], NEW],
    "acknowledge": [r.ACKNOWLEDGE],
    "locate": [r.LOCATE],
    "reboot": [r.REBOOT],
    "send again": [SEND_AGAIN, 1],
    "start": [r.START, "S-2"],
    "stop": [r.STOP],
}
TEARS = (
    (Tear.NOTHING, Mood.ONES),
    (Tear.PREFIX, Mood.ONES),
    (Tear.MIXED, Mood.ONES),
    (Tear.MIXED, Mood.ZEROS),
    (Tear.DONE, Mood.ONES),
)


class PowerFails(BaseException):
    """Nothing that runs may catch it."""


class Reset(BaseException):
    """The chip starts anew."""


class CutTracker:
    """A tracker's flash, file system and clock through as many boots as it takes.

    Args:
        array: the flash, or None for one that has just been formatted.
        cut: at which operation the power fails, counted from 0; None for never.
    """

    def __init__(self, array: NorArray | None, cut: int | None, tear: Tear, mood: Mood) -> None:
        fresh = array is None
        self.array = array or NorArray(random.Random(1), 8 * 4096)
        self.operations = 0
        self.acts: list[str] = []
        self.counter = 1000
        self._cut, self._tear, self._mood = None, tear, mood
        self._cause = r.POWER_ON
        Path("profile.cbor").write_bytes(OLD)
        self.mount()
        if fresh:
            self.boot()
            self.recorder.record(r.CLOCK_SYNC, [0, 0, UNIX, 0, 500, 1])
            for minute in range(6):
                self.recorder.record(r.SAMPLE, [60 * minute, 0, 400, *[None] * 7])
            self.recorder.seal()
        self.operations = 0
        self._cut = cut

    # ---- what the firmware asks of a board

    def since_boot(self, boot_rtc: int) -> tuple[int, int]:
        return self.counter - boot_rtc, 0

    def sensor(self, name: str) -> object:
        return self

    def release_all(self) -> None:
        pass

    def reset(self) -> None:
        self.act("reset")
        self._cause = r.COMMANDED
        raise Reset

    # ---- life

    def mount(self) -> None:
        flash = NorFlash(self.array)
        flash.before = self._before
        loaded = profile.load(Path("profile.cbor").read_bytes())
        self.recorder: Any = Recorder(flash, loaded, Identity)

    def boot(self) -> None:
        self.counter += 3000
        self.recorder.boot = [self._cause, self.counter]
        self._cause = r.POWER_ON
        shipment.boot(self, self.recorder, [0] * 9)
        shipment.begin(self.recorder, self.since_boot(self.recorder.state.boot_rtc)[0])
        if self.recorder.state.sync is None:
            t = self.counter - self.recorder.state.boot_rtc
            self.recorder.record(
                r.CLOCK_SYNC, [t, 0, UNIX + 60 * self.recorder.state.boot, 0, 500, 1]
            )

    def _before(self, address: int, data: bytes | None) -> None:
        def tear() -> None:
            if data is None:
                self.array.erase(address // self.array.sector_size, self._tear)
            else:
                self.array.program(address, data, self._tear)

        self.step(tear)

    def step(self, tear: Callable[[], None]) -> None:
        """Count one operation on what outlasts the power; it may be the one that is cut."""
        number, self.operations = self.operations, self.operations + 1
        if number == self._cut:
            tear()
            self.array.mood = self._mood
            raise PowerFails

    def act(self, what: str) -> None:
        """Note an act; that it was asked for stands in the flash already."""
        found = Recorder(
            NorFlash(self.array.copy(random.Random(2))), self.recorder.profile, Identity
        )
        assert found.state.taken is not None, what
        assert found.state.taken[0] == COUNTER
        self.acts.append(what)

    def call(self, message: bytes, again: int | None) -> tuple[bool, int | None]:
        """Hear the retained command in a session, and do what follows from it."""
        self.counter += 30
        session = Session(self, self.recorder, None, 0, [], again)
        session._message(TOPIC, message, True)
        session._message(TOPIC, message, False)  # once more, as a broker may
        assert session.refused == 0
        told: tuple[bool, int | None] = commands.follow(
            self, self.recorder, session.command, 0, 0, again is not None
        )
        return told

    def live(self, message: bytes) -> None:
        """Call until the gateway has heard the outcome, booting whenever something ends it."""
        heard, again, calls = False, None, 0
        while not heard:
            calls += 1
            assert calls < 12, "it never comes to an end"
            try:
                heard = bool(self.outcomes()) and self.outcomes()[-1] != r.TAKEN
                _, again = self.call(message, again)
            except (PowerFails, Reset):
                again = None
                self.restart()

    def restart(self) -> None:
        try:
            self.mount()
            self.boot()
        except PowerFails:
            self._cut = None
            self.mount()
            self.boot()

    # ---- what is left

    def events(self, kind: int) -> list[Any]:
        return [
            cbor.decode(bytes(payload))
            for _, found, payload in self.recorder.log.records(0)
            if found == kind
        ]

    def outcomes(self) -> list[int]:
        return [event[3] for event in self.events(r.COMMAND_OUTCOME) if event[1] == COUNTER]


@pytest.fixture(scope="module")
def formatted(tmp_path_factory: pytest.TempPathFactory) -> NorArray:
    """The flash of a tracker under way."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("volume"))
    try:
        return CutTracker(None, None, Tear.DONE, Mood.ONES).array
    finally:
        os.chdir(before)


@pytest.mark.parametrize("name", ACTIONS)
def test_a_command_survives_every_power_cut(
    name: str, formatted: NorArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    action = ACTIONS[name]
    message = sealed(action)

    def run(cut: int | None, tear: Tear, mood: Mood) -> CutTracker:
        tracker = CutTracker(formatted.copy(random.Random(3)), cut, tear, mood)
        rename = os.rename

        def replace(old: str, new: str) -> None:
            tracker.act("rename")
            tracker.step(lambda: rename(old, new) if tear is Tear.DONE else None)
            rename(old, new)

        with monkeypatch.context() as patched:
            patched.setattr(os, "rename", replace)
            tracker.live(message)
        check(tracker, action)
        return tracker

    whole = run(None, Tear.DONE, Mood.ONES)
    expected = r.REFUSED if name == "locate" else r.DONE  # there is no position to be found
    assert whole.outcomes() == [r.TAKEN, expected]
    ends = set()
    for cut in range(whole.operations):
        for tear, mood in TEARS:
            ends.add(run(cut, tear, mood).outcomes()[-1])
    assert ends == {expected, r.INTERRUPTED} | ({r.DONE} if name != "locate" else set())


def sealed(action: list[Any]) -> bytes:
    """Return the command as the gateway retains it."""
    command = Command("SIM-000001", COUNTER, cbor.encode(action), UNIX + 3600, UNIX * 1000)
    sealed: bytes = mac0(
        Identity.downlink_key, 1, cose.COMMAND, "down", Identity.tracker,
        bytearray(command.payload()),
    )  # fmt: skip
    return sealed


def check(tracker: CutTracker, action: list[Any]) -> None:
    """Judge by the log alone, which is what the gateway gets."""
    *before, end = tracker.outcomes()
    assert before == [r.TAKEN]
    assert end in (r.DONE, r.REFUSED, r.INTERRUPTED)
    done = end == r.DONE
    boots = [event[2] for event in tracker.events(r.BOOT)]
    starts = [event[1] for event in tracker.events(r.SHIPMENT_START)]
    stops = [event[1:] for event in tracker.events(r.SHIPMENT_STOP)]
    number = action[0]
    assert tracker.acts.count("reset") <= 1
    assert tracker.acts.count("rename") <= 1
    if number == r.REBOOT:
        assert boots.count(r.COMMANDED) == int(done)
    elif number == r.CONFIGURE:
        in_force = [event[2] for event in tracker.events(r.CONFIGURATION)][-1]
        # Interrupted, yet in force: the file was replaced by the boot that came between.
        assert in_force == sha256(NEW if done else OLD).digest()[:8]
    elif number == r.START:
        assert starts == ["S-1", "S-2"] if done else ["S-1"]
    if number == r.STOP:
        assert stops.count(["S-1", r.BY_COMMAND]) == int(done)
    elif number != r.START:
        assert stops == []
