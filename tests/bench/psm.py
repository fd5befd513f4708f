"""Switch the modem off between calls, or let it rest in PSM? From the figures of one run.

    python -m tests.bench.psm [OUT]

Reads OUT/summary.json (out/energy by default) of `coldtrail simulate energy --energy`. A session
with PSM is taken to differ from one with the supply cut in three ways: it does not search and
attach (the module is registered), it does not detach, and it stays connected for the network's
inactivity timer and idle for the active timer T3324 before it rests. Booting is the same: PWRKEY
wakes the module from PSM as it turns it on (BG95 Series Hardware Design, 3.4.2).
"""

import json
import sys
from pathlib import Path

from coldtrail_simulator.models.bg95.draw import INACTIVITY_US
from coldtrail_simulator.models.bg95.part import BG95_M3
from coldtrail_simulator.models.currents import BG95

ACTIVE_S = 2.0  # T3324 has steps of 2 s (TS 24.008, 10.5.7.4); the shortest
DETACH_S = 2.6  # power-down takes 1.3 s and the detach 0.2 to 2.5 s in the model
RESUME_S = 1.0  # cell found again and connection set up
BOOT_S = (BG95_M3.uart_us - BG95_M3.turn_on_us) / 1e6


def main(out: Path) -> None:
    """Print the charge of a session either way, and of the hour between."""
    energy = json.loads((out / "summary.json").read_text(encoding="utf-8"))["energy"]
    states = energy["parts"]["modem"]["states"]
    sessions = round(states["booting"]["seconds"] / BOOT_S)
    hours = sum(state["seconds"] for state in states.values()) / 3600
    current = {name: each.ua / 1000 for name, each in BG95.items()}
    off = {name: state["seconds"] / sessions for name, state in states.items()}
    psm = dict(off)
    psm["searching"] = 0.0
    psm["connected"] += RESUME_S - DETACH_S + INACTIVITY_US / 1e6
    psm["idle"] += ACTIVE_S
    psm["PSM"] = hours * 3600 / sessions
    for name, seconds in (("supply cut", off), ("PSM", psm)):
        parts = {state: s * current.get(state, 0.0) for state, s in seconds.items()}
        told = ", ".join(f"{state} {mas:.0f}" for state, mas in parts.items() if mas >= 1)
        average = sum(parts.values()) * sessions / hours / 3.6
        print(f"{name:11}{sum(parts.values()):6.0f} mAs a session, {average:4.0f} uA: {told}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/energy"))
