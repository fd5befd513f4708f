"""The tracker's state is a fold over its log: whatever is lost, remounting brings it back."""

import binascii
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail import shipment
from coldtrail.contract import cbor, confirmation, cose
from coldtrail.contract.cose import digest
from coldtrail.judging import profile as profiles
from coldtrail.log import records as r
from coldtrail.log.recorder import Recorder
from coldtrail_boards.profiles import profile as host_profiles
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair
from coldtrail_simulator.models.nor import NorArray
from tests.support.flash.norflash import NorFlash
from tests.support.trackers.who import Identity

PROFILE = profiles.load(host_profiles.load("refrigerated_2_8").encode())._replace(
    start_delay=0, zone_start=False
)
SECTOR = 4096


def empty(sectors=24):
    """Return a flash in which nothing is written."""
    return NorFlash(NorArray(random.Random(0), sectors * SECTOR))


class Journey:
    """A tracker's history, driven through its recorder."""

    def __init__(self):
        self.flash = empty()
        self.recorder = Recorder(self.flash, PROFILE, Identity)
        self.t = 0
        self.rtc = 0
        self.begin_boot()
        self.recorder.record(r.SHIPMENT_START, [0, "S-1"])

    @property
    def state(self):
        return self.recorder.state

    def begin_boot(self):
        self.recorder.seal()
        self.rtc += self.t + 7
        self.t = 0
        self.recorder.record(r.BOOT, [0, self.state.boot + 1, 1, self.rtc, "0"])
        self.recorder.settle()

    def sample(self, celsius):
        if self.state.oldest is not None and self.state.leading != self.state.interval:
            self.recorder.seal()
        self.t += self.state.interval
        values = [celsius, 2000, 500, None, 3700, None, None, None]
        self.recorder.record(r.SAMPLE, [self.t, 0, *values])

    def confirm(self, up_to):
        numbers = {
            number: digest(bytes(sealed)) for _, number, _, sealed in self.recorder.blocks(0)
        }
        if up_to in numbers:
            state = self.state
            document: tuple[object, ...] = (
                state.chain,
                up_to,
                numbers[up_to],
                [],
                1_700_000_000,
                0,
            )
            self.recorder.confirm(document)

    def remount(self, retained):
        before = self.state.save()
        self.recorder = Recorder(self.flash, PROFILE, Identity, retained)
        assert self.state.save() == before


def opened(sealed):
    """Return the payload of a block."""
    return cbor.decode(
        cose.open_mac0(
            bytes(sealed), lambda kid: Identity.uplink_key, 65001, "up", Identity.tracker
        )
    )


