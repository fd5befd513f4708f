"""A world that is changed while a shipment is under way, and the models that live in it."""

import random

import pytest

from coldtrail_simulator.clock import US_PER_S, Clock
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models.lis2dw12 import LIS2DW12
from coldtrail_simulator.models.opt3001 import CT, M_CONTINUOUS, OPT3001, lux
from coldtrail_simulator.world import scenario
from coldtrail_simulator.world.live import LiveWorld
from coldtrail_simulator.world.scenario import Door, Drop, ReIce, Tilt
from coldtrail_simulator.world.world import World

STORY = scenario.load("hang")


@pytest.fixture
def world() -> LiveWorld:
    return LiveWorld(STORY.model_copy(update={"event": []}), 1)


def test_without_a_change_it_is_the_scenarios_world(world: LiveWorld):
    plain = World(world.scenario, 1)
    for t in range(0, 6 * 3600, 900):
        assert world.leg(t) == plain.leg(t)
        for name in ("payload_c", "ambient_c", "humidity", "lux", "acceleration"):
            assert getattr(world, name)(t) == getattr(plain, name)(t)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("payload_c", 9.5),
        ("ambient_c", -20.0),
        ("humidity", 99.0),
        ("lux", 250.0),
        ("acceleration", (0.0, 1.0, 0.0)),
    ],
)
def test_a_change_holds_from_its_moment_until_it_is_undone(world: LiveWorld, name, value):
    before = getattr(world, name)(0)
    world.set(name, value, 100.0)
    world.set(name, None, 200.0)
    ask = getattr(world, name)
    assert [ask(t) for t in (0.0, 99.9)] == [before, pytest.approx(before, abs=0.5)]
    assert [ask(t) for t in (100.0, 199.9)] == [value, value]
    assert ask(200.0) == pytest.approx(before, abs=1)


def test_coverage_and_satellites_are_the_legs(world: LiveWorld):
    world.set("coverage", "none", 50.0)
    world.set("satellites", False, 60.0)
    assert world.leg(49.0).coverage == "LTE-M"
    assert (world.leg(55.0).coverage, world.leg(55.0).satellites) == ("none", True)
    assert not world.leg(60.0).satellites


def test_the_events_of_a_scenario_happen_when_they_are_told_to(world: LiveWorld):
    world.happen(Door(at_h=0, kind="door", for_min=1, lux=80), 100.0)
    assert [world.lux(t) for t in (99, 100, 159, 160)] == [0, 80, 80, 0]
    world.happen(Tilt(at_h=0, kind="tilt", face="x+", for_h=1), 200.0)
    assert world.acceleration(202.0) == (1.0, 0.0, 0.0)
    world.happen(Drop(at_h=0, kind="drop", height_m=1.0), 300.0)
    assert world.acceleration(300.1) == (0.0, 0.0, 0.0)
    world.happen(ReIce(at_h=0, kind="re_ice", pcm_c=-15.0), 330.0)
    assert world.payload_c(7200.0) < World(world.scenario, 1).payload_c(7200.0) - 0.5


def test_light_that_nobody_announced_is_converted(world: LiveWorld):
    clock = Clock()
    part = OPT3001(
        clock,
        random.Random(1),
        Journal(clock),
        light=world.lux,
        changes=world.light_changes,
    )
    part.write(bytes((1,)) + (0xC000 | CT | M_CONTINUOUS).to_bytes(2, "big"))
    clock.advance_to(60 * US_PER_S)
    world.set("lux", 500.0, 60.0)
    part.look()
    clock.advance_to(63 * US_PER_S)
    part.write(bytes((0,)))
    assert lux(int.from_bytes(part.read(2), "big")) == pytest.approx(500, rel=0.15)


def test_a_drop_that_nobody_announced_raises_the_interrupt(world: LiveWorld):
    clock = Clock()
    part = LIS2DW12(
        clock,
        random.Random(1),
        Journal(clock),
        acceleration=world.acceleration,
        motions=world.motions,
    )
    part.power_on()
    clock.advance_to(US_PER_S)
    # 200 Hz, +-16 g, wake-up above a quarter of that, latched, on INT1.
    for register, value in ((0x20, 0x60), (0x25, 0x30), (0x34, 0x10), (0x22, 0x10), (0x23, 0x20)):
        part.write(bytes((register, value)))
    part.write(bytes((0x3F, 0x20)))

    def woken() -> bool:
        part.write(bytes((0x38,)))
        return bool(part.read(1)[0] & 0x08)

    clock.advance_to(60 * US_PER_S)
    assert not woken()
    world.happen(Drop(at_h=0, kind="drop", height_m=1.0), 60.0)
    part.look()
    clock.advance_to(63 * US_PER_S)
    assert woken()
