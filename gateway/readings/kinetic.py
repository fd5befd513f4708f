"""Mean kinetic temperature: the one temperature at which a product would age as fast as it did.

    T_k = A / -ln(sum(w exp(-A / T)) / sum(w)),  A = dH/R

The w are the seconds that each reading stands for (`UPLINK.md`), T is in kelvin, and A is
10,000 K: an activation energy of 83.144 kJ/mol, which USP <1079.2> and ICH Q1A take where a
product's own is not known. Each term is a whole number, so that the sum is the same in any order.

It speaks of chemical ageing alone. So it is no measure of what freezes or thaws: where a reading
lies below 0 degC, none is stated. It says nothing of a time without readings either: the seconds
it rests on are stated with it, and those that are missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from typing import Final

ACTIVATION_K: Final = 10_000
FREEZING: Final = 0
"""0.01 degC; readings below it have no mean kinetic temperature."""
HOTTEST: Final = 15_000
"""0.01 degC; what is hotter is no temperature of goods, and its term would not fit 63 bits."""

_EXACT: Final = Context(prec=50)
_ZERO_K: Final = Decimal("273.15")
_REFERENCE_K: Final = Decimal("298.15")
# At 2 degC a term is then 1.0e6, so that rounding moves a mean by less than 1e-5 K; and what a
# block can hold at most, 96 samples a day apart at 150 degC, still fits into 63 bits.
_SCALE: Final = 2**24


@dataclass(frozen=True, slots=True)
class MeanKinetic:
    """A mean kinetic temperature in 0.01 degC; None where there is none, with the reason.

    `seconds`: how long the readings stand for that it rests on.
    """

    value: int | None
    seconds: int
    reason: str = ""


@lru_cache(maxsize=2**15)
def term(reading: int) -> int:
    """Return the ageing in one second at a reading in 0.01 degC, in units of this module.

    0 where the reading is hotter than `HOTTEST` or not above absolute zero.
    """
    kelvin = Decimal(reading) / 100 + _ZERO_K
    if reading > HOTTEST or kelvin <= 0:
        return 0
    exponent = _EXACT.subtract(
        _EXACT.divide(ACTIVATION_K, _REFERENCE_K), _EXACT.divide(ACTIVATION_K, kelvin)
    )
    return round(_EXACT.multiply(_EXACT.exp(exponent), _SCALE))


def mean(ageing: int, seconds: int, lowest: int | None, highest: int | None) -> MeanKinetic:
    """Return the mean over readings whose terms, times their seconds, sum up to `ageing`.

    `lowest` and `highest` are of these readings, in 0.01 degC.
    """
    if not seconds or lowest is None or highest is None:
        return MeanKinetic(None, 0, "no reading stands for any time")
    if lowest < FREEZING:
        return MeanKinetic(None, seconds, "a reading lies below 0 degC")
    if highest > HOTTEST:
        return MeanKinetic(None, seconds, "a reading lies above 150 degC")
    ratio = _EXACT.divide(ageing, seconds * _SCALE)
    inverse = _EXACT.subtract(_EXACT.divide(ACTIVATION_K, _REFERENCE_K), _EXACT.ln(ratio))
    kelvin = _EXACT.divide(ACTIVATION_K, inverse)
    return MeanKinetic(round((kelvin - _ZERO_K) * 100), seconds)
