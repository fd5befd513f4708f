"""A flash with the log of a journey, written by the tracker's own recorder."""

from __future__ import annotations

import random

from coldtrail.identity import Identity, load
from coldtrail.judging import profile as profiles
from coldtrail.log import records as r
from coldtrail.log.recorder import Recorder
from coldtrail_simulator.models.nor import NorArray
from tests.support.flash.norflash import NorFlash

SECTOR, SIZE, PAGE = 4096, 8 << 20, 256
UNIX = 1_800_000_000


def log(
    identity: bytes, profile: bytes, blocks: int, samples: int
) -> tuple[bytearray, list[bytes]]:
    """Return the cells of a flash and its sealed blocks of ``samples`` samples each."""
    array = NorArray(random.Random(1), SIZE, SECTOR, PAGE)
    loaded: Identity = load(identity)
    recorder = Recorder(NorFlash(array), profiles.load(profile), loaded)
    recorder.record(r.BOOT, [0, 1, r.POWER_ON, 0, "0"])
    recorder.record(r.CLOCK_SYNC, [1, 0, UNIX, 0, 500, r.NETWORK])
    recorder.record(r.SHIPMENT_START, [1, loaded.shipment])
    rng = random.Random(2)
    t = 60
    for _ in range(blocks):
        for _ in range(samples):
            noise = [rng.randrange(-40, 40) for _ in range(8)]
            usual = (500, 2200, 450, 0, 4100, 0, 0, 1000)
            values = [usual + extra for usual, extra in zip(usual, noise, strict=True)]
            recorder.record(r.SAMPLE, [t, 0, *values])
            t += 300
        recorder.seal()
    return array.cells, [bytes(sealed) for _, _, _, sealed in recorder.blocks(1)]
