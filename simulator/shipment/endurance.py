"""The battery life: the charge of each part in a run, and what it means in days."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coldtrail_simulator import files
from coldtrail_simulator.board.file import BoardFileError
from coldtrail_simulator.energy import Current, Spell
from coldtrail_simulator.paths import BOARDS

HOURS_A_MONTH = 365.25 * 24 / 12
US_PER_H = 3_600_000_000


@dataclass(frozen=True)
class Supply:
    """A board's battery, and the loads that are not parts with states.

    ``usable`` is the usable fraction of the capacity, ``self_discharge`` the fraction that is lost
    in a month.
    """

    capacity_mah: float
    usable: float
    self_discharge: float
    draws: Mapping[str, Current]

    @property
    def usable_mah(self) -> float:
        """Usable charge in mAh."""
        return self.capacity_mah * self.usable

    @property
    def self_discharge_ua(self) -> float:
        """Self-discharge as a current in microamperes."""
        return self.capacity_mah * 1000 * self.self_discharge / HOURS_A_MONTH


def supply(board: str) -> Supply:
    """Read ``supply.toml`` of a board.

    Raises:
        BoardFileError: the file is missing or incomplete.
    """
    path = BOARDS / board / "supply.toml"
    try:
        document = tomllib.loads(files.read_text(path))
        battery = document["battery"]
        return Supply(
            float(battery["capacity_mah"]),
            float(battery["usable"]),
            float(battery["self_discharge_percent_a_month"]) / 100,
            {
                draw["name"]: Current(float(draw["ua"]), draw["basis"], draw["source"])
                for draw in document["draw"]
            },
        )
    except OSError as error:
        raise BoardFileError(f"{path}: {error.strerror}; --energy needs it.") from error
    except KeyError as error:
        raise BoardFileError(f"{path}: {error} is missing.") from error
    except (ValueError, TypeError) as error:
        raise BoardFileError(f"{path}: {error}; correct the file.") from error


@dataclass(frozen=True)
class PartCharge:
    """The charge of one part in a run."""

    name: str
    spells: tuple[Spell, ...]

    @property
    def charge_uah(self) -> float:
        """Charge in microampere-hours."""
        return sum(spell.charge_uah for spell in self.spells)


def loads(parts: Mapping[str, Any]) -> list[PartCharge]:
    """Return the charge of each part with states so far."""
    return [
        PartCharge(name, tuple(part.load.spells()))
        for name, part in parts.items()
        if hasattr(part, "load")
    ]


CONTENTS = {
    "calls": "AT+CFUN?",
    "connections with TLS": "AT+QSSLOPEN",
    "connections without TLS": "AT+QIOPEN",
    "searches for a position": "AT+QGPS=1",
}
"""Activities that cost energy, by the modem command that starts them."""


def contents(notes: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how often each of ``CONTENTS`` occurs in a journal."""
    commands = [note["command"] for note in notes if note["kind"] == "at"]
    return {
        what: sum(each.startswith(command) for each in commands)
        for what, command in CONTENTS.items()
    }


