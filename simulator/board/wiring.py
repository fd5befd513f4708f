"""Creates the parts of a board and wires them to the chip."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from coldtrail_simulator.board.file import BUS_PINS, BoardFileError
from coldtrail_simulator.board.file import parts as fitted
from coldtrail_simulator.clock import Clock, rng
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models.battery import Battery
from coldtrail_simulator.models.lis2dw12 import LIS2DW12
from coldtrail_simulator.models.max31865 import MAX31865
from coldtrail_simulator.models.opt3001 import OPT3001
from coldtrail_simulator.models.panel import LED, Button, Cable
from coldtrail_simulator.models.sht45 import SHT45
from coldtrail_simulator.models.w25q64 import W25Q64
from coldtrail_simulator.wires import Analog, I2CBus, Net, SPIBus, Terminal


class Surroundings(Protocol):
    """The quantities that sensors measure; ``t_s`` is virtual time in seconds."""

    @property
    def light_changes(self) -> Sequence[float]:
        """Times at which the light in the box changes, ascending."""

    @property
    def motions(self) -> Sequence[tuple[float, float]]:
        """Spans (from, to) within which the acceleration changes, ascending."""

    def ambient_c(self, t_s: float) -> float:
        """Return the temperature of the air around the box in degC."""

    def humidity(self, t_s: float) -> float:
        """Return the relative humidity of that air in percent."""

    def payload_c(self, t_s: float) -> float:
        """Return the temperature of the payload in degC."""

    def lux(self, t_s: float) -> float:
        """Return the illuminance in the box."""

    def acceleration(self, t_s: float) -> tuple[float, float, float]:
        """Return the acceleration in the box in g; (0, 0, 1) when upright and at rest."""


class Edge(Protocol):
    """The connections that a chip offers to the parts."""

    @property
    def nets(self) -> dict[int, Net]:
        """The nets of the chip's pins."""

    @property
    def analog(self) -> dict[int, Analog]:
        """The voltage sources at the inputs of the ADC, by pin."""

    @property
    def i2c(self) -> dict[tuple[int, int], I2CBus]:
        """I2C buses by their pins scl, sda."""

    @property
    def spi(self) -> dict[tuple[int, int, int], SPIBus]:
        """SPI buses by their pins sck, mosi, miso."""

    @property
    def uarts(self) -> Mapping[int, Any]:
        """The chip's UARTs by number."""

    @property
    def uart_pins(self) -> dict[int, tuple[int, int]]:
        """The pins (tx, rx) of the UARTs."""


@dataclass(frozen=True)
class Bench:
    """The arguments that every part is created with."""

    clock: Clock
    journal: Journal
    world: Surroundings
    seed: int

    def rng(self, name: str) -> random.Random:
        """Return the random number generator of one part."""
        return rng(self.seed, name)


Factory = Callable[[Bench, str, Mapping[str, Any]], Any]
"""Creates a part from its name on the board and its entry in the board file."""


def _sht45(bench: Bench, name: str, entry: Mapping[str, Any]) -> SHT45:
    return SHT45(
        bench.clock,
        bench.rng(name),
        bench.journal,
        name=name,
        address=entry["address"],
        ambient_c=bench.world.ambient_c,
        humidity=bench.world.humidity,
    )


def _max31865(bench: Bench, name: str, entry: Mapping[str, Any]) -> MAX31865:
    return MAX31865(
        bench.clock,
        bench.rng(name),
        bench.journal,
        name=name,
        rref=entry["rref"],
        wires=entry["wires"],
        celsius=bench.world.payload_c,
    )


def _battery(bench: Bench, name: str, entry: Mapping[str, Any]) -> Battery:
    divider = entry["numerator"] / entry["denominator"]
    return Battery(bench.clock, bench.journal, name=name, divider=divider, curve=entry["curve"])


def _opt3001(bench: Bench, name: str, entry: Mapping[str, Any]) -> OPT3001:
    return OPT3001(
        bench.clock,
        bench.rng(name),
        bench.journal,
        name=name,
        address=entry["address"],
        light=bench.world.lux,
        changes=bench.world.light_changes,
    )


def _lis2dw12(bench: Bench, name: str, entry: Mapping[str, Any]) -> LIS2DW12:
    return LIS2DW12(
        bench.clock,
        bench.rng(name),
        bench.journal,
        name=name,
        address=entry["address"],
        acceleration=bench.world.acceleration,
        motions=bench.world.motions,
    )


