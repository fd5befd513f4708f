"""Eight channels of a tracker at rest in its box, with the noise stated in the datasheets.

The signal is slow, as in a box: the payload temperature drifts, the ambient temperature has a
daily cycle. The size of a block depends on the noise of the parts, which has its worst values
here:

- payload: MAX31865 with PT1000 and 4.3 kOhm. 150 uV RMS, input referred (datasheet rev. 3,
  Electrical Characteristics). One code is 2**-15 of the voltage across the reference, which is
  4300 / 5320 of VBIAS (2.00 V), because the PT1000 has 1.02 kOhm at 5 degC. One code is also
  2**-15 of 4300 Ohm, and the PT1000 changes by 3.9 Ohm/K (IEC 60751).
- ambient, humidity: SHT45, high repeatability: 0.04 degC and 0.08 %RH, each three sigma (SHT4x
  datasheet, 2.1 and 2.2).
- light: OPT3001 in the dark, 800 ms: 0 codes typical, 3 at most, of 0.01 lx (SBOS681, 6.5).
- battery: ADC of the ESP32 behind a divider by two: differential nonlinearity of 7 codes in
  either direction (ESP32 datasheet, ADC Characteristics), 12 bits over 2450 mV (11 dB).
- acceleration: LIS2DW12, low-power mode 1, +-2 g: 4.5 mg RMS, 0.976 mg for each code
  (datasheet, Mechanical characteristics).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

INTERVAL = 300
DAY = 86400

Sample = tuple[int, int, list[int | None]]

_REFERENCE_OHM = 4300
_CODES = 1 << 15
_CODE_UV = 2.0e6 * _REFERENCE_OHM / 5320 / _CODES
_CODE_CENTIDEGREES = 100 * _REFERENCE_OHM / _CODES / 3.9
_CODE_MV = 2 * 2450 / 4096
_CODE_MG = 0.976


def samples(seed: str, first: int = 0, interval: int = INTERVAL) -> Iterator[Sample]:
    """Yield (seconds since boot, status, values in the contract's units) endlessly."""
    chance = random.Random(seed)
    t = first
    while True:
        days = 2 * math.pi * t / DAY
        values = [
            _in_codes(
                500 + 40 * math.sin(days / 3), chance.gauss(0, 150 / _CODE_UV), _CODE_CENTIDEGREES
            ),
            round(2200 + 600 * math.sin(days) + chance.gauss(0, 4 / 3)),
            round(450 - 100 * math.sin(days) + chance.gauss(0, 0.8 / 3)),
            chance.randint(0, 3),
            _in_codes(4100 - t / 3600, chance.uniform(-7, 7), _CODE_MV),
            *(
                _in_codes(rest, chance.gauss(0, 4.5 / _CODE_MG), _CODE_MG)
                for rest in (-12, 31, 996)
            ),
        ]
        yield t, 0, [*values]
        t += interval


def _in_codes(value: float, noise_codes: float, code: float) -> int:
    """Return the noisy, quantised reading of a value, rounded to the contract's unit."""
    return round(round(value / code + noise_codes) * code)