steps = st.lists(
    st.one_of(
        st.tuples(st.just("sample"), st.integers(-600, 1200)),
        st.tuples(st.just("samples"), st.integers(1, 20)),
        st.tuples(st.sampled_from(["settle", "seal", "boot", "sync"]), st.none()),
        st.tuples(st.just("confirm"), st.integers(0, 3)),
        st.tuples(st.just("remount"), st.sampled_from(["nothing", "hint", "stale", "garbage"])),
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(steps)
def test_a_remount_restores_exactly_what_was_known(history):
    journey = Journey()
    stale = journey.recorder.retain()
    for kind, argument in history:
        if kind == "sample":
            journey.sample(argument)
        elif kind == "samples":
            for k in range(argument):
                journey.sample(500 + k)
        elif kind == "settle":
            journey.recorder.settle()
        elif kind == "seal":
            journey.recorder.seal()
        elif kind == "boot":
            journey.begin_boot()
        elif kind == "sync":
            fields = [journey.t, 5, 1_750_000_000 + journey.t, 0, 120, 1]
            journey.recorder.record(r.CLOCK_SYNC, fields)
        elif kind == "confirm":
            journey.confirm(max(0, journey.state.number - argument))
        else:
            hint = journey.recorder.retain()
            retained = {"nothing": b"", "hint": hint, "stale": stale, "garbage": hint[:-1] + b"?"}
            journey.remount(retained[argument])


def test_an_alarm_that_power_loss_kept_from_the_log_is_written_after_the_remount():
    journey = Journey()
    for _ in range(8):
        journey.sample(900)  # 30 minutes above 8 degC and more: rule 2
    owed = [list(change) for change in journey.state.owed]
    assert owed
    journey.remount(b"")
    journey.recorder.settle()
    kinds = [kind for _, kind, _ in journey.recorder.log.records(0)]
    assert kinds.count(r.ALARM_START) == sum(change[0] == "start" for change in owed)
    assert journey.state.urgent


def test_every_record_is_sealed_once_and_in_order_and_each_block_names_the_one_before():
    journey = Journey()
    for k in range(230):
        journey.sample(400 + k % 7)
    journey.recorder.seal()
    previous = bytes(16)
    samples = 0
    for k, (_, number, _, view) in enumerate(journey.recorder.blocks(0), 1):
        sealed = bytes(view)
        fields = opened(sealed)
        assert (number, fields[2], fields[3]) == (k, k, previous)
        assert len(sealed) <= 1400
        previous = digest(sealed)
        samples += fields[8][0]
    assert samples == 230
    assert journey.state.previous == previous


@pytest.mark.parametrize(
    "change",
    [
        lambda d: (bytes(8), *d[1:]),
        lambda d: (d[0], d[1], bytes(16), *d[3:]),
        lambda d: (d[0], d[1] + 1, *d[2:]),
    ],
    ids=["other chain", "other hash", "a block that is not"],
)
def test_a_confirmation_that_does_not_fit_releases_nothing(change):
    journey = Journey()
    journey.sample(400)
    journey.recorder.seal()
    state = journey.state
    document: tuple[object, ...] = (state.chain, 1, state.previous, [], 1_700_000_000, 0)
    assert not journey.recorder.confirm(change(document))
    assert (state.watermark, state.release) == (0, 0)
    assert journey.recorder.confirm(document)
    assert state.watermark == 1
    assert not journey.recorder.confirm(document)


def test_the_retained_hint_fits_the_rtc_memory():
    journey = Journey()
    for k in range(96):
        journey.sample(300 + 5 * k)
    assert len(journey.recorder.retain()) <= 2048


def test_a_record_that_no_block_can_carry_is_left_out_and_said_to_be():
    journey = Journey()
    journey.sample(400)
    journey.recorder.record(r.FAULT, [journey.t, 99, 1, 1])  # no such subject
    journey.sample(410)
    journey.recorder.seal()
    journey.recorder.seal()
    state = journey.state
    assert state.oldest is None
    events = []
    for _, _, _, sealed in journey.recorder.blocks(0):
        events += opened(sealed).get(9, [])
    assert [9, journey.t, 2, 1] in events


def test_another_profile_begins_its_judgement_anew():
    journey = Journey()
    for _ in range(10):
        journey.sample(900)
    journey.recorder.settle()
    assert journey.state.engine.alarmed
    other = profiles.load(host_profiles.load("who_type_2").encode())
    recorder = Recorder(journey.flash, other, Identity, b"")
    assert recorder.state.engine.alarmed  # there was one, and nobody has acknowledged it
    assert not recorder.state.engine.standing
    assert recorder.state.owed == []
    assert recorder.state.last == journey.state.last


def test_a_profile_that_prefers_new_data_says_how_many_old_records_it_gave_up():
    journey = Journey()
    journey.flash = empty(sectors=6)
    overwriting = PROFILE._replace(overwrite=True)
    journey.recorder = Recorder(journey.flash, overwriting, Identity)
    journey.t = 0
    journey.begin_boot()
    for k in range(1200):
        journey.sample(400 + k % 5)
    log = journey.recorder.log
    assert log.first > 0
    gaps = [cbor.decode(payload) for _, kind, payload in log.records(log.first) if kind == 9]
    assert gaps
    assert all(cause == 1 and lost > 0 for _, cause, lost in gaps)
    before = journey.state.save()
    remounted = Recorder(journey.flash, overwriting, Identity, b"")
    assert remounted.state.save() == before


def test_whatever_was_overwritten_the_newest_blocks_are_confirmed(tmp_path):
    """Twenty outages longer than the log leave twenty holes that nothing fills."""
    journey = Journey()
    journey.flash = empty(sectors=5)
    recorder = journey.recorder = Recorder(
        journey.flash, PROFILE._replace(overwrite=True), Identity
    )
    journey.t = 0
    journey.begin_boot()
    store = Store(f"sqlite:///{tmp_path}/gateway.db", create=True)
    with store.write() as tables:
        tables.registry.add_tracker(Identity.tracker, test=True)
        tables.registry.add_key(
            Identity.tracker, 1, KeyPair(Identity.uplink_key, Identity.downlink_key)
        )
    for _ in range(20):
        last = journey.state.number
        while next(recorder.blocks(0), (0, 0))[1] <= last + 1:
            for _ in range(96):
                journey.sample(400)
            recorder.seal()
        arrivals = [Arrival(Identity.tracker, bytes(block[3])) for block in recorder.blocks(0)]
        outcome = intake.take(store, arrivals, 1_767_225_600_000)[-1]
        assert isinstance(outcome, Kept)
        document = cose.open_mac0(
            outcome.document, lambda kid: Identity.downlink_key, 65002, "down", Identity.tracker
        )
        said = confirmation.parse(document)
        assert recorder.confirm(said)
        assert journey.state.pending == 0
        assert not recorder.confirm(said), "nothing new"
    store.close()
    assert journey.state.watermark == 0
    assert len(said[3]) == 16
    journey.remount(b"")


def test_confirmations_only_ever_add():
    journey = Journey()
    for _ in range(40):
        journey.sample(400)
        journey.recorder.seal()
    state = journey.state

    def confirm(*ranges):
        document = (state.chain, 0, bytes(16), list(ranges), 1_700_000_000, 0)
        return journey.recorder.confirm(document)

    assert confirm([2, 3], [7, 7])
    assert confirm([5, 5], [9, 9])
    assert state.ranges == [[2, 3], [5, 5], [7, 7], [9, 9]]
    assert not confirm([2, 2], [9, 9])
    assert confirm([4, 4], [40, 41]), "block 41 is not there: what is said of it is not taken"
    assert state.ranges == [[2, 5], [7, 7], [9, 9]]
    assert confirm(*([n, n] for n in range(10, 40, 2)))
    assert state.ranges[-1] == [38, 38]
    assert len(state.ranges) == 16
    assert state.pending
    assert not any(state.is_confirmed(n) for n in (1, 6, 11, 40))


def test_records_that_rotted_before_they_were_sealed_are_missing_and_said_to_be():
    journey = Journey()
    places = {}
    for k in range(10):
        journey.sample(400 + k)
        log = journey.recorder.log
        places[journey.t] = (log.head * SECTOR + log.last, log.next - 1)
    times = list(places)
    for t in (times[3], times[4], times[7]):
        journey.flash.array.flip(places[t][0] + 10, 4)
    assert log.read(places[times[5]][1])
    journey.recorder.seal()
    journey.recorder.seal()
    assert log.damaged == [(places[times[3]][1], places[times[4]][1]), (places[times[7]][1],) * 2]
    samples, events = [], []
    for _, _, _, sealed in journey.recorder.blocks(0):
        fields = opened(sealed)
        samples.append(fields.get(8, [0])[0])
        events += fields.get(9, [])
    assert sum(samples) == 7
    assert [event for event in events if event[0] == r.LOG_GAP] == [[9, journey.t, 2, 3]]


class Port:
    """What a boot asks of the port."""

    def since_boot(self, rtc):
        return 0, 0


def test_a_boot_says_that_sectors_of_another_version_are_left_alone():
    journey = Journey()
    ours = bytes(journey.flash.array.cells[:16])
    theirs = ours[:2] + bytes([ours[2] + 1]) + ours[3:]
    theirs += binascii.crc32(theirs).to_bytes(4, "little")

    def faults():
        journey.recorder = Recorder(journey.flash, PROFILE, Identity, b"")
        journey.recorder.boot = [r.POWER_ON, 0]
        shipment.boot(Port(), journey.recorder, [0] * 9)
        return [
            cbor.decode(payload)[1:]
            for _, kind, payload in journey.recorder.log.records(0)
            if kind == r.FAULT
        ]

    assert faults() == []
    journey.flash.program(9 * SECTOR, theirs)
    assert faults() == [[r.SUBJECT_LOG, r.OTHER_VERSION, 1]]
    assert faults() == [[r.SUBJECT_LOG, r.OTHER_VERSION, 1]], "it stands"
    assert bytes(journey.flash.array.cells[9 * SECTOR :][:20]) == theirs
    journey.flash.erase(9 * SECTOR)
    assert faults()[1:] == [[r.SUBJECT_LOG, r.OTHER_VERSION, 0]]
