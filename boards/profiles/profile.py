"""Profiles: the limits of a shipment, as TOML for people and as CBOR for the tracker.

The models here are the host's schema of `profile` in firmware/uplink.cddl.
"""

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args

import cbor2
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from coldtrail_boards import files
from coldtrail_boards.errors import BoardError
from coldtrail_boards.quantities import (
    CHANNELS,
    RANGES,
    SECONDS,
    Channel,
    Model,
    Seconds,
    quantity,
    sentence,
    written,
)

DIRECTORY = Path(__file__).parent

Kind = Literal["instant", "consecutive", "cumulative", "trend"]
Subject = Literal[
    "probe", "ambient", "light", "accelerometer", "battery",
    "log", "modem", "clock", "configuration", "downlink",
]  # fmt: skip
WhenFull = Literal["stop", "overwrite"]
JudgedFrom = Literal["start delay", "first reading in the zone"]

KINDS: tuple[Kind, ...] = get_args(Kind)
SUBJECTS: tuple[Subject, ...] = get_args(Subject)
EVENT_CHANNELS = ("shock", "free_fall")  # readings of events, not of samples
COMPARISONS = ("<", "<=", ">", ">=")
WHEN_FULL: tuple[WhenFull, ...] = get_args(WhenFull)
JUDGED_FROM: tuple[JudgedFrom, ...] = get_args(JudgedFrom)

MAX_TREND_RULES = 2  # each takes up to 100 bytes of every checkpoint on the tracker
WINDOW_SAMPLES = 16  # the number of buckets in the window of a trend


class Limit(NamedTuple):
    """A comparison (an index of COMPARISONS plus 1) and a threshold in the channel's unit."""

    comparison: Annotated[int, Field(ge=1, le=4)]
    threshold: Annotated[int, Field(ge=-16777215, le=16777215)]


class Rule(Model):
    """An alarm rule: `rule` in uplink.cddl, judged by firmware/coldtrail/judging/alarms.py."""

    id: int = Field(ge=0, le=255)
    kind: Kind
    channel: Channel
    beyond: Limit
    delay: Annotated[Seconds, Field(ge=0, le=1073741823)] = 0
    notice: Annotated[Seconds, Field(ge=0, le=1073741823)] = 0
    window: Annotated[Seconds, Field(ge=0, le=86400)] = 0
    hysteresis: int = Field(default=0, ge=0, le=16777215)

    @field_validator("beyond", mode="before")
    @classmethod
    def _read_limit(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str) or "channel" not in info.data:
            return value
        match = re.fullmatch(r"([<>]=?) ?(.*)", value)
        if match is None:
            raise ValueError('must begin with <, <=, > or >=, such as "> 8.00 °C"')
        comparison = COMPARISONS.index(match[1]) + 1
        return Limit(comparison, quantity(match[2], info.data["channel"]))

    @field_validator("hysteresis", mode="before")
    @classmethod
    def _read_hysteresis(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str) or "channel" not in info.data:
            return value
        return quantity(value, info.data["channel"])

    @model_validator(mode="after")
    def _kind_has_its_times(self) -> Self:
        needed = {
            "instant": set[str](),
            "consecutive": {"delay"},
            "cumulative": {"delay"},
            "trend": {"notice", "window"},
        }[self.kind]
        given = {name for name in ("delay", "notice", "window") if getattr(self, name)}
        if given != needed:
            wanted = " and ".join(sorted(needed)) or "neither delay nor notice nor window"
            raise ValueError(f"rule {self.id}: kind {self.kind} needs {wanted}")
        return self

    @model_validator(mode="after")
    def _events_are_judged_at_once(self) -> Self:
        comparison, threshold = self.beyond
        above = comparison > 2 and threshold > 0
        if self.channel in EVENT_CHANNELS and (
            self.kind != "instant" or not above or self.hysteresis
        ):
            raise ValueError(
                f"rule {self.id}: {self.channel} takes kind instant, > or >= more than 0, "
                "and no hysteresis"
            )
        return self

    @model_validator(mode="after")
    def _a_part_tells_it(self) -> Self:
        comparison, threshold = self.beyond
        first = threshold + (comparison == 3) - (comparison == 1)
        part, low, high = RANGES[CHANNELS.index(self.channel)]
        if not low <= first <= high:
            sign, limit = COMPARISONS[comparison - 1], written(threshold, self.channel)
            ends = f"{written(low, self.channel)} to {written(high, self.channel)}"
            raise ValueError(
                f"no part can tell {self.channel} {sign} {limit}: the {part} tells {ends}"
            )
        return self

    def wire(self) -> list[int]:
        """Return the integers of `rule` in uplink.cddl."""
        return [
            self.id,
            KINDS.index(self.kind) + 1,
            CHANNELS.index(self.channel),
            *self.beyond,
            self.notice if self.kind == "trend" else self.delay,
            self.hysteresis,
            self.window,
        ]

    @classmethod
    def from_wire(cls, values: Any) -> dict[str, object]:
        """Return the model's input for the integers of `rule`; the model rejects other values."""
        if not isinstance(values, list) or len(values) != 8:
            raise ValueError("a rule must be a list of 8 integers")
        ident, kind, channel, comparison, threshold, duration, hysteresis, window = values
        return {
            "id": ident,
            "kind": _nth(KINDS, kind, first=1),
            "channel": _nth(CHANNELS, channel),
            "beyond": Limit(comparison, threshold),
            "notice" if kind == KINDS.index("trend") + 1 else "delay": duration,
            "hysteresis": hysteresis,
            "window": window,
        }

    def __str__(self) -> str:
        """Return the rule as one line of text."""
        comparison, threshold = self.beyond
        sign, limit = COMPARISONS[comparison - 1], written(threshold, self.channel)
        text = f"{self.channel} {sign} {limit}"
        match self.kind:
            case "consecutive":
                text += f" for {duration(self.delay)} without interruption"
            case "cumulative":
                text += f" for {duration(self.delay)} in total"
            case "trend":
                text += f" expected within {duration(self.notice)}"
                text += f" (trend over {duration(self.window)})"
        if self.hysteresis:
            text += f", ends {written(self.hysteresis, self.channel)} within"
        return text


