"""The tracker's CBOR against RFC 8949's own examples and against cbor2."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.references import rfc8949
from tests.support.trackers import interpreters
from tests.support.trackers.interpreters import Interpreter, Refused

DEPTH: Final = 8
LONGEST: Final = 4096

INTEGERS = st.integers(-(2**64), 2**64 - 1)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, st.binary(), st.text()),
    lambda inner: (
        st.lists(inner, max_size=30)
        | st.dictionaries(st.integers(0, 2**64 - 1), inner, max_size=30)
    ),
    max_leaves=20,
)


@pytest.fixture(scope="module", params=interpreters.NAMES)
def interpreter(request: pytest.FixtureRequest) -> Iterator[Interpreter]:
    with interpreters.start(request.param) as started:
        yield started


def depth(value: Any) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 0


def in_contract(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(in_contract, value))
    if isinstance(value, dict):
        return all(type(key) is int and key >= 0 and in_contract(value[key]) for key in value)
    return value is None or type(value) in {bool, int, bytes, str}


def canonical(value: Any) -> bytes:
    # For unsigned keys the orders of RFC 7049, which this is, and RFC 8949 are the same.
    return cbor2.dumps(value, canonical=True)


def reference(encoded: bytes) -> list[Any]:
    """Return [value] of deterministic CBOR of the contract's types, else []."""
    stream = io.BytesIO(encoded)
    try:
        value = cbor2.load(stream)
        deterministic = not stream.read(1) and in_contract(value) and canonical(value) == encoded
    except (cbor2.CBORError, ValueError, TypeError, ArithmeticError):
        return []
    return [value] if deterministic and depth(value) <= DEPTH else []


def decoded(interpreter: Interpreter, encoded: bytes) -> list[Any]:
    try:
        return [interpreter.call("decode", encoded)]
    except Refused:
        return []


@pytest.mark.parametrize(("encoded", "value"), rfc8949.DECODED)
def test_the_standards_examples(interpreter: Interpreter, encoded: str, value: Any) -> None:
    assert cbor2.loads(bytes.fromhex(encoded)) == value
    assert decoded(interpreter, bytes.fromhex(encoded)) == [value]
    assert interpreter.call("encode", value) == bytes.fromhex(encoded)


def test_the_standards_examples_beyond_the_contract(interpreter: Interpreter) -> None:
    for encoded in rfc8949.REFUSED:
        cbor2.loads(bytes.fromhex(encoded))
        assert decoded(interpreter, bytes.fromhex(encoded)) == [], encoded


def test_the_standards_malformed_examples(interpreter: Interpreter) -> None:
    for encoded in rfc8949.MALFORMED:
        assert decoded(interpreter, bytes.fromhex(encoded)) == [], encoded


def test_what_is_not_deterministic_or_not_valid(interpreter: Interpreter) -> None:
    for encoded in rfc8949.NOT_DETERMINISTIC:
        assert decoded(interpreter, bytes.fromhex(encoded)) == [], encoded


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_encoding_is_cbor2s_canonical_one(interpreter: Interpreter, value: Any) -> None:
    encoded = interpreter.call("encode", value)
    assert encoded == canonical(value)
    if depth(value) <= DEPTH and len(encoded) <= LONGEST:
        assert interpreter.call("decode", encoded) == value


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_decoding_accepts_the_deterministic_encoding_and_nothing_else(
    interpreter: Interpreter, data: st.DataObject
) -> None:
    encoded = bytearray(data.draw(st.one_of(st.binary(max_size=40), VALUES.map(canonical))))
    for _ in range(data.draw(st.integers(0, 2))):
        if encoded:
            encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    if len(encoded) <= LONGEST:
        assert decoded(interpreter, bytes(encoded)) == reference(bytes(encoded))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=12), st.text(max_size=4).map(str.encode)))
@example(b"\xf4\x8f\xbf\xbf")
@example(b"\xf4\x90\x80\x80")
@example(b"\xed\x9f\xbf")
def test_texts_are_utf_8(interpreter: Interpreter, utf8: bytes) -> None:
    encoded = bytes((0x60 + len(utf8),)) + utf8
    assert decoded(interpreter, encoded) == reference(encoded)


def test_limits(interpreter: Interpreter) -> None:
    nested: Any = 1
    for _ in range(DEPTH):
        nested = [nested]
    assert decoded(interpreter, canonical(nested)) == [nested]
    assert decoded(interpreter, canonical([nested])) == []
    assert decoded(interpreter, canonical({0: nested})) == []
    longest = bytes(LONGEST - 3)
    assert decoded(interpreter, canonical(longest)) == [longest]
    assert decoded(interpreter, canonical(longest + b"1")) == []


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1, {-1: 0}, {2**64: 0}, [{-1: 0}]])
def test_what_cannot_be_encoded_is_refused(interpreter: Interpreter, value: Any) -> None:
    with pytest.raises(Refused):
        interpreter.call("encode", value)
