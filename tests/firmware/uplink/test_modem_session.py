"""Driver and model of the modem, written apart from the same manuals, in one whole session.

The model's network passes MQTT on to a real broker; time is virtual.
"""

from pathlib import Path

import pytest

from coldtrail.uplink import mqtt_connect
from coldtrail.uplink.mqtt import Client
from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.models.bg95.general import Sim
from coldtrail_simulator.models.bg95.part import BG95_M3, BG96, Part
from coldtrail_simulator.models.bg95.radio import NITZ_LAG_MS, Cell
from coldtrail_simulator.services.mosquitto import Broker
from drivers.bg95 import listen as bg95_listen
from tests.firmware.support import on_cpython
from tests.firmware.support.modem_bench import Bench
from tests.simulator.modem_rig import EPOCH_MS, Places
from tests.support.host import until
from tests.support.references.mqtt_peer import Peer

BLOCKS = [bytes((i * 7 + number) & 0xFF for i in range(1400)) for number in range(5)]
TOPIC = "coldtrail/1/SESSION/up"


@pytest.mark.parametrize("part", [BG95_M3, BG96], ids=["BG95", "BG96"])
def test_a_session_from_power_on_to_power_off(part: Part, tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.start()
    peer = Peer(broker.port, TOPIC)
    benches: list[Bench] = []

    async def session() -> None:
        bench = Bench(part, broker.port)
        benches.append(bench)
        modem = bench.modem
        await modem.power_on(30_000)
        await modem.register("iot.example", 180_000)
        found = await modem.network_time()
        assert found is not None
        unix, uncertainty_ms, ticks = found
        age_ms = (on_cpython.now_ms() - ticks) % (1 << 30)
        truth_ms = EPOCH_MS + bench.rig.clock.now_us // 1000
        # The network's own time arrives late, too.
        assert abs(unix * 1000 + age_ms - truth_ms) <= uncertainty_ms + NITZ_LAG_MS[1] + 1
        signal = await modem.signal()
        assert signal is not None
        assert signal[0] == part.modes["CAT-M1"]
        stream = await modem.connect("broker.example", 1883, 60_000)
        client = Client(stream, "SESSION", 120, bytearray(512))
        await mqtt_connect.connect(client, 10_000)
        await mqtt_connect.subscribe(client, [("coldtrail/1/SESSION/confirmation", 0)], 10_000)
        for number, block in enumerate(BLOCKS, start=1):
            await client.publish(TOPIC, block, number, False, 30_000)
        assert await client.receive(3_000) is False
        await client.disconnect()
        await stream.close()
        await modem.power_off()
        assert bench.rig.modem.power.value == "unpowered"
        assert bench.rig.clock.now_us < 60 * US_PER_S

    try:
        on_cpython.run(session(), lambda now_s: benches[0].tick(now_s) if benches else None)
        until(lambda: len(peer.received) == len(BLOCKS))
        assert [payload for _, payload in peer.received] == BLOCKS
    finally:
        peer.close()
        broker.stop()


@pytest.mark.parametrize("part", [BG95_M3, BG96], ids=["BG95", "BG96"])
@pytest.mark.parametrize(
    ("cell", "sim", "expected"),
    [
        (Cell(), Sim(), True),
        (Cell(technology="GSM"), Sim(), True),
        (None, Sim(), False),
        (Cell(), Sim(present=False), False),
        (Cell(), Sim(pin="1234"), True),
        (Cell(), Sim(pin="4321"), False),
    ],
    ids=["LTE-M", "GSM", "none", "no card", "PIN", "another PIN"],
)
def test_it_hears_whether_there_is_a_network_and_registers_in_none(
    part: Part, cell: Cell | None, sim: Sim, expected: bool
) -> None:
    benches: list[Bench] = []

    async def listen() -> None:
        bench = Bench(part, world=Places((0.0, cell)), sim=sim)
        benches.append(bench)
        assert await bg95_listen.hears(bench.modem, "1234") is expected
        assert bench.rig.modem.power.value == "unpowered"

    on_cpython.run(listen(), lambda now_s: benches[0].tick(now_s) if benches else None)
    notes = benches[0].rig.journal.notes
    assert {note["stat"] for note in notes if note["kind"] == "registration"} <= {0, 2}


@pytest.mark.parametrize("baud", [38_400, 115_200])
def test_a_modem_from_the_factory_takes_the_board_s_rate_for_good(baud: int) -> None:
    benches: list[Bench] = []

    async def session() -> None:
        bench = Bench(BG95_M3, baud=baud)
        benches.append(bench)
        for _ in range(2):
            await bench.modem.power_on(30_000)
            assert bench.rig.modem.general.baud == bench.rig.baud == baud
            await bench.modem.power_off()

    on_cpython.run(session(), lambda now_s: benches[0].tick(now_s) if benches else None)
    notes = benches[0].rig.journal.notes
    turned = [note["command"] for note in notes if "+IPR" in note.get("command", "")]
    assert turned == ([] if baud == 115_200 else [f"AT+IPR={baud}"])