class Profile(Model):
    """The limits of a shipment: `profile` in uplink.cddl."""

    name: str = Field(min_length=1)
    interval: Annotated[Seconds, Field(ge=1, le=86400)]
    alarm_interval: Annotated[Seconds, Field(ge=1, le=86400)]
    upload_interval: Annotated[Seconds, Field(ge=60, le=604800)]
    alarm_upload_interval: Annotated[Seconds, Field(ge=60, le=604800)]
    start_delay: Annotated[Seconds, Field(ge=0, le=604800)] = 0
    rule: list[Rule] = Field(max_length=16)
    required: list[Channel] = Field(default=[], max_length=10)
    when_full: WhenFull = "stop"
    position_interval: Annotated[Seconds, Field(ge=0, le=604800)] = 0
    call_at_once: list[Subject] = Field(default=[], max_length=10)
    judged_from: JudgedFrom = "start delay"
    flight: Annotated[Seconds, Field(ge=0, le=86400)] = 0
    arrival_window: Annotated[Seconds, Field(ge=0, le=3600)] = 0

    @field_validator("name")
    @classmethod
    def _name_fits(cls, name: str) -> str:
        if len(name.encode()) > 32:
            raise ValueError("must be at most 32 bytes long")
        return name

    @model_validator(mode="after")
    def _rules_fit_together(self) -> Self:
        idents = [rule.id for rule in self.rule]
        for ident in idents:
            if idents.count(ident) > 1:
                raise ValueError(f"two rules have the id {ident}")
        trends = [rule for rule in self.rule if rule.kind == "trend"]
        if len(trends) > MAX_TREND_RULES:
            raise ValueError(f"more than {MAX_TREND_RULES} trend rules")
        for rule in trends:
            if rule.window < WINDOW_SAMPLES * self.interval:
                raise ValueError(
                    f"rule {rule.id}: its window must hold at least {WINDOW_SAMPLES} samples"
                )
        return self

    @model_validator(mode="after")
    def _waiting_for_the_zone_ends(self) -> Self:
        if self.judged_from == "first reading in the zone" and self.start_delay == 0:
            raise ValueError(
                "judged_from 'first reading in the zone' needs a start_delay, after which it is "
                "judged in any case"
            )
        return self

    @property
    def needs(self) -> list[Channel]:
        """The channels that a tracker must measure: required or judged by the profile."""
        wanted = {*self.required, *(rule.channel for rule in self.rule)}
        return [channel for channel in CHANNELS if channel in wanted]

    def wire(self) -> dict[int, object]:
        """Return the map of `profile` in uplink.cddl."""
        fields: dict[int, object] = {
            0: 1,
            1: self.name,
            2: self.interval,
            3: self.alarm_interval,
            4: self.upload_interval,
            5: self.alarm_upload_interval,
            6: self.start_delay,
            7: [rule.wire() for rule in self.rule],
        }
        if self.required:
            fields[8] = [CHANNELS.index(channel) for channel in self.required]
        if self.when_full == "overwrite":
            fields[9] = 1
        if self.position_interval:
            fields[10] = self.position_interval
        if self.call_at_once:
            fields[11] = [SUBJECTS.index(subject) for subject in self.call_at_once]
        if self.judged_from == "first reading in the zone":
            fields[12] = 1
        if self.flight:
            fields[13] = self.flight
        if self.arrival_window:
            fields[14] = self.arrival_window
        return fields

    def encode(self) -> bytes:
        """Return the deterministic CBOR that is provisioned as profile.cbor."""
        return cbor2.dumps(self.wire(), canonical=True)

    @classmethod
    def from_wire(cls, fields: Any) -> Self:
        """Return the profile of a decoded map. Raises ValueError when it is not valid."""
        if not isinstance(fields, dict) or type(fields.get(0)) is not int or fields[0] != 1:
            raise ValueError("it is not a profile of version 1")
        if unknown := set(fields) - set(range(15)):
            raise ValueError(f"unknown key {unknown.pop()!r}")
        rules, required, faults = fields.get(7), fields.get(8, []), fields.get(11, [])
        if not type(rules) is type(required) is type(faults) is list:
            raise ValueError("rules, required channels and faults must be lists")
        table = {
            "name": fields.get(1),
            "interval": fields.get(2),
            "alarm_interval": fields.get(3),
            "upload_interval": fields.get(4),
            "alarm_upload_interval": fields.get(5),
            "start_delay": fields.get(6),
            "rule": [Rule.from_wire(values) for values in rules],
            "required": [_nth(CHANNELS, channel) for channel in required],
            "when_full": _nth(WHEN_FULL, fields.get(9, 0)),
            "position_interval": fields.get(10, 0),
            "call_at_once": [_nth(SUBJECTS, subject) for subject in faults],
            "judged_from": _nth(JUDGED_FROM, fields.get(12, 0)),
            "flight": fields.get(13, 0),
            "arrival_window": fields.get(14, 0),
        }
        return cls.model_validate(table)

    def __str__(self) -> str:
        """Return the lines that `coldtrail profile` prints."""
        pace = "every {}, in alarm every {}"
        uploads = duration(self.upload_interval), duration(self.alarm_upload_interval)
        rows = [
            ("samples", pace.format(duration(self.interval), duration(self.alarm_interval))),
            ("uploads", pace.format(*uploads)),
        ]
        if self.position_interval:
            rows.append(("position", f"every {duration(self.position_interval)}"))
        if self.start_delay:
            start = f"from {duration(self.start_delay)} after the start"
            if self.judged_from == "first reading in the zone":
                start = f"from the first reading in the zone, at the latest {start}"
            rows.append(("judges", start))
        rows += [(f"rule {rule.id}", f"{rule.kind}: {rule}") for rule in self.rule]
        calls = ", ".join(f"fault of {subject}" for subject in self.call_at_once)
        rows.append(("calls", "at once on an alarm" + (f", {calls}" if calls else "")))
        if self.flight:
            silent = duration(self.flight)
            rows.append(("flight", f"after a take-off, radio silent for at most {silent}"))
        if self.arrival_window:
            window = duration(self.arrival_window)
            text = f"light, shock and tilt within {window} before the stop raise no alarm"
            rows.append(("arrival", text))
        rows.append(("needs", ", ".join(self.needs) or "no sensor"))
        full = "stops and alarms" if self.when_full == "stop" else "overwrites the oldest"
        rows.append(("full log", full))
        rows.append(("digest", hashlib.sha256(self.encode()).digest()[:8].hex()))
        return "\n".join([self.name, *(f"  {label:<9} {text}" for label, text in rows)])


