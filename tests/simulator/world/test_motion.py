"""How the box moves: the mechanics of a drop, and lying on a face."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_simulator.world.motion import FACES, Fall, G, Motion, Turn


@given(st.floats(0.05, 10), st.floats(1, 100))
def test_the_pulses_of_a_landing_stop_the_fall_and_the_rebound(height, pulse_ms):
    drop = Fall(100.0, height, pulse_ms)
    (landing, pulse_s, peak), (again, _, second) = drop.pulses
    # Free fall by energy: m g h = m v^2 / 2.
    speed = math.sqrt(2 * G * height)
    assert landing - 100 == pytest.approx(speed / G)

    def change(begin, peak):
        # The pulse integrated numerically: its mean of 1000 slices over its length.
        at = (begin + (i + 0.5) * pulse_s / 1000 for i in range(1000))
        return (
            sum(peak * math.sin(math.pi * (t - begin) / pulse_s) for t in at) * G * pulse_s / 1e3
        )

    rebound = change(landing, peak) - speed
    assert rebound == pytest.approx(0.3 * speed, rel=1e-3)
    # It hops at that speed and lands with it.
    assert again - landing - pulse_s == pytest.approx(2 * rebound / G, rel=1e-3)
    assert change(again, second) == pytest.approx(rebound, rel=1e-3)


def test_nothing_is_felt_in_the_fall_and_gravity_at_rest():
    drop = Fall(100.0, 0.8, 20)
    motion = Motion((), (drop,))
    landing, pulse_s, peak = drop.pulses[0]
    assert motion.acceleration(99.9) == (0, 0, 1)
    assert motion.acceleration(100.2) == (0, 0, 0)
    assert motion.acceleration(landing + pulse_s / 2)[2] == pytest.approx((1 + peak) * 1.1)
    assert motion.acceleration(landing + pulse_s + 0.05) == (0, 0, 0)
    assert motion.acceleration(drop.end_s + 0.001) == (0, 0, 1)
    assert motion.spans == [(100.0, drop.end_s)]


@pytest.mark.parametrize("face", FACES)
def test_lying_on_a_face_and_back(face):
    motion = Motion((Turn(10, face), Turn(20, "z+")), ())
    assert motion.acceleration(9.9) == (0, 0, 1)
    assert motion.acceleration(15) == FACES[face]
    assert motion.acceleration(30) == (0, 0, 1)
    for t in range(10, 22):
        assert math.hypot(*motion.acceleration(t + 0.3)) == pytest.approx(1)
    assert motion.spans == [(10, 11), (20, 21)]
