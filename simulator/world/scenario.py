"""A scenario: the journey of one shipment, as a TOML file.

The models here are the schema. Times named ``…_h`` are hours from the scenario's start. They and
all other quantities carry their unit in the name. Unknown keys are rejected.
"""

import tomllib
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from coldtrail_simulator import files
from coldtrail_simulator.paths import SCENARIOS
from coldtrail_simulator.world.errors import ScenarioError, sentence
from coldtrail_simulator.world.fields import Celsius, Hours, Positive, Table
from coldtrail_simulator.world.thermal import Shipper

FAULTS = {
    "probe": (
        "open",
        "short",
        "reference",
        "force_plus_open",
        "force_plus_low",
        "rtdin_plus_low",
        "rtdin_minus_low",
        "rtdin_minus_high",
        "no_answer",
        "slow",
        "stuck_value",
    ),
    "ambient": ("no_answer", "wrong_crc", "slow", "stuck_bus", "below", "stuck_value"),
    "light": (
        "no_answer",
        "wrong_id",
        "slow",
        "stuck_bus",
        "stuck_value",
        "out_of_range",
        "interrupt_storm",
    ),
    "accelerometer": (
        "no_answer",
        "wrong_id",
        "slow",
        "stuck_bus",
        "stuck_value",
        "interrupt_storm",
        "seized",
    ),
    "battery": ("out_of_range",),
}
"""The faults of each sensor, as in its model."""

Coverage = Literal["LTE-M", "NB-IoT", "GSM", "none"]


