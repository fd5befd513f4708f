"""Twenty days offline, the RTC memory lost: the log alone knows how long it was too warm."""

import random

from coldtrail.contract import cbor
from coldtrail.judging import profile as profiles
from coldtrail.log import records as r
from coldtrail.log.recorder import Recorder
from coldtrail_boards.profiles import profile as host_profiles
from coldtrail_simulator.models.nor import NorArray
from tests.support.flash.norflash import NorFlash
from tests.support.trackers.who import Identity

DAY = 86400
INTERVAL = 300
WARM_A_DAY = 5  # samples at 31 degC, each followed by another sample: 25 minutes
DELAY = 10 * 3600  # WHO type 1, rule 2: 30 degC and above, cumulative


class OfflineTracker:
    """Samples every five minutes and seals every hour; nobody confirms anything."""

    def __init__(self):
        self.nor = NorFlash(NorArray(random.Random(0), 2048 * 4096))
        self.profile = profiles.load(host_profiles.load("who_type_1").encode())
        self.t = 0
        self.mount(b"")
        self.boot()
        self.recorder.record(r.SHIPMENT_START, [0, "S-1"])

    def mount(self, retained):
        self.recorder = Recorder(self.nor, self.profile, Identity, retained)

    def boot(self):
        self.recorder.seal()
        self.t = 0
        boot = self.recorder.state.boot + 1
        self.recorder.record(r.BOOT, [0, boot, r.POWER_ON, 0, "1"])

    def sample(self, celsius):
        self.t += INTERVAL
        values = [celsius * 100, None, None, None, 3700, None, None, None]
        self.recorder.record(r.SAMPLE, [self.t, 0, *values])
        self.recorder.settle()
        if self.t % 3600 == 0:
            self.recorder.seal()

    def alarms(self):
        return [
            cbor.decode(payload)
            for _, kind, payload in self.recorder.log.records(0)
            if kind == r.ALARM_START
        ]


def test_a_cumulative_alarm_continues_from_its_exact_total():
    tracker = OfflineTracker()
    for _ in range(20):
        for n in range(DAY // INTERVAL):
            tracker.sample(31 if n < WARM_A_DAY else 20)
    assert tracker.alarms() == []
    before = tracker.recorder.state.save()
    reads = tracker.nor.reads
    tracker.mount(b"")
    assert tracker.recorder.state.save() == before
    assert tracker.nor.reads - reads < 2048 + 200
    tracker.boot()
    warm = 20 * WARM_A_DAY * INTERVAL
    while not tracker.alarms():
        tracker.sample(31)
        assert tracker.t <= DELAY
    (alarm,) = tracker.alarms()
    t, rule, *_, beyond = alarm
    assert rule == 2
    # The first sample of the new boot stands for nothing before it.
    assert t == DELAY - warm + INTERVAL
    assert beyond == DELAY