def _nth(names: tuple[Any, ...], index: object, first: int = 0) -> object:
    """Return the name of a wire integer, or the value itself, which the model then rejects."""
    if type(index) is int and 0 <= index - first < len(names):
        return names[index - first]
    return index


def duration(seconds: int) -> str:
    """Return seconds in the largest unit, up to hours, that gives a whole number: "90 min"."""
    unit = next(unit for unit in ("h", "min", "s") if seconds % SECONDS[unit] == 0)
    return f"{seconds // SECONDS[unit]} {unit}"


def shipped() -> list[str]:
    """Return the names of the shipped profiles."""
    return sorted(file.stem for file in DIRECTORY.glob("*.toml"))


def load(name_or_file: str) -> Profile:
    """Return a shipped profile by its name, or one from a .toml or .cbor file.

    Raises:
        BoardError: the profile does not exist, cannot be read, or is not valid.
    """
    path = Path(name_or_file)
    if path.suffix not in (".toml", ".cbor"):
        path = DIRECTORY / f"{name_or_file}.toml"
        if name_or_file not in shipped():
            raise BoardError(
                f"There is no profile '{name_or_file}': name one of {', '.join(shipped())}, "
                "or a .toml or .cbor file."
            )
    try:
        if path.suffix == ".cbor":
            return Profile.from_wire(cbor2.loads(files.read(path)))
        return Profile.model_validate(tomllib.loads(files.read_text(path)))
    except ValidationError as error:
        raise BoardError(f"{path}: {sentence(error)}") from error
    except (ValueError, cbor2.CBORDecodeError) as error:
        raise BoardError(f"{path}: {error}.") from error