def _w25q64(bench: Bench, name: str, entry: Mapping[str, Any]) -> W25Q64:
    del entry
    return W25Q64(bench.clock, bench.rng(name), bench.journal, name=name)


FACTORIES: Mapping[str, Factory] = {
    "SHT45": _sht45,
    "MAX31865": _max31865,
    "OPT3001": _opt3001,
    "LIS2DW12": _lis2dw12,
    "W25Q64": _w25q64,
    "battery": _battery,
}


def build(
    board: Mapping[str, Any], chip: Edge, bench: Bench, factories: Mapping[str, Factory]
) -> dict[str, Any]:
    """Create every fitted part and wire it to the chip; return the parts by name.

    ``factories`` add to the factories of this module, and take precedence.

    Raises:
        BoardFileError: a part of the board has no model.
    """
    for pin, level in board.get("PULLS", ()):
        chip.nets[pin].attach("resistor").pull(level)
    buses: dict[tuple[str, int], Any] = {}
    for (kind, number), bus in board.get("BUSES", {}).items():
        pins = tuple(bus["pins"][role] for role in BUS_PINS[kind])
        if kind == "I2C":
            buses[kind, number] = chip.i2c[pins] = I2CBus(bench.clock)
            chip.i2c[pins].connect_scl(chip.nets[pins[0]].attach("i2c"))
        elif kind == "SPI":
            buses[kind, number] = chip.spi[pins] = SPIBus(bench.clock)
        else:
            buses[kind, number] = chip.uarts[number]
            chip.uart_pins[number] = pins
    parts = {
        name: _made(name, entry, bench, {**FACTORIES, **factories})
        for name, entry in fitted(board).items()
    }
    for name, entry in fitted(board).items():
        _connect(name, entry, parts[name], chip, buses)
    return parts | _panel(board, chip.nets, bench)


def _made(
    name: str, entry: Mapping[str, Any], bench: Bench, factories: Mapping[str, Factory]
) -> Any:
    factory = factories.get(entry.get("part", ""))
    if factory is None:
        known = ", ".join(sorted(factories))
        raise BoardFileError(f"{name}: part {entry.get('part')} is unknown; known are {known}.")
    try:
        return factory(bench, name, entry)
    except KeyError as error:
        raise BoardFileError(f"{name}: {entry['part']} needs an entry for {error}.") from error


def _connect(
    name: str,
    entry: Mapping[str, Any],
    part: Any,
    chip: Edge,
    buses: Mapping[tuple[str, int], Any],
) -> None:
    if "i2c" in entry:
        buses["I2C", entry["i2c"]].attach(part)
    if "spi" in entry:
        buses["SPI", entry["spi"]].attach(part, chip.nets[entry["cs"]].attach(name))
    if "adc" in entry:
        chip.analog[entry["adc"]] = part
    if "uart" in entry:
        uart = buses["UART", entry["uart"]]
        part.uart, uart.device = uart, part
    if "status" in entry:
        part.status = chip.nets[entry["status"]].attach(name)
    if "supply" in entry:
        supply = chip.nets[entry["supply"]].attach(name)
        supply.listener = part.supply
        part.supply(supply.level)
    for role in ("int", "int1"):
        if role in entry:
            getattr(part, f"connect_{role}")(chip.nets[entry[role]].attach(name))
    for role in ("pwrkey", "reset_n"):
        if role in entry:
            _transistor(chip.nets[entry[role]].attach(name), getattr(part, role))


def _transistor(base: Terminal, collector: Callable[[int | None], object]) -> None:
    """Connect the part's pin to ground while the base is high."""
    base.listener = lambda level: collector(0 if level else None)


def _panel(board: Mapping[str, Any], nets: Mapping[int, Net], bench: Bench) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    journal = bench.journal
    if "BUTTON" in board:
        terminal = nets[board["BUTTON"]].attach("button")
        resting = dict(board.get("PULLS", ())).get(board["BUTTON"], 0)
        parts["button"] = Button(
            bench.clock, bench.rng("button"), journal, terminal, active=1 - resting
        )
    if "VBUS" in board:
        parts["vbus"] = Cable(journal, nets[board["VBUS"]].attach("vbus"))
    for key in ("LED_GREEN", "LED_RED"):
        if key in board:
            name = key.lower()
            parts[name] = LED(bench.clock, journal, nets[board[key]].attach(name), name=name)
    return parts
