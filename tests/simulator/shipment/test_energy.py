"""What parts draw: charge is current times time, and nothing on the board is forgotten."""

from __future__ import annotations

import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.clock import Clock
from coldtrail_simulator.energy import NOTHING, OFF, Basis, Current, Load, Spell
from coldtrail_simulator.models import currents
from coldtrail_simulator.models.bg95.draw import Draw, transmit_us
from coldtrail_simulator.models.bg95.modem import BG95, Power
from coldtrail_simulator.models.bg95.radio import Cell
from coldtrail_simulator.network.network import Network
from coldtrail_simulator.paths import BOARDS
from coldtrail_simulator.shipment import shipment
from coldtrail_simulator.shipment.endurance import Endurance, PartCharge, Supply, loads, supply
from coldtrail_simulator.world import scenario
from tests.simulator.modem_rig import Places, Rig
from tests.support.flash.flash_rig import Rig as FlashRig
from tests.support.trackers.rig import MS, S

TABLE = {
    "idle": Current(2.0, "typical", "a"),
    "busy": Current(30_000.0, "maximum", "b"),
}


def is_table(name, value):
    return name.isupper() and name[0] != "_" and isinstance(value, dict)


TABLES = {name: table for name, table in vars(currents).items() if is_table(name, table)}


def spent(part) -> dict[str, float]:
    """Return the seconds in each state."""
    return {spell.state: spell.us / S for spell in part.load.spells()}


@given(st.lists(st.tuples(st.sampled_from(["idle", "busy", OFF]), st.integers(0, 10**10))))
def test_charge_is_the_sum_of_current_times_time(steps):
    clock = Clock()
    load = Load(clock, TABLE)
    for state, us in steps:
        load.become(state)
        clock.advance_to(clock.now_us + us)
    part = PartCharge("p", tuple(load.spells()))
    ua = {"idle": 2.0, "busy": 30_000.0, OFF: 0.0}
    assert part.charge_uah == pytest.approx(sum(ua[s] * us for s, us in steps) / 3.6e9)
    assert sum(spell.us for spell in part.spells) == clock.now_us


@given(st.integers(0, 1000))
def test_time_spent_in_passing_is_taken_from_the_present_state(ms):
    clock = Clock()
    load = Load(clock, TABLE, "idle")
    load.spend("busy", ms * MS)
    clock.advance_to(S)
    spells = {spell.state: spell.us for spell in load.spells()}
    assert spells.get("busy", 0) == ms * MS
    assert sum(spells.values()) == S


def test_there_is_no_state_without_a_current():
    with pytest.raises(KeyError):
        Load(Clock(), TABLE, "asleep")
    load = Load(Clock(), TABLE)
    with pytest.raises(KeyError):
        load.become("asleep")
    with pytest.raises(KeyError):
        load.spend("asleep", 1)


@pytest.mark.parametrize("table", TABLES)
def test_every_figure_has_its_source_and_says_what_it_is(table):
    for current in TABLES[table].values():
        assert current.ua >= 0
        assert current.basis in typing.get_args(Basis)
        assert len(current.source) > 10


def bg95(bench, name, entry):
    network = Network(bench.clock, bench.rng("network"), bench.journal, {})
    return BG95(bench.clock, bench.rng(name), bench.journal, Places(), network, lambda: 0)


def test_every_part_on_the_board_has_its_currents(prepared):
    sim = prepared(
        "import time\ntime.sleep(5)\nimport machine\nmachine.deepsleep()",
        board=boards.named("esp32_bg95"),
        factories={"BG95-M3": bg95},
    )
    parts = {"chip": sim.chip, **sim.parts}
    battery = supply("esp32_bg95")
    account = Endurance(loads(parts), list(parts), S, battery, {})
    assert {"regulator", "self-discharge"} < {part.name for part in account.parts}
    with pytest.raises(boards.BoardFileError, match="nobody knows what radar draws"):
        Endurance(loads(parts), [*parts, "radar"], S, battery, {})