class Endurance:
    """The energy balance of one run.

    Args:
        parts: the charge of the parts with states.
        fitted: the names of all parts on the board.
        us: duration of the run in virtual time.
        had: the activities in the run, for the report.

    Raises:
        BoardFileError: a part has neither states with currents nor an entry in supply.toml.
    """

    def __init__(
        self,
        parts: Sequence[PartCharge],
        fitted: Sequence[str],
        us: int,
        battery: Supply,
        had: Mapping[str, int],
    ) -> None:
        known = {part.name for part in parts} | battery.draws.keys()
        for name in fitted:
            if name not in known:
                raise BoardFileError(
                    f"nobody knows what {name} draws: give its model a load, or supply.toml "
                    "an entry."
                )
        self.battery = battery
        self.us = us
        self.had = had
        leak = Current(battery.self_discharge_ua, "assumed", "supply.toml, battery")
        constant = [*battery.draws.items(), ("self-discharge", leak)]
        self.parts = [
            *parts,
            *(PartCharge(name, (Spell("always", us, current),)) for name, current in constant),
        ]

    @property
    def average_ua(self) -> float:
        """Average current of the battery in microamperes, including self-discharge."""
        return sum(self.average_of(part) for part in self.parts)

    def average_of(self, part: PartCharge) -> float:
        """Return a part's average current in microamperes."""
        return part.charge_uah * US_PER_H / self.us

    def share_of(self, charge_uah: float) -> float:
        """Return a charge as a fraction of the total."""
        return charge_uah / (self.average_ua * self.us / US_PER_H)

    @property
    def days(self) -> float:
        """The battery life in days if the tracker continues as in the run."""
        return self.battery.usable_mah * 1000 / self.average_ua / 24

    @property
    def assumed(self) -> float:
        """Return the fraction of the charge that is based on assumptions instead of datasheets."""
        return self.share_of(
            sum(
                spell.charge_uah
                for part in self.parts
                for spell in part.spells
                if spell.current.basis == "assumed"
            )
        )

    def ranked(self) -> list[PartCharge]:
        """Return the parts with a charge, largest first."""
        drew = [part for part in self.parts if part.charge_uah > 0]
        return sorted(drew, key=lambda part: -part.charge_uah)

    def summary(self) -> dict[str, Any]:
        """Return the balance as plain values, for summary.json."""
        return {
            "average_ua": round(self.average_ua, 2),
            "days": round(self.days, 1),
            "usable_mah": self.battery.usable_mah,
            "assumed_share": round(self.assumed, 4),
            "contents": dict(self.had),
            "parts": {
                part.name: {
                    "average_ua": round(self.average_of(part), 3),
                    "charge_uah": round(part.charge_uah, 2),
                    "share": round(self.share_of(part.charge_uah), 5),
                    "states": {
                        spell.state: {
                            "seconds": round(spell.us / 1e6, 3),
                            "ua": spell.current.ua,
                            "charge_uah": round(spell.charge_uah, 2),
                            "basis": spell.current.basis,
                            "source": spell.current.source,
                        }
                        for spell in part.spells
                    },
                }
                for part in self.ranked()
            },
        }

    def lines(self) -> Iterator[str]:
        """Yield the lines of the table."""
        battery = self.battery
        yield (
            f"Energy: {self.average_ua:.0f} uA on average, {self.days:.0f} days on a battery of "
            f"{battery.capacity_mah:.0f} mAh ({battery.usable * 100:.0f} % usable)"
        )
        had = ", ".join(f"{n} {what}" for what, n in self.had.items())
        yield f"  in {self.us / US_PER_H:g} h: {had}"
        yield f"  {'part':16}{'uA':>8}{'mAh/day':>11}{'share':>8}  share of each state"
        for part in self.ranked():
            average = self.average_of(part)
            share = self.share_of(part.charge_uah)
            yield (
                f"  {part.name:16}{average:8.1f}{average * 24 / 1000:11.2f}{share * 100:7.1f} %"
                f"  {self._states(part)}"
            )
        part, spell = self._thirstiest()
        share = self.share_of(spell.charge_uah)
        yield (
            f"  Largest share: {part.name}, {spell.state}, {share * 100:.0f} %; without it the "
            f"battery would last {self.days / (1 - share):.0f} days"
        )
        yield (
            f"  Assumed currents account for {self.assumed * 100:.0f} % of the charge, "
            "datasheets for the rest"
        )

    def _states(self, part: PartCharge) -> str:
        spells = sorted(part.spells, key=lambda spell: -spell.charge_uah)
        telling = [each for each in spells if each.charge_uah > 0.01 * part.charge_uah]
        if len(telling) == 1 and telling[0].state == "always":
            return ""
        return "; ".join(
            f"{each.state} {each.charge_uah / part.charge_uah * 100:.0f} %" for each in telling
        )

    def _thirstiest(self) -> tuple[PartCharge, Spell]:
        every = [(part, spell) for part in self.parts for spell in part.spells]
        return max(every, key=lambda pair: pair[1].charge_uah)
