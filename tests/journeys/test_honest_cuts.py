"""The power fails at every flash operation between seal and publish: no cut looks like a fraud.

The tracker's own recorder on torn cells, and the gateway's findings on all it ever published.
"""

import contextlib
import random

import pytest

from coldtrail.judging import profile as profiles
from coldtrail.log import records as r
from coldtrail.log.recorder import Recorder
from coldtrail_boards.profiles import profile as host_profiles
from coldtrail_gateway.evidence import findings
from coldtrail_simulator.models.nor import NorArray, Tear
from tests.support.blocks.journey import entries
from tests.support.flash.norflash import NorFlash
from tests.support.trackers import who

SECTOR, SECTORS, PAGE = 4096, 12, 256
PROFILE = profiles.load(host_profiles.load("refrigerated_2_8").encode())


class PowerLost(Exception):
    """The cut; not an OSError, which firmware may take for the chip's."""


class HonestIdentity(who.Identity):
    """The one whose blocks the gateway's part of this test opens."""

    tracker = "CT-1"


class PublishingTracker:
    """Records, seals and publishes; the power fails at the operation ``cut``."""

    def __init__(self, cut: int, tear: Tear) -> None:
        self.array = NorArray(random.Random(cut), SECTORS * SECTOR, SECTOR, PAGE)
        self.flash = NorFlash(self.array)
        self.flash.before = self.operate
        self.cut, self.tear = cut, tear
        self.operations = 0
        self.published: list[bytes] = []

    def operate(self, address: int, data: bytes | None) -> None:
        self.operations += 1
        if self.operations - 1 != self.cut:
            return
        if data is None:
            self.array.erase(address // SECTOR, self.tear)
        else:
            self.array.program(address, data, self.tear)
        raise PowerLost

    def live(self) -> None:
        """One boot: two rounds of sampling, sealing and publishing what was not published."""
        recorder = Recorder(self.flash, PROFILE, HonestIdentity)
        state = recorder.state
        recorder.seal()  # what the boot before left: a block has one boot
        recorder.record(r.BOOT, [0, state.boot + 1, 1, 0, "0"])
        if state.shipment is None:
            recorder.record(r.SHIPMENT_START, [0, "S-1"])
        for k in range(6):
            t = (k + 1) * state.interval
            recorder.record(r.SAMPLE, [t, 0, 400 + k, 2000, 500, None, 3700, None, None, None])
            if k % 3 == 2:
                recorder.seal()
                sealed = [bytes(view) for _, _, _, view in recorder.blocks(0)]
                self.published += [block for block in sealed if block not in self.published]

    def live_through_the_cut(self) -> None:
        for _ in range(3):
            with contextlib.suppress(PowerLost):
                self.live()


def uncut() -> int:
    tracker = PublishingTracker(-1, Tear.DONE)
    tracker.live()
    tracker.live()
    return tracker.operations


@pytest.mark.parametrize("tear", Tear)
def test_no_cut_between_seal_and_publish_is_a_fork(tear: Tear):
    cuts = uncut()
    assert cuts > 20
    for cut in range(cuts):
        tracker = PublishingTracker(cut, tear)
        tracker.live_through_the_cut()
        assert tracker.operations > cut
        judged = findings.judge(entries(*tracker.published))
        found = {finding.name for finding in judged.findings}
        assert not any(finding.wrong for finding in judged.findings), (cut, found)
        assert not judged.flawed, cut
        assert len(tracker.published) >= 4, cut
