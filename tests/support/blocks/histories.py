"""Hypothesis strategies for the records of a tracker, within the limits of the contract."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.blocks import contract, strategies
from tests.support.blocks.blockmaker import Row

READING = st.integers(contract.READING.low, contract.READING.high)


events = strategies.EVENT.map(lambda event: (event[0], *event[1]))


@st.composite
def samples(draw: st.DrawFn) -> list[Row]:
    """Return samples that fit into a column: consecutive readings differ by less than 2**24."""
    count = draw(st.integers(1, 12))
    t = draw(st.integers(0, 2**29))
    rows: list[Row] = []
    last: list[int | None] = [None] * 8
    for _ in range(count):
        values: list[int | None] = []
        for channel in range(8):
            value = draw(st.none() | READING)
            before = last[channel]
            if value is not None and before is not None and abs(value - before) >= 2**24:
                value = before
            values.append(value)
            last[channel] = before if value is None else value
        rows.append((t, draw(st.sampled_from([0, 0, 0x3, 2**30 - 1])), tuple(values)))
        t += draw(st.sampled_from([300, 300, 300, 0, 1, 299, 86_400, 2**20]))
    return rows
