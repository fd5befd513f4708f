"""Times in the words of the cases: multiples of the profile's intervals.

3 sampling intervals, 1 upload interval, 0.5 upload intervals, 20 s, 2 min
"""

from __future__ import annotations

import re

FIXED = {"s": 1, "second": 1, "min": 60, "minute": 60}
PATTERN = re.compile(r"(\d+(?:\.\d+)?) (\S+(?: \S+)?)")


def seconds(words: str, sampling_s: float, upload_s: float) -> float:
    """Return the seconds that ``words`` stand for under a profile.

    Raises:
        ValueError: they are none of the words above.
    """
    match = PATTERN.fullmatch(words.strip())
    units = {**FIXED, "sampling interval": sampling_s, "upload interval": upload_s}
    unit = units.get(match[2]) or units.get(match[2].removesuffix("s")) if match else None
    if match is None or unit is None:
        raise ValueError(
            f"'{words}' is no time: say '3 sampling intervals', '2 upload intervals', '20 s' "
            "or '5 min'."
        )
    return float(match[1]) * unit
