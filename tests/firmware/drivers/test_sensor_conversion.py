"""The sensors' conversions against the standard's and the datasheet's own formulas."""

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.clock import Clock
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models.battery import Battery
from drivers import battery, max31865, sht45

# IEC 60751:2008, 5.2
A, B, C = 3.9083e-3, -5.775e-7, -4.183e-12
RREF = 4300


def platinum(celsius: float) -> float:
    """Resistance of a PT1000 in ohm."""
    ratio = 1 + A * celsius + B * celsius**2
    if celsius < 0:
        ratio += C * (celsius - 100) * celsius**3
    return 1000 * ratio


def inverse(ohm: float) -> float:
    """Temperature by bisection in double precision: slow, obvious."""
    low, high = -210.0, 130.0
    for _ in range(60):
        middle = (low + high) / 2
        if platinum(middle) < ohm:
            low = middle
        else:
            high = middle
    return low


def test_every_rtd_code_in_range_is_rounded_from_the_standards_formula() -> None:
    worst = 0.0
    codes = 0
    for code in range(1 << 15):
        celsius = inverse(code * RREF / (1 << 15))
        if -200 <= celsius <= 100:
            codes += 1
            worst = max(worst, abs(max31865.temperature(code, RREF) / 100 - celsius))
    assert codes > 9000
    assert worst <= 0.005 + 1e-6


def test_resistance_at_the_standards_table_points() -> None:
    # IEC 60751:2008, table 1 (PT100, here times ten)
    for celsius, ohm in ((-200, 185.20), (-100, 602.56), (0, 1000.0), (100, 1385.055)):
        assert abs(max31865.resistance(celsius * 100) / 1e6 - ohm) < 0.006


def test_every_sht45_code_is_rounded_from_the_datasheets_formula() -> None:
    for ticks in range(1 << 16):
        celsius = -45 + 175 * ticks / 65535
        percent = min(100.0, max(0.0, -6 + 125 * ticks / 65535))
        assert abs(sht45.temperature(ticks) / 100 - celsius) <= 0.005 + 1e-9
        assert abs(sht45.humidity(ticks) / 10 - percent) <= 0.05 + 1e-9


def test_crc8_of_the_datasheets_example() -> None:
    assert sht45.crc8(b"\xbe\xef") == 0x92


def test_the_battery_s_percentage_is_the_charge_that_the_cell_has() -> None:
    curve = boards.named("esp32_bg95")["SENSORS"]["battery"]["curve"]
    clock = Clock()
    cell = Battery(clock, Journal(clock), curve=curve)
    for tenths in range(1001):
        cell.start_percent = tenths / 10
        said = battery.percent(round(cell.millivolts), curve)
        # A millivolt is up to a third of a percent where the curve is flat.
        assert tenths / 10 - 1.4 <= said <= tenths / 10 + 0.4
    assert [battery.percent(mv, curve) for mv in (0, 3269, 3270, 4200, 5000)] == [
        0,
        0,
        0,
        100,
        100,
    ]
