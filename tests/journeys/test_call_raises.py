"""Whatever a call raises ends the call, not the tracker: an error put into each of its steps."""

import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from coldtrail_simulator.esp32 import interpreter
from coldtrail_simulator.paths import FIRMWARE
from tests.support.trackers.bench import profile
from tests.support.trackers.sessions import CallingTracker, Site

SAMPLE, FAULT = 1, 13
MODEM, CALL_RAISED = 6, 8
INTERVAL_S = 300
WARM = [(1, 1, 0, 3, 800, 0, 0, 0)]
AWAKE_S = 120
STEP_S = 20

# Where a call comes by, from its begin to its end: module, and the function that raises.
STEPS = [
    ("coldtrail/ports/parts", "modem"),
    ("coldtrail/uplink/session", "__init__"),
    ("coldtrail/uplink/session", "run"),
    ("coldtrail/uplink/budget", "look_ms"),
    ("coldtrail/uplink/attach", "attach"),
    ("drivers/bg95/power_on", "power_on"),
    ("drivers/bg95/settings", "attempt"),
    ("drivers/bg95/setup", "_card"),
    ("drivers/bg95/setup", "_network"),
    ("drivers/bg95/cell", "serving"),
    ("drivers/bg95/time", "network_time"),
    ("coldtrail/uplink/connect", "connect"),
    ("drivers/bg95/connect", "connect"),
    ("drivers/bg95/stream", "write"),
    ("drivers/bg95/stream", "readinto"),
    ("coldtrail/uplink/mqtt", "__init__"),
    ("coldtrail/uplink/publish", "_next"),
    ("coldtrail/uplink/mqtt_connect", "subscribe"),
    ("coldtrail/uplink/mqtt", "publish"),
    ("coldtrail/uplink/mqtt", "disconnect"),
    ("coldtrail/uplink/session", "_judge"),
    ("coldtrail/contract/confirmation", "parse"),
    ("drivers/bg95/stream", "close"),
    ("coldtrail/uplink/recover", "follow"),
    ("drivers/bg95/power", "power_off"),
]
# By then everything is confirmed, and the next call is that of the hour.
LATE = {"disconnect", "close", "follow", "power_off"}
ERRORS = ["ValueError", "KeyError", "AttributeError", "ImportError", "MemoryError", "TypeError"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site"), tls=False) as found:
        intervals = {"interval": INTERVAL_S, "alarm_interval": INTERVAL_S}
        intervals |= {"upload_interval": 3600, "alarm_upload_interval": 3600}
        (found.volume / "profile.cbor").write_bytes(profile(WARM, **intervals))
        yield found


def put(volume: Path, module: str, function: str, error: str) -> None:
    """Let a function of the firmware on a volume raise an error, as its first act."""
    name = f"{module}.py"
    source = (FIRMWARE / name).read_text(encoding="utf-8")
    head = re.compile(rf"( *)(async )?def {function}\([^)]*\):\n")
    *_, found = head.finditer(source)
    indent = found[1] + "    "
    text = source[: found.end()] + f'{indent}raise {error}("injected")\n' + source[found.end() :]
    interpreter.install(volume, {name: text})


@pytest.mark.parametrize(
    ("number", "step"), list(enumerate(STEPS)), ids=[f"{m.split('/')[-1]}.{f}" for m, f in STEPS]
)
def test_an_error_that_nothing_foresees_ends_the_call(
    site: Site, tmp_path: Path, number: int, step: tuple[str, str]
) -> None:
    module, function = step
    # One that does not verify is a ValueError, and foreseen.
    opening = function in ("_confirmation", "parse")
    error = "KeyError" if opening else ERRORS[number % len(ERRORS)]
    volume = tmp_path / "volume"
    shutil.copytree(site.volume, volume)
    put(volume, module, function, error)
    with CallingTracker(site, volume=volume) as tracker:
        tracker.world.payload = 20.0  # somebody has to act
        tracker.power_on()
        ends = calls(tracker, 2 * 3600 + 1200)
        check(tracker, error)
        dues = (3600,) if function in LATE else (300, 600, 1200, 2400)
        gaps = [later - earlier for earlier, later in pairwise(ends)]
        assert len(gaps) >= len(dues)
        for gap, due in zip(gaps, dues, strict=False):
            assert due - INTERVAL_S <= gap <= due + INTERVAL_S + AWAKE_S
        kept = len(site.keeper.kept)
        # The same tracker with a program that is right: all is told, and the fault is over.
        interpreter.install(volume, {f"{module}.py": FIRMWARE / f"{module}.py"})
        assert tracker.until(lambda: tracker.asleep and is_over(tracker), 4500)
        assert len(site.keeper.kept) >= max(1, kept)
        causes = [note["cause"] for note in tracker.notes("boot")]
        assert set(causes[1:]) == {"deep sleep"}


def is_over(tracker: CallingTracker) -> bool:
    faults = [what for _, _, *what in tracker.records(FAULT)]
    return faults == [[MODEM, CALL_RAISED, 1], [MODEM, CALL_RAISED, 0]]


def check(tracker: CallingTracker, error: str) -> None:
    """The tracker has slept and sampled all the while, and has told the fault once."""
    causes = [note["cause"] for note in tracker.notes("boot")]
    assert causes[0] == "power-on"
    assert set(causes[1:]) == {"deep sleep"}
    assert f"uplink: the call has ended: {error} injected" in tracker.console.text
    faults = [tuple(what) for _, _, *what in tracker.records(FAULT)]
    assert faults == [(MODEM, CALL_RAISED, 1)]
    assert tracker.until(lambda: tracker.asleep, AWAKE_S)
    times = [t for _, t, *_ in tracker.records(SAMPLE)]
    assert {later - earlier for earlier, later in pairwise(times)} == {INTERVAL_S}
    assert len(times) >= 2 * 3600 // INTERVAL_S


def calls(tracker: CallingTracker, seconds: int) -> list[float]:
    """Let time pass; return when calls ended, by the words on the console."""
    found: list[float] = []
    for _ in range(0, seconds, STEP_S):
        tracker.wait(STEP_S)
        if tracker.console.text.count("the call has ended") > len(found):
            found.append(tracker.clock.now_us / 1e6)
    return found


def test_the_led_says_that_a_call_has_raised(site: Site, tmp_path: Path) -> None:
    """A press shows both colours by turns, as with every fault that stands."""
    volume = tmp_path / "volume"
    shutil.copytree(site.volume, volume)
    put(volume, "coldtrail/uplink/connect", "connect", "ValueError")
    with CallingTracker(site, volume=volume) as tracker:
        tracker.power_on()
        words = "the call has ended"
        assert tracker.until(lambda: tracker.asleep and words in tracker.console.text, 300)
        before = len(tracker.notes("led"))
        tracker.parts["button"].press(100_000)
        tracker.wait(5)
        lit = {note["name"] for note in tracker.notes("led")[before:] if note["lit"]}
        assert lit == {"led_green", "led_red"}
