"""The flash log on real MicroPython, over SPI on the model of the part: 500 power cuts."""

import random

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.esp32 import interpreter
from tests.support.trackers.rig import DRIVERS, MS, ROOT, small_board

LOG = {
    f"lib/coldtrail/{name}.py": ROOT / "firmware/coldtrail" / f"{name}.py"
    for name in (
        "__init__",
        "log/__init__",
        "log/flashlog",
        "log/mounting",
        "log/ring",
        "log/sectors",
    )
}
SECTORS = 8
CUTS = 250  # on each interpreter

MAIN = f"""
from machine import SPI, Pin
from drivers.w25q64 import W25Q64
from coldtrail.log.flashlog import Log

def payload(n):
    size = 1200 if n % 37 == 0 else n % 70
    return bytes((n >> 8, n & 0xFF)) + bytes((n + i) & 0xFF for i in range(size))

def whole(n, kind, data):
    if kind == 30:
        return data == b"before %d" % n or print("WRONG", n)
    # A sector opened for it takes the number it was to get.
    k = data[0] << 8 | data[1]
    return k in (n - 1, n) and kind == k % 29 + 1 and data == payload(k) or print("WRONG", n)

spi = SPI(2, baudrate=20000000, sck=Pin(18), mosi=Pin(23), miso=Pin(19))
log = Log(W25Q64(spi, Pin(5, Pin.OUT, value=1)), lambda: b"before %d" % log.next, 0, {SECTORS})
log.mount()
shown = [n for n, kind, data in log.records(0) if whole(n, kind, data)]
if shown != list(range(log.first, log.next)) or log.damaged:
    print("WRONG", log.first, log.next, log.damaged)
print("HAS", log.first, log.next)
while True:
    log.release(log.next - 60)
    n = log.next
    print("HAS", log.first, log.append(n % 29 + 1, payload(n)) + 1)
"""


def test_what_was_appended_survives(prepared, argv):
    """Each cut falls anywhere: in the mount, in a program or erase, between two bus transfers."""
    files = LOG | {f"lib/drivers/{n}": p for n, p in interpreter.package(DRIVERS).items()}
    flash = boards.named("esp32_bg95")["FLASH"]
    sim = prepared(MAIN, board=small_board(FLASH=flash), files=files)
    rng = random.Random(str(argv[-1]).rsplit("-", 1)[-1])
    promised, printed = 1, 0
    for _ in range(CUTS):
        sim.power_on()
        sim.run(sim.clock.now_us + 420 * MS + rng.randrange(200 * MS))
        sim.power_off()
        lines = sim.console.text[printed:].splitlines()
        printed = len(sim.console.text)
        assert "WRONG" not in "".join(lines)
        assert "Traceback" not in "".join(lines), lines
        has = [tuple(map(int, line.split()[1:])) for line in lines if line.count(" ") == 2]
        if has:
            first, after = has[0]
            # All that had been promised, and at most a sector's opening and one record more.
            assert promised <= after <= promised + 2
            assert first <= max(1, promised - 55)
            promised = has[-1][1]
        sim.run(sim.clock.now_us + 10 * MS)
    torn = sum(1 for _ in sim.journal.of("flash_torn"))
    assert promised > 1000, "the ring went round"
    assert torn > CUTS // 10
    assert min(sim.parts["flash"].array.wear[:SECTORS]) > 1