def test_shares_sum_up_and_days_follow_from_the_average():
    hour = 3600 * S
    parts = [
        PartCharge("a", (Spell("idle", hour, TABLE["idle"]),)),
        PartCharge(
            "b", (Spell("busy", hour // 60, TABLE["busy"]), Spell("idle", hour // 60, NOTHING))
        ),
    ]
    # 2 uA, 500 uA, 98 uA, and 1 % of 1000 mAh in a month of 730.5 h: 13.69 uA.
    battery = Supply(1000.0, 0.5, 0.01, {"rest": Current(98.0, "typical", "by hand")})
    account = Endurance(parts, ["a", "b"], hour, battery, {"calls": 3})
    assert account.average_ua == pytest.approx(613.689, abs=0.001)
    assert sum(account.share_of(part.charge_uah) for part in account.parts) == pytest.approx(1)
    assert account.days == pytest.approx(500_000 / 613.689 / 24, rel=1e-6)
    assert account.assumed == pytest.approx(13.689 / 613.689, rel=1e-4)
    shown = "\n".join(account.lines())
    assert "in 1 h: 3 calls" in shown
    assert "614 uA on average, 34 days on a battery of 1000 mAh (50 % usable)" in shown
    assert "Largest share: b, busy, 81 %" in shown


# ---- each part says what it does ----


def test_the_chip_computes_waits_and_sleeps(run):
    sim = run(
        """
import machine, time
time.sleep(10)
machine.freq(80000000)
time.sleep(5)
machine.lightsleep(3000)
machine.deepsleep(60000)
""",
        seconds=60,
    )
    seconds = spent(sim.chip)
    assert seconds["booting"] == pytest.approx(0.42)
    assert seconds["waiting, 160 MHz"] == pytest.approx(10, abs=0.001)
    assert seconds["waiting, 80 MHz"] == pytest.approx(5, abs=0.001)
    assert seconds["light sleep"] == pytest.approx(3, abs=0.001)
    assert 0 < seconds["computing, 160 MHz"] + seconds["computing, 80 MHz"] < 0.01
    assert sum(seconds.values()) == pytest.approx(60)
    assert seconds["deep sleep"] == pytest.approx(60 - 18.42, abs=0.02)


def test_a_slower_clock_computes_for_longer(run):
    main = """
import machine
machine.freq(%d)
pin = machine.Pin(4)
for _ in range(1000):
    pin()
machine.deepsleep(60000)
"""
    fast = spent(run(main % 160_000_000, seconds=20).chip)["computing, 160 MHz"]
    slow = spent(run(main % 80_000_000, seconds=20).chip)["computing, 80 MHz"]
    assert slow == pytest.approx(2 * fast, rel=0.01)


def test_sensors_draw_while_they_measure(run):
    sim = run(
        """
import machine
from drivers.sht45 import SHT45
from drivers.max31865 import MAX31865

pins = dict(sck=machine.Pin(18), mosi=machine.Pin(23), miso=machine.Pin(19))
spi = machine.SPI(2, 5000000, polarity=1, phase=1, **pins)
probe = MAX31865(spi, machine.Pin(4, machine.Pin.OUT, value=1), 4300, 3)
i2c = machine.I2C(0, scl=machine.Pin(22), sda=machine.Pin(21))
for _ in range(10):
    SHT45(i2c).measure()
    probe.measure()
machine.deepsleep(60000)
""",
        seconds=20,
    )
    # Ten measurements. SHT45: 6.9 to 8.3 ms each. MAX31865: the waits of its driver. The bias
    # settles for 30 ms; before the second half of the test of the leads 3 ms (5 time constants of
    # 0.43 ms are 2.2 ms), after it 6 ms (10.5 are 4.5 ms); a conversion 67 ms. Together 106 ms.
    assert 0.069 <= spent(sim.parts["ambient"])["measuring"] <= 0.083
    assert spent(sim.parts["probe"])["bias on"] == pytest.approx(1.06, abs=0.02)


def test_the_flash_draws_by_what_it_does(monkeypatch):
    rig = FlashRig(monkeypatch, mode=3)
    part = rig.part
    before = spent(part)
    rig.send(0x06)
    rig.send(0x20, 0, 0, 0)
    rig.after(500_000)
    rig.send(0x06)
    rig.send(0x02, 0, 0, 0, *bytes(256))
    rig.after(10_000)
    rig.send(0xB9)
    rig.after(7_000_000)
    seconds = spent(part)
    assert 0.045 <= seconds["erasing"] <= 0.0675
    assert 0.0004 <= seconds["programming"] <= 0.0006
    assert seconds["power-down"] == pytest.approx(7, abs=0.01)
    assert before.get("power-down", 0) == 0


# ---- the modem ----


def draws(rig) -> dict[str, float]:
    return spent(rig.modem)


def test_the_modem_is_connected_until_ten_seconds_after_the_last_packet():
    rig = Rig().on().registered()
    rig.wait(30)
    assert rig.modem.load.state == "idle"
    before = draws(rig)["connected"]
    for _ in range(5):
        rig.network.on_packet(100, 0)
        rig.wait(4)
    rig.wait(60)
    assert rig.modem.load.state == "idle"
    # Four gaps of 4 s and the timer, less what was transmitted.
    radio = draws(rig)["connected"] - before + draws(rig)["transmitting, CAT-M1"]
    assert radio == pytest.approx(4 * 4 + 10, abs=0.4)


def test_the_modem_draws_by_its_power():
    rig = Rig()
    assert rig.modem.load.state == "powered down"
    rig.on().registered()
    seconds = draws(rig)
    assert seconds["booting"] == pytest.approx(2.0, abs=0.01)  # 500 ms after PWRKEY, until 2.5 s
    assert 3 <= seconds["searching"] <= 11
    rig.wait(60)
    rig.at("AT+QPOWD=1")
    assert rig.modem.load.state == "connected"  # the detach
    rig.wait(10)
    assert rig.modem.power is Power.OFF
    assert rig.modem.load.state == "powered down"
    rig.modem.supply(0)
    rig.wait(100)
    assert rig.modem.load.state == OFF


def test_the_satellite_receiver_draws_until_it_is_switched_off():
    clock = Clock()
    modem = Draw(clock)
    modem.power("on")
    modem.satellites(True)
    clock.advance_to(35 * S)
    modem.satellites(False)
    clock.advance_to(40 * S)
    assert {spell.state: spell.us for spell in modem.load.spells()} == {
        "GNSS": 35 * S,
        "idle": 5 * S,
    }


@given(st.integers(0, 1500), st.integers(0, 1500), st.integers(-130, -60), st.integers(-130, -60))
def test_more_bytes_and_less_signal_transmit_for_longer(few, many, strong, weak):
    few, many = sorted((few, many))
    weak, strong = sorted((weak, strong))
    assert transmit_us(few, Cell(rsrp=strong)) <= transmit_us(many, Cell(rsrp=strong))
    assert transmit_us(few, Cell(rsrp=strong)) <= transmit_us(few, Cell(rsrp=weak))


def test_twice_the_uploads_draw_more(tmp_path):
    story = scenario.load("energy")
    hours = story.model_copy(
        update={"scenario": story.scenario.model_copy(update={"duration_h": 2.6})}
    )
    profile = (BOARDS / "profiles" / "refrigerated_long.toml").read_text()
    profile = profile.replace('position_interval = "4 h"', 'position_interval = "0 s"', 1)
    drew, asleep = [], {}
    for n, interval in enumerate(("1 h", "30 min")):
        changed = profile.replace('upload_interval = "1 h"', f'upload_interval = "{interval}"', 1)
        file = tmp_path / f"every {interval}.toml"
        file.write_text(changed)
        header = hours.scenario.model_copy(update={"profile": str(file)})
        each = hours.model_copy(update={"scenario": header})
        energy = shipment.run(each, 1, tmp_path / str(n)).energy
        assert energy is not None
        # One call after the boot, then one an upload interval.
        assert energy.had["calls"] == energy.had["connections with TLS"] == (3, 6)[n]
        drew.append({part.name: part.charge_uah for part in energy.parts})
        asleep = {
            part.name: {spell.state: spell.us / energy.us for spell in part.spells}
            for part in energy.parts
        }
    hourly, twice = drew
    assert 1.5 < twice["modem"] / hourly["modem"] < 2.2
    assert twice["chip"] > hourly["chip"]
    assert twice["regulator"] == hourly["regulator"]
    # What need not be awake is not.
    assert asleep["chip"]["deep sleep"] > 0.97
    assert asleep["flash"]["power-down"] > 0.97
    assert asleep["probe"][OFF] > 0.97
    assert asleep["modem"][OFF] > 0.97


def test_a_battery_lasts_a_hundred_days(tmp_path):
    energy = shipment.run(scenario.load("energy"), 1, tmp_path / "out").energy
    assert energy is not None
    assert energy.had["calls"] == energy.had["connections with TLS"] == 25
    assert energy.had["searches for a position"] == 6
    assert energy.days >= 100
    assert {part.name for part in energy.parts} >= {"chip", "modem", "self-discharge"}
