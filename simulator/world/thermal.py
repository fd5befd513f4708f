r"""Heat in a passive shipper: a payload among phase-change material (PCM) in an insulated box.

Three lumps, each at one temperature: most of the resistance to heat lies in the insulation and the
air gaps between them (lumped capacitance; Incropera and DeWitt, Fundamentals of Heat and Mass
Transfer, chapter 5). A real load is a little warmer at its outside; the probe sits in its middle.

    ambient --- wall ------ PCM
                   \         /
                    payload       (and payload --- ambient while the box stands open)

Each line is a conductance G in W/K and carries G * (difference in K) watts. Payload and wall have
a heat capacity in J/K. The PCM is followed by its enthalpy (the enthalpy method: Voller and Cross,
Int. J. Heat Mass Transfer 24, 1981), from which its temperature follows without tracking a melting
front. Its enthalpy, in J/kg above solid at the start of melting, is

    h < 0           solid:   T = T1 + h / c
    0 <= h <= l     melting: T = T1 + (T2 - T1) * h / l,   l = latent heat + c * (T2 - T1)
    h > l           liquid:  T = T2 + (h - l) / c

because a real PCM melts over a range T1...T2 and not at a point. The same path is followed back
when it freezes: undercooling and hysteresis are left out. The steps are explicit and of fixed
length, so that the result depends on nothing but the scenario.
"""

from typing import Self

from pydantic import Field, model_validator

from coldtrail_simulator.world.errors import ScenarioError
from coldtrail_simulator.world.fields import Celsius, Positive, Table

STEP_S = 30


class Shipper(Table):
    """[shipper]: the passive box, modelled by Box.

    The defaults are a box of vacuum panels, validated for 72 hours, with 40 kg of vials and 4.5 kg
    of a paraffin that melts below 5 °C.
    """

    payload_c: Celsius = 4.0
    payload_j_per_k: Positive = 150_000.0
    pcm_c: Celsius = 3.0
    pcm_kg: Positive = 4.5
    pcm_j_per_kg_k: Positive = 2_000.0
    pcm_latent_j_per_kg: Positive = 175_000.0
    pcm_melts_from_c: Celsius = 3.4
    pcm_melts_to_c: Celsius = 4.2
    wall_j_per_k: Positive = 6_000.0
    wall_ambient_w_per_k: Positive = 0.28
    pcm_wall_w_per_k: Positive = 12.0
    payload_pcm_w_per_k: Positive = 12.0
    payload_wall_w_per_k: float = Field(default=1.0, ge=0)
    door_w_per_k: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _melts_upwards(self) -> Self:
        if self.pcm_melts_to_c <= self.pcm_melts_from_c:
            raise ValueError("pcm_melts_to_c must be above pcm_melts_from_c")
        return self


class Box:
    """The thermal state of a shipper; step() advances it by STEP_S seconds."""

    def __init__(self, shipper: Shipper) -> None:
        """Pack the box: the wall starts at the temperature of the payload.

        Raises:
            ScenarioError: a heat capacity is so small, or a conductance so large, that a step
                would overshoot.
        """
        s = self._shipper = shipper
        self._span = s.pcm_latent_j_per_kg + s.pcm_j_per_kg_k * (
            s.pcm_melts_to_c - s.pcm_melts_from_c
        )
        inner = s.payload_pcm_w_per_k + s.payload_wall_w_per_k
        for lump, conductance, capacity in (
            ("payload", inner + s.door_w_per_k, s.payload_j_per_k),
            ("pcm", s.payload_pcm_w_per_k + s.pcm_wall_w_per_k, s.pcm_kg * s.pcm_j_per_kg_k),
            (
                "wall",
                s.wall_ambient_w_per_k + s.pcm_wall_w_per_k + s.payload_wall_w_per_k,
                s.wall_j_per_k,
            ),
        ):
            if conductance * STEP_S > capacity / 2:
                raise ScenarioError(
                    f"[shipper]: the {lump}'s heat capacity of {capacity:g} J/K is too small for "
                    f"conductances of {conductance:g} W/K; give it at least "
                    f"{2 * conductance * STEP_S:g} J/K."
                )
        self.leaks = 1.0
        """Factor on the heat through the insulation; 1 while it is intact."""
        self.payload_c = s.payload_c
        self.wall_c = s.payload_c
        self._enthalpy = self._enthalpy_at(s.pcm_c)

    @property
    def pcm_c(self) -> float:
        """Temperature of the PCM in degC."""
        s, h = self._shipper, self._enthalpy
        if h < 0:
            return s.pcm_melts_from_c + h / s.pcm_j_per_kg_k
        if h > self._span:
            return s.pcm_melts_to_c + (h - self._span) / s.pcm_j_per_kg_k
        return s.pcm_melts_from_c + (s.pcm_melts_to_c - s.pcm_melts_from_c) * h / self._span

    @property
    def melted(self) -> float:
        """Liquid fraction of the PCM, 0 to 1."""
        return min(max(self._enthalpy / self._span, 0.0), 1.0)

    @property
    def enthalpy_j(self) -> float:
        """Heat content of the whole box in J, above an arbitrary zero."""
        s = self._shipper
        return (
            s.payload_j_per_k * self.payload_c
            + s.wall_j_per_k * self.wall_c
            + s.pcm_kg * self._enthalpy
        )

    def replace_pcm(self, pcm_c: float) -> None:
        """Replace the PCM by fresh PCM of this temperature."""
        self._enthalpy = self._enthalpy_at(pcm_c)

    def step(self, ambient_c: float, *, is_open: bool = False) -> None:
        """Advance by STEP_S seconds in air of this temperature."""
        s, pcm_c = self._shipper, self.pcm_c
        payload_pcm = s.payload_pcm_w_per_k * (pcm_c - self.payload_c)
        payload_wall = s.payload_wall_w_per_k * (self.wall_c - self.payload_c)
        pcm_wall = s.pcm_wall_w_per_k * (self.wall_c - pcm_c)
        wall_ambient = self.leaks * s.wall_ambient_w_per_k * (ambient_c - self.wall_c)
        door = s.door_w_per_k * (ambient_c - self.payload_c) if is_open else 0.0
        self.payload_c += (payload_pcm + payload_wall + door) * STEP_S / s.payload_j_per_k
        self.wall_c += (wall_ambient - pcm_wall - payload_wall) * STEP_S / s.wall_j_per_k
        self._enthalpy += (pcm_wall - payload_pcm) * STEP_S / s.pcm_kg

    def _enthalpy_at(self, temperature_c: float) -> float:
        """Return the enthalpy in J/kg.

        A PCM with a temperature in its melting range counts as just frozen.
        """
        s = self._shipper
        if temperature_c <= s.pcm_melts_from_c:
            return s.pcm_j_per_kg_k * (temperature_c - s.pcm_melts_from_c)
        if temperature_c < s.pcm_melts_to_c:
            return 0.0
        return self._span + s.pcm_j_per_kg_k * (temperature_c - s.pcm_melts_to_c)
