"""Registration follows coverage; signal and time come from the network and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.models.bg95.radio import Cell
from tests.simulator.modem_rig import EPOCH_MS, Places, Rig

CELL = Cell()
HOME = Cell(home=True, area=0xABCD, identity=0x12345)


def test_registration_is_reported_as_it_happens() -> None:
    rig = Rig(world=Places((0.0, None), (30.0, CELL), (100.0, HOME), (160.0, None)))
    rig.on()
    assert rig.at("AT+CEREG?") == ["+CEREG: 0,2", "OK"]
    rig.at("AT+CEREG=1")
    assert rig.until("+CEREG") == ["+CEREG: 5"]
    assert 33 * US_PER_S <= rig.clock.now_us <= 42 * US_PER_S
    rig.at("AT+CEREG=2")
    assert rig.at("AT+CEREG?") == ['+CEREG: 2,5,"1F40","1A2D005",8', "OK"]
    assert rig.until("+CEREG") == ['+CEREG: 1,"ABCD","12345",8']
    assert rig.until("+CEREG") == ["+CEREG: 2"]
    assert 164 * US_PER_S <= rig.clock.now_us <= 173 * US_PER_S
    assert rig.at("AT+COPS?") == ["+COPS: 0", "OK"]


@given(st.lists(st.integers(2, 60), min_size=1, max_size=10), st.booleans())
@settings(deadline=None, max_examples=50)
def test_it_is_never_registered_long_without_coverage(gaps: list[int], covered: bool) -> None:
    legs: list[tuple[float, Cell | None]] = [(0.0, CELL if covered else None)]
    at = 0.0
    for gap in gaps:
        at += gap
        covered = not covered
        legs.append((at, CELL if covered else None))
    places = Places(*legs)
    rig = Rig(world=places).on()
    since = rig.clock.now_us / US_PER_S
    before = None
    while rig.clock.now_us < (at + 30) * US_PER_S:
        rig.wait(0.5)
        now = rig.clock.now_us / US_PER_S
        in_reach = places.coverage(now) is not None
        state = (in_reach, rig.modem.radio.registered)
        # The two may agree for less than a step between not yet registered and not yet lost.
        if state != before or state[0] == state[1]:
            since, before = now, state
        # A loss is noticed within 12 s; a search takes up to 11 s; a look is taken each second.
        assert now - since <= 14


def test_airplane_mode_and_deregistration_end_it() -> None:
    rig = Rig().on().registered()
    for leave, enter in (("AT+CFUN=4", "AT+CFUN=1"), ("AT+COPS=2", "AT+COPS=0")):
        assert rig.at(leave) == ["OK"]
        assert rig.at("AT+CEREG?") == ["+CEREG: 0,0", "OK"]
        assert rig.at("AT+CSQ") == ["+CSQ: 99,99", "OK"]
        assert rig.at("AT+QCSQ") == ['+QCSQ: "NOSERVICE"', "OK"]
        rig.wait(60)
        assert rig.at("AT+CEREG?") == ["+CEREG: 0,0", "OK"]
        assert rig.at(enter) == ["OK"]
        rig.registered()


def test_signal_is_the_cells() -> None:
    cell = Cell(technology="CAT-NB1", rssi=-121, rsrp=-130, sinr=-20, rsrq=-19, plmn="26201")
    rig = Rig(world=Places((0.0, cell))).on().registered()
    assert rig.at("AT+CSQ")[0] == "+CSQ: 0,99"
    assert rig.at("AT+QCSQ")[0] == '+QCSQ: "NBIoT",-121,-130,0,-19'
    assert rig.at("AT+COPS=3,2") == ["OK"]
    assert rig.at("AT+COPS?")[0] == '+COPS: 0,2,"26201",9'
    assert rig.at("AT+QNWINFO")[0] == '+QNWINFO: "NBIoT","26201","LTE BAND 20",6300'


@given(st.integers(0, 1_000_000), st.integers(-48, 56))
@settings(deadline=None, max_examples=25)
def test_network_time_is_true_within_a_second_and_a_quarter(seed: int, zone: int) -> None:
    rig = Rig(seed=seed, world=Places((0.0, Cell(time_zone=zone)))).on().registered()
    rig.wait(seed % 977)
    truth_ms = EPOCH_MS + rig.clock.now_us / 1000
    text = rig.at("AT+QLTS=1")[0].split('"')[1]
    shown = datetime.strptime(text[:19], "%Y/%m/%d,%H:%M:%S").replace(tzinfo=UTC)
    # Whole seconds are shown, and the network was up to 250 ms late when it told them.
    assert 0 <= truth_ms - shown.timestamp() * 1000 < 1_250
    assert text[19:] == f"{zone:+03d},0"


def test_without_nitz_there_is_no_time() -> None:
    rig = Rig(world=Places((0.0, Cell(nitz=False)))).on()
    rig.wait(60)
    assert rig.at("AT+CEREG?")[0] == "+CEREG: 0,5"
    assert rig.at("AT+QLTS=1") == ['+QLTS: ""', "OK"]
    assert rig.at("AT+CCLK?")[0].startswith('+CCLK: "80/01/06,00:01:')


def test_the_clock_takes_the_networks_time_only_when_told_to() -> None:
    rig = Rig(world=Places((0.0, Cell(time_zone=8)))).on().registered()
    assert rig.at("AT+CCLK?")[0].startswith('+CCLK: "80/01/06')
    for mode, hour in ((1, 8), (3, 10)):
        rig.at(f"AT+CTZU={mode}")
        rig.at("AT+CFUN=1,1")
        rig.wait(20)
        rig.registered()
        rig.at("ATE0")
        assert rig.at("AT+CCLK?")[0].startswith(f'+CCLK: "27/01/15,{hour:02}:0')


def test_the_clock_survives_switching_off_but_not_the_supply() -> None:
    rig = Rig().on()
    rig.at('AT+CCLK="26/05/04,12:00:00+08"')
    rig.at("AT+QPOWD=0")
    rig.wait(3600)
    rig.on()
    assert rig.at("AT+CCLK?")[0].startswith('+CCLK: "26/05/04,13:00:')
    rig.modem.supply(0)
    rig.wait(1)
    rig.modem.supply(1)
    rig.wait(1)
    rig.on()
    assert rig.at("AT+CCLK?")[0].startswith('+CCLK: "80/01/06,00:00:')


def test_in_gsm_only_the_packet_domain_is_registered() -> None:
    rig = Rig(world=Places((0.0, Cell("GSM", area=0xABCD, identity=0x12345)))).on().registered()
    assert rig.at("AT+CEREG?") == ["+CEREG: 0,0", "OK"]
    assert rig.at("AT+CGREG?") == ["+CGREG: 0,5", "OK"]
    rig.at("AT+CGREG=2")
    assert rig.at("AT+CGREG?") == ['+CGREG: 2,5,"ABCD","12345",0', "OK"]
