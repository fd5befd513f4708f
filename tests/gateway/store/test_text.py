"""Whatever a tracker puts into a text comes out of both databases as it went in."""

from __future__ import annotations

from typing import Any, Final

import cbor2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from coldtrail_gateway.contract.command import Action, Outcome
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.store import text
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.quarantine import Quarantined
from tests.support.blocks.blockmaker import Maker, sealed

NOW_MS: Final = 1_767_225_600_123
HOSTILE: Final = st.text(
    st.one_of(
        st.sampled_from("\0\x10\x1b\u202e\u200f\\%'\"00ad"),
        st.characters(),
        st.characters(categories=["Cs"]),
    ),
    max_size=200,
)
EXAMPLES: Final = ("\0", "a\0b", "\x10", "\x100000", "\u202eabc", "[/x]", "\x1b[2J", "é漢")
fuzzed = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(HOSTILE)
@example("\x100010")
@example("\x10ffff")
def test_what_is_escaped_comes_back_and_fits_both_databases(given: str) -> None:
    stored = text.escape(given)
    assert text.unescape(stored) == given
    assert "\0" not in stored
    stored.encode()


@given(st.text(st.characters(exclude_characters="\0\x10", codec="utf-8")))
def test_everything_else_stands_as_it_is(given: str) -> None:
    assert text.escape(given) == text.unescape(given) == given


@fuzzed
@given(said=HOSTILE)
@example(said="\0")
@example(said="x" * 10_000)
@example(said="\ud800" * 10_000)
def test_every_text_column_gives_back_what_it_got(store: Store, said: str) -> None:
    with store.write() as tables:
        command = tables.commands.add("CT-1", [Action.LOCATE.value], NOW_MS, 3600)
        tables.commands.tell("CT-1", command.counter, Outcome.REFUSED, said, NOW_MS)
        tables.quarantine.add([Quarantined(said, False, f"r {said}", said, b"")], NOW_MS)
    with store.read() as tables:
        assert tables.commands.of("CT-1")[-1].reason == said
        assert f"r {said}" in tables.quarantine.refused()
        assert tables.registry.shipment(said) is None


NUMBERS: Final = st.one_of(
    st.sampled_from([0, 1, 2**31, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -1, -(2**63)]),
    st.integers(-(2**64), 2**64 - 1),
)


def with_event(payload: dict[int, Any], event: list[int], text: bytes) -> bytes:
    """Return a payload that ends in an event, whose last field is a text of any bytes."""
    entries = cbor2.dumps(payload, canonical=True)
    head = cbor2.dumps(text)
    last = bytes((head[0] + 0x20,)) + head[1:]  # from a byte string to a text
    fields = b"".join(cbor2.dumps(field) for field in event)
    return bytes((entries[0] + 1,)) + entries[1:] + b"\x09\x81\x86" + fields + last


@fuzzed
@given(
    number=NUMBERS,
    outcome=NUMBERS,
    counter=NUMBERS,
    reason=HOSTILE.map(lambda said: said.encode("utf-8", "surrogatepass")),
)
@example(number=1, outcome=2, counter=0, reason=b"\0")
@example(number=1, outcome=2, counter=0, reason=b"x" * 10_000)
def test_a_hostile_tracker_holds_nobody_up(
    store: Store, number: int, outcome: int, counter: int, reason: bytes
) -> None:
    """An authentic block, whatever it says, and a good one in the same batch."""
    with store.write() as tables:
        command = tables.commands.add("CT-1", [Action.LOCATE.value], NOW_MS, 3600)
    event = [17, 7, counter or command.counter, 3, outcome]
    hostile = sealed(with_event(Maker().payload(k2=number), event, reason))
    good = Maker(chain=b"good one").block()
    batch = [Arrival("CT-1", hostile), Arrival("CT-1", good)]
    answers = intake.take(store, batch, NOW_MS)
    if len(hostile) <= 4096:
        assert isinstance(answers[0], Kept)
    assert isinstance(answers[1], Kept)
    assert answers[1].document is not None


@pytest.mark.parametrize("reason", EXAMPLES)
def test_a_reason_is_told_as_the_tracker_gave_it(store: Store, reason: str) -> None:
    with store.write() as tables:
        command = tables.commands.add("CT-1", [Action.LOCATE.value], NOW_MS, 3600)
    block = Maker().block(events=[[17, 7, command.counter, 3, 2, reason]])
    (kept,) = intake.take(store, [Arrival("CT-1", block)], NOW_MS)
    assert isinstance(kept, Kept)
    assert kept.told
    with store.read() as tables:
        assert tables.commands.of("CT-1")[-1].reason == reason
