"""The mean kinetic temperature against a plain computation with 60 digits."""

from __future__ import annotations

import decimal
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_gateway.readings import kinetic
from coldtrail_gateway.readings.kinetic import MeanKinetic

PLAIN = decimal.Context(prec=60)
# USP <1079.2>: 83.144 kJ/mol over 8.3144 J/(mol K).
ACTIVATION_K = Decimal(83_144) / Decimal("8.3144")

stays = st.lists(
    st.tuples(st.integers(0, 5_000), st.integers(1, 100_000)), min_size=1, max_size=30
)


def plainly(readings: list[tuple[int, int]]) -> Decimal:
    """Return the mean in 0.01 degC of readings, each with its seconds."""
    kelvins = [(Decimal(value) / 100 + Decimal("273.15"), s) for value, s in readings]
    terms = [PLAIN.multiply(PLAIN.exp(-ACTIVATION_K / kelvin), s) for kelvin, s in kelvins]
    weight = sum(seconds for _, seconds in readings)
    mean = ACTIVATION_K / -PLAIN.ln(PLAIN.divide(sum(terms), weight))
    return (mean - Decimal("273.15")) * 100


def mean(readings: list[tuple[int, int]]) -> MeanKinetic:
    values = [value for value, _ in readings]
    ageing = sum(kinetic.term(value) * seconds for value, seconds in readings)
    seconds = sum(seconds for _, seconds in readings)
    return kinetic.mean(ageing, seconds, min(values), max(values))


@given(stays)
def test_it_is_what_a_plain_computation_says(readings: list[tuple[int, int]]) -> None:
    with decimal.localcontext(PLAIN):
        expected = plainly(readings)
    value = mean(readings).value
    assert value is not None
    # It is rounded to 0.01 degC; the whole numbers of its terms move it by less than 1e-3 of that.
    assert abs(value - expected) <= Decimal("0.501")


@given(st.integers(0, 15_000), st.integers(1, 2**31))
def test_of_one_temperature_it_is_that_temperature(value: int, seconds: int) -> None:
    assert mean([(value, seconds)]) == MeanKinetic(value, seconds)


def test_heat_counts_for_more_than_cold() -> None:
    """Half the time at 2 degC and half at 8 degC: 5.54 degC, by hand, not 5.

    exp(-10000 / 275.15) = 1.64469e-16, exp(-10000 / 281.15) = 3.57212e-16, their mean
    2.60840e-16; 10000 / 35.882623 = 278.68642 K.
    """
    assert mean([(200, 3600), (800, 3600)]).value == 554


@pytest.mark.parametrize(
    ("readings", "reason"),
    [
        ([(500, 60), (-1, 60)], "below 0 degC"),
        ([(500, 60), (15_001, 60)], "above 150 degC"),
    ],
)
def test_where_it_may_not_be_used_none_is_stated(
    readings: list[tuple[int, int]], reason: str
) -> None:
    told = mean(readings)
    assert told.value is None
    assert reason in told.reason
    assert told.seconds == 120


def test_without_any_time_there_is_none() -> None:
    assert kinetic.mean(0, 0, None, None).value is None


@given(st.integers(-(2**24) + 1, 2**24 - 1))
def test_what_a_block_holds_of_any_reading_fits_into_63_bits(value: int) -> None:
    """96 samples at most, a day apart at most, of which each stands for 1.5 days at most."""
    assert 0 <= kinetic.term(value) * 96 * 129_600 < 2**63