class Header(Table):
    """[scenario]: its description, and the properties of the shipment."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    story: str = ""
    start: datetime
    duration_h: Positive = Field(le=24 * 365)
    board: str = Field(pattern=r"^[a-z0-9_]+$")
    profile: str
    tls: bool = False  # the broker requires a certificate of the tracker

    @field_validator("start")
    @classmethod
    def _start_is_utc(cls, start: datetime) -> datetime:
        if start.utcoffset() != timedelta(0):
            raise ValueError("must be UTC, such as 2025-06-02T06:00:00Z")
        return start


class Daily(Table):
    """Air temperature with a daily cycle: a cosine over the local solar time."""

    mean_c: Celsius
    swing_c: float = Field(default=0, ge=0, le=60)  # warmest minus coldest
    warmest_at: float = Field(default=15, ge=0, lt=24)  # hour of the day


class Knot(Table):
    """A point of a table; values between points are interpolated linearly."""

    at_h: Hours  # from the start of the leg
    c: Celsius


class Leg(Table):
    """[[leg]]: the place and conditions of the shipment from from_h until the next leg."""

    from_h: Hours
    place: str = Field(min_length=1)
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    ambient: Daily | None = None
    ambient_table: list[Knot] = Field(default=[])
    dew_point_c: float = Field(default=8, ge=-80, le=40)
    light_lx: float = Field(default=300, ge=0, le=80000)  # illuminance outside the box
    coverage: Coverage
    signal_dbm: int = Field(default=-85, ge=-140, le=-40)
    satellites: bool = True  # whether the box has satellite reception

    @model_validator(mode="after")
    def _has_one_ambient(self) -> Self:
        if (self.ambient is None) == (not self.ambient_table):
            raise ValueError("give either ambient or ambient_table")
        times = [knot.at_h for knot in self.ambient_table]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError("at_h must increase within ambient_table")
        return self


class _Event(Table):
    """An event at at_h, or at `times` random times between at_h and until_h."""

    at_h: Hours
    until_h: Hours | None = None
    times: int = Field(default=1, ge=1, le=1000)

    @model_validator(mode="after")
    def _has_a_span_for_its_times(self) -> Self:
        if (self.times > 1) != (self.until_h is not None):
            raise ValueError("times and until_h go together")
        if self.until_h is not None and self.until_h <= self.at_h:
            raise ValueError("until_h must be later than at_h")
        return self


class ReIce(_Event):
    """The PCM is replaced by fresh PCM, conditioned at pcm_c."""

    kind: Literal["re_ice"]
    pcm_c: Celsius


class Door(_Event):
    """The box is open; its light is that of the leg, or lux."""

    kind: Literal["door"]
    for_min: Positive
    lux: float | None = Field(default=None, ge=0, le=80000)


class Drop(_Event):
    """The box is dropped; its packing makes the landing a pulse of pulse_ms.

    Afterwards its insulation lets through `leaks` times as much heat (a lost vacuum).
    """

    kind: Literal["drop"]
    height_m: Positive = Field(le=20)
    pulse_ms: Positive = Field(default=20, ge=1, le=100)
    leaks: float = Field(default=1.0, ge=1, le=100)


class Tilt(_Event):
    """Another face is up for for_h: an axis of the tracker; upright is z+."""

    kind: Literal["tilt"]
    face: Literal["x+", "x-", "y+", "y-", "z-"]
    for_h: Positive


class Flight(_Event):
    """An aircraft with the box takes off, and touches down after for_h.

    ``planned``: the tracker was provisioned with this flight, from off-block to on-block.
    """

    kind: Literal["flight"]
    for_h: Positive = Field(ge=1, le=20)
    planned: bool = False


class PowerCut(_Event):
    """The battery is removed for off_s.

    During "awake" the cut is at a seeded moment of the next wake. During "after_call" it is in the
    work that follows the next call, when a command is carried out. During "flash_write" it is
    within the next program or erase of the flash, when ``share`` of it is done, or at a seeded
    moment.
    """

    kind: Literal["power_cut"]
    off_s: Positive
    during: Literal["any", "awake", "after_call", "flash_write"] = "any"
    share: float | None = Field(default=None, ge=0, lt=1)


class BrokerDown(_Event):
    """The broker is killed, and restarted after for_h."""

    kind: Literal["broker_down"]
    for_h: Positive


class GatewayDown(_Event):
    """The gateway is killed (SIGKILL), and restarted after for_h."""

    kind: Literal["gateway_down"]
    for_h: Positive


class SensorFailure(_Event):
    """A sensor has a fault for for_h; a probe with a pulled cable is open."""

    kind: Literal["fault"]
    sensor: Literal["probe", "ambient", "light", "accelerometer", "battery"]
    fault: str
    for_h: Positive

    @model_validator(mode="after")
    def _is_one_the_sensor_can_have(self) -> Self:
        known = FAULTS[self.sensor]
        if self.fault not in known:
            raise ValueError(f"fault of {self.sensor} must be one of {', '.join(known)}")
        return self


class Hang(_Event):
    """A task of the firmware computes endlessly."""

    kind: Literal["hang"]


class ButtonPress(_Event):
    """The button is pressed; 3 s or longer stops the shipment."""

    kind: Literal["button"]
    hold_s: Positive = Field(le=60)


class CableIn(_Event):
    """The cable is connected for for_h: the tracker has its console and stays awake."""

    kind: Literal["cable"]
    for_h: Positive


class Command(_Event):
    """`coldtrail gateway command` is run for the tracker; configure names a profile."""

    kind: Literal["command"]
    arguments: list[str] = Field(min_length=1)


class Intruder(_Event):
    """An intruder retains a forged command at the broker, or the first command again."""

    kind: Literal["intruder"]
    what: Literal["forge", "replay"]


Happening = (
    ReIce | Door | Drop | Tilt | Flight | PowerCut | SensorFailure | Hang | ButtonPress | CableIn
)
Event = Happening | BrokerDown | GatewayDown | Command | Intruder


class Twin(Table):
    """[twin]: the control run, without the events of these kinds."""

    without: list[str] = Field(min_length=1)


class Variation(Table):
    """[variation]: how far each leg may differ from the file in either direction, by the seed."""

    ambient_c: float = Field(default=0, ge=0, le=20)
    swing_c: float = Field(default=0, ge=0, le=20)
    leg_h: float = Field(default=0, ge=0, le=24)


class Scenario(Table):
    """A whole scenario file."""

    scenario: Header
    shipper: Shipper = Shipper()
    leg: list[Leg] = Field(min_length=1)
    event: list[Annotated[Event, Field(discriminator="kind")]] = Field(default=[])
    variation: Variation = Variation()
    twin: Twin | None = None

    @property
    def name(self) -> str:
        return self.scenario.name

    @property
    def duration_s(self) -> float:
        return self.scenario.duration_h * 3600

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        starts = [leg.from_h for leg in self.leg]
        if starts[0] != 0:
            raise ValueError(f"[[leg]] 1 ({self.leg[0].place}): from_h must be 0")
        least = 2 * self.variation.leg_h
        for number, (earlier, later) in enumerate(pairwise(starts), 2):
            if later - earlier <= least:
                raise ValueError(
                    f"[[leg]] {number} ({self.leg[number - 1].place}): from_h must be more than "
                    f"{least:g} h after the leg before, which starts at {earlier:g}"
                )
        end = self.scenario.duration_h
        if starts[-1] + self.variation.leg_h >= end:
            raise ValueError(
                f"[[leg]] {len(starts)} ({self.leg[-1].place}): from_h must be before the end "
                f"at {end:g}"
            )
        for number, event in enumerate(self.event, 1):
            key = "at_h" if event.until_h is None else "until_h"
            if (event.until_h or event.at_h) >= end:
                raise ValueError(
                    f"[[event]] {number} ({event.kind}): {key} must be before the end at {end:g}"
                )
        kinds = {event.kind for event in self.event}
        for kind in self.twin.without if self.twin else ():
            if kind not in kinds:
                raise ValueError(f"[twin]: without names '{kind}', but no event is of that kind")
        return self

    def without_intervention(self) -> Self:
        """Return the control run: this scenario without the events named in [twin].

        Raises:
            ScenarioError: the scenario has no [twin].
        """
        if self.twin is None:
            raise ScenarioError(
                f"The scenario '{self.name}' has no twin: add [twin] with the events to leave out."
            )
        left_out = set(self.twin.without)
        return self.model_copy(
            update={
                "scenario": self.scenario.model_copy(update={"name": f"{self.name}_twin"}),
                "event": [event for event in self.event if event.kind not in left_out],
                "twin": None,
            }
        )


def shipped() -> list[str]:
    """Return the names of the scenarios that ship with the simulator."""
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))


def load(name_or_file: str) -> Scenario:
    """Return a shipped scenario by its name, or one from a .toml file.

    Raises:
        ScenarioError: the file does not exist, or is not a scenario.
    """
    path = Path(name_or_file)
    if path.suffix != ".toml":
        path = SCENARIOS / f"{name_or_file}.toml"
        if name_or_file not in shipped():
            raise ScenarioError(
                f"There is no scenario '{name_or_file}': name one of {', '.join(shipped())}, "
                "or a .toml file."
            )
    try:
        return Scenario.model_validate(tomllib.loads(files.read_text(path)))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}; name a file that can be read.") from error
    except ValidationError as error:
        raise ScenarioError(f"{path}: {sentence(error)}") from error
    except ValueError as error:
        raise ScenarioError(f"{path}: it is not TOML in UTF-8: {error}.") from error
