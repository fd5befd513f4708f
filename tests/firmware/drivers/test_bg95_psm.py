"""Power saving mode and extended DRX: as asked for, as granted, and what PSM takes away."""

from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.models.bg95.part import BG95_M3
from coldtrail_simulator.models.bg95.radio import Cell
from coldtrail_simulator.models.bg95.saving import ACTIVE_S, TAU_S, seconds
from drivers.bg95 import psm
from tests.firmware.support import on_cpython
from tests.firmware.support.modem_bench import Bench
from tests.simulator.modem_rig import Places, Server


@pytest.mark.parametrize(
    ("bits", "expected"),
    [("00000110", 3600), ("10000101", 150), ("01011111", 31 * 36_000), ("11011111", 35_712_000)],
)
def test_a_timer_of_ts_24_008(bits: str, expected: int) -> None:
    assert psm.timer(expected, psm._TAU).decode() == bits
    assert seconds(bits, TAU_S) == expected


@given(st.integers(1, 31 * 1_152_000), st.integers(1, 31 * 360))
def test_a_timer_is_never_shorter_than_asked_for(tau: int, active: int) -> None:
    for value, own, units in (
        (tau, psm._TAU, TAU_S),
        (active, psm._ACTIVE, ACTIVE_S),
    ):
        got = seconds(psm.timer(value, own).decode(), units)
        assert got is not None
        assert value <= got
        # No timer that can be said lies between the two.
        for unit in (each for each in units.values() if each):
            assert not any(value <= unit * count < got for count in range(1, 32))


@pytest.mark.parametrize("impossible", [0, 31 * 1_152_000 + 1])
def test_what_no_timer_can_say(impossible: int) -> None:
    with pytest.raises(ValueError, match="no timer"):
        psm.timer(impossible, psm._TAU)


def story(cell: Cell, told: Callable[[Bench], Awaitable[None]], port: int = 1) -> None:
    """Register with a cell, then go on as told."""
    benches: list[Bench] = []

    async def session() -> None:
        bench = Bench(BG95_M3, port, world=Places((0.0, cell)))
        benches.append(bench)
        await bench.modem.power_on(30_000)
        await bench.modem.register("iot.example", 180_000)
        await told(bench)
        await bench.modem.power_off()

    on_cpython.run(session(), lambda now_s: benches[0].tick(now_s) if benches else None)


@pytest.mark.parametrize(
    ("cell", "granted"),
    [
        (Cell(), (3600, 10)),
        (Cell(psm_timers=("01000010", "00000101")), (72_000, 10)),
        (Cell(psm_timers=("11100000", "00000101")), None),
        (Cell(psm=False), None),
    ],
    ids=["as asked", "longer", "deactivated", "refused"],
)
def test_psm_as_granted(cell: Cell, granted: tuple[int, int] | None) -> None:
    async def told(bench: Bench) -> None:
        at = bench.modem.at
        assert await psm.granted(at) is None
        await psm.ask(at, 3599, 9)
        assert await psm.granted(at) == granted
        await psm.decline(at)
        assert await psm.granted(at) is None

    story(cell, told)


@pytest.mark.parametrize(
    ("cell", "granted"),
    [
        (Cell(), 81_920),
        (Cell(edrx_cycle="1001"), 163_840),
        (Cell(edrx=False), None),
        (Cell("GSM"), None),
    ],
    ids=["as asked", "longer", "refused", "no LTE"],
)
def test_edrx_as_granted(cell: Cell, granted: int | None) -> None:
    async def told(bench: Bench) -> None:
        at = bench.modem.at
        assert await psm.granted_edrx(at) is None
        await psm.ask_edrx(at, psm.LTE_M, 81_000)
        found = await psm.granted_edrx(at)
        # The tables of TS 24.008 and of the module agree on which number is which cycle.
        assert found == granted
        with pytest.raises(ValueError, match="cycle"):
            await psm.ask_edrx(at, psm.LTE_M, 20_000_000)

    story(cell, told)


def test_psm_ends_every_socket_and_only_pwrkey_ends_psm() -> None:
    server = Server()

    async def told(bench: Bench) -> None:
        modem = bench.modem
        await psm.ask(modem.at, 3600, 10)
        stream = await modem.connect("broker.example", 1883, 60_000)
        model = bench.rig.modem
        assert len(model.tcpip.sockets) == 1
        # 10 s until the network releases the connection, then the active time.
        with pytest.raises(OSError):  # noqa: PT011
            await stream.readinto(bytearray(10), 60_000)
        assert model.power.value == "psm"
        assert model.load.state == "PSM"
        assert not model.tcpip.sockets
        assert not modem.is_on()
        before_us = bench.rig.clock.now_us
        await modem.power_on(30_000)
        assert bench.rig.clock.now_us - before_us < 10 * US_PER_S
        with pytest.raises(OSError):  # noqa: PT011
            await stream.write((b"x",), 5_000)
        await psm.decline(modem.at)

    try:
        story(Cell(), told, server.address[1])
    finally:
        server.close()
