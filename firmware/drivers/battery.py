"""A lithium-ion cell: what its voltage says of its charge.

battery.percent(3700, (3000, 3500, 3700, 3900, 4200))  # 50
"""


def percent(millivolts, curve):
    """Return the charge in percent, rounded down, for the voltage of a cell at rest.

    ``curve``: the voltages in mV at 0 to 100 % in equal steps, rising; straight lines between.
    A load pulls the voltage down and so the figure, by some percent during a call.
    """
    steps = len(curve) - 1
    if millivolts >= curve[steps]:
        return 100
    step = 0
    while step < steps - 1 and millivolts >= curve[step + 1]:
        step += 1
    low, high = curve[step], curve[step + 1]
    return max(0, (100 * step + 100 * (millivolts - low) // (high - low)) // steps)
