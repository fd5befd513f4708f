"""Hypothesis strategies for the values that the contract allows."""

from __future__ import annotations

from typing import Any, Final, assert_never

from hypothesis import strategies as st

from tests.support.blocks import contract
from tests.support.blocks.contract import Limits


def value(limits: Limits) -> st.SearchStrategy[Any]:
    """Return the values within a field's limits."""
    match limits:
        case contract.Int(low, high):
            return st.integers(low, high)
        case contract.OrNull(contract.Int(low, high)):
            return st.none() | st.integers(-300, 300) | st.integers(low, high)
        case contract.Text(longest):
            return st.text(min_size=1, max_size=longest).filter(
                lambda text: len(text.encode()) <= longest
            )
        case contract.Bytes(size):
            return st.binary(min_size=size, max_size=size)
        case contract.Array(shortest, longest, item):
            return st.lists(st.just(item), min_size=shortest, max_size=longest)
        case contract.Rows(longest, columns):
            return st.lists(fields(columns), max_size=longest)
        case contract.Optional(present):
            return value(present)
        case contract.Embedded():
            return st.sampled_from(limits.allowed())
        case _:
            assert_never(limits)


def fields(limits: tuple[Limits, ...]) -> st.SearchStrategy[list[Any]]:
    """Return arrays of fields; optional fields are sometimes omitted."""
    whole = st.tuples(*map(value, limits)).map(list)
    if isinstance(limits[-1], contract.Optional):
        return whole | whole.map(lambda values: values[:-1])
    return whole


# Pairs of an event type and its fields.
EVENT: Final = st.sampled_from(sorted(contract.EVENTS)).flatmap(
    lambda kind: st.tuples(st.just(kind), fields(contract.EVENTS[kind]))
)
