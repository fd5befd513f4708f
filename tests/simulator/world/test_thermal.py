"""The box obeys physics: no heat is lost, ice melts when it must, and a finer solver agrees."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail_simulator.world.errors import ScenarioError
from coldtrail_simulator.world.thermal import STEP_S, Box, Shipper

HOUR = 3600 // STEP_S  # steps

SHIPPERS = st.builds(
    Shipper,
    payload_c=st.floats(-30, 30),
    payload_j_per_k=st.floats(5_000, 500_000),
    pcm_c=st.floats(-30, 30),
    pcm_kg=st.floats(1, 50),
    pcm_latent_j_per_kg=st.floats(50_000, 350_000),
    wall_j_per_k=st.floats(2_000, 20_000),
    wall_ambient_w_per_k=st.floats(0.05, 2),
    pcm_wall_w_per_k=st.floats(0.5, 15),
    payload_pcm_w_per_k=st.floats(0.5, 15),
    payload_wall_w_per_k=st.floats(0, 2),
)


@given(SHIPPERS, st.lists(st.tuples(st.floats(-40, 50), st.booleans()), max_size=50))
@settings(max_examples=200, deadline=None)
def test_no_heat_appears_or_vanishes(shipper: Shipper, air: list[tuple[float, bool]]) -> None:
    box = Box(shipper)
    before = box.enthalpy_j
    received = 0.0
    for ambient_c, is_open in air:
        received += shipper.wall_ambient_w_per_k * (ambient_c - box.wall_c) * STEP_S
        if is_open:
            received += shipper.door_w_per_k * (ambient_c - box.payload_c) * STEP_S
        box.step(ambient_c, is_open=is_open)
    assert box.enthalpy_j - before == pytest.approx(received, abs=1e-3, rel=1e-9)


@given(SHIPPERS, st.floats(-40, 50))
@settings(max_examples=100, deadline=None)
def test_nothing_leaves_the_range_of_the_temperatures_around_it(
    shipper: Shipper, ambient_c: float
) -> None:
    box = Box(shipper)
    first = [ambient_c, shipper.payload_c, box.pcm_c]
    for _ in range(5 * HOUR):
        box.step(ambient_c)
        for temperature in (box.payload_c, box.pcm_c, box.wall_c):
            assert min(first) - 1e-6 <= temperature <= max(first) + 1e-6


@pytest.mark.parametrize("ambient_c", [-10.0, 25.0])
def test_everything_ends_at_the_temperature_of_the_air(ambient_c: float) -> None:
    box = Box(Shipper(wall_ambient_w_per_k=5.0))
    for _ in range(600 * HOUR):
        box.step(ambient_c)
    assert [box.payload_c, box.pcm_c, box.wall_c] == pytest.approx([ambient_c] * 3, abs=0.01)


def test_the_pcm_lasts_as_long_as_its_latent_heat() -> None:
    # Everything starts at the start of melting, in a box that hardly conducts: heat flows in at
    # G * 30 K until m * L has come, so that all is liquid after m * L / (G * 30 K).
    shipper = Shipper(
        payload_c=4.0,
        payload_j_per_k=10_000,
        pcm_c=4.0,
        pcm_melts_from_c=4.0,
        pcm_melts_to_c=4.01,
        pcm_latent_j_per_kg=200_000,
        pcm_kg=5,
        wall_ambient_w_per_k=0.2,
    )
    box = Box(shipper)
    steps = 0
    while box.melted < 1:
        box.step(34.0)
        steps += 1
        assert box.payload_c < 4.6
    assert steps * STEP_S == pytest.approx(5 * 200_000 / (0.2 * 30), rel=0.05)


def test_a_box_without_melting_warms_as_a_lump_does() -> None:
    # Far above its melting range the box is one heat capacity C behind one conductance G:
    # T = Ta + (T0 - Ta) * exp(-t G / C).
    shipper = Shipper(payload_c=10, pcm_c=10, wall_ambient_w_per_k=0.3)
    capacity = 150_000 + 4.5 * 2_000 + 6_000
    box = Box(shipper)
    for hour in range(1, 101):
        for _ in range(HOUR):
            box.step(30.0)
        expected = 30 - 20 * math.exp(-hour * 3600 * 0.3 / capacity)
        # The payload is a little behind, by the heat's way through wall and PCM.
        assert box.payload_c == pytest.approx(expected, abs=0.5)


def test_agrees_with_a_finer_solver() -> None:
    """Runge-Kutta of fourth order at 1 s on the same equations, over a melting and a re-icing."""
    s = Shipper()
    span = s.pcm_latent_j_per_kg + s.pcm_j_per_kg_k * (s.pcm_melts_to_c - s.pcm_melts_from_c)

    def air(t: float) -> float:
        return 30 + 6 * math.sin(2 * math.pi * t / 86400)

    def pcm_c(h: float) -> float:
        if h < 0:
            return s.pcm_melts_from_c + h / s.pcm_j_per_kg_k
        melting = (s.pcm_melts_to_c - s.pcm_melts_from_c) * min(h, span) / span
        return s.pcm_melts_from_c + melting + max(0.0, h - span) / s.pcm_j_per_kg_k

    def rates(t: float, y: list[float]) -> list[float]:
        payload, wall, pcm = y[0], y[1], pcm_c(y[2])
        to_payload = s.payload_pcm_w_per_k * (pcm - payload)
        to_payload += s.payload_wall_w_per_k * (wall - payload)
        from_wall = s.pcm_wall_w_per_k * (wall - pcm) + s.payload_wall_w_per_k * (wall - payload)
        into_wall = s.wall_ambient_w_per_k * (air(t) - wall)
        return [
            to_payload / s.payload_j_per_k,
            (into_wall - from_wall) / s.wall_j_per_k,
            (from_wall - to_payload) / s.pcm_kg,
        ]

    box = Box(s)
    y = [s.payload_c, s.payload_c, s.pcm_j_per_kg_k * (s.pcm_c - s.pcm_melts_from_c)]
    for second in range(0, 60 * 3600, 5):
        if second == 50 * 3600:
            box.replace_pcm(s.pcm_c)
            y[2] = s.pcm_j_per_kg_k * (s.pcm_c - s.pcm_melts_from_c)
        if second % STEP_S == 0:
            assert box.payload_c == pytest.approx(y[0], abs=0.005)
            box.step(air(second))
        k1 = rates(second, y)
        k2 = rates(second + 2.5, [a + 2.5 * b for a, b in zip(y, k1, strict=True)])
        k3 = rates(second + 2.5, [a + 2.5 * b for a, b in zip(y, k2, strict=True)])
        k4 = rates(second + 5, [a + 5 * b for a, b in zip(y, k3, strict=True)])
        y = [
            a + 5 * (b + 2 * c + 2 * d + e) / 6
            for a, b, c, d, e in zip(y, k1, k2, k3, k4, strict=True)
        ]


def test_fresh_pcm_cools_the_payload() -> None:
    box = Box(Shipper(payload_c=6.0, pcm_c=7.0))
    for _ in range(HOUR):
        box.step(30.0)
    warm = box.payload_c
    box.replace_pcm(3.0)
    assert box.pcm_c == pytest.approx(3.0)
    assert box.melted == 0
    for _ in range(6 * HOUR):
        box.step(30.0)
    assert box.payload_c < warm - 1


def test_a_box_that_cannot_be_integrated_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"\[shipper\]: the wall's heat capacity of 100 J/K"):
        Box(Shipper(wall_j_per_k=100.0))
