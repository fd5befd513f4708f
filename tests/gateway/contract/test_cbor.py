"""The reader of the contract's CBOR against cbor2 and RFC 8949's own examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail_gateway.contract import cbor
from coldtrail_gateway.contract.cbor import CborError
from tests.support.references import rfc8949

scalars = (
    st.none() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=100)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=30)
        | st.dictionaries(st.integers(0, 2**64 - 1), inner, max_size=10)
    ),
    max_leaves=60,
)


def depth(value: Any) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 0


def is_ours(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, list):
        return all(map(is_ours, value))
    if isinstance(value, dict):
        return all(type(key) is int and key >= 0 for key in value) and all(
            map(is_ours, value.values())
        )
    return (
        value is None
        or (isinstance(value, int) and -(2**64) <= value < 2**64)
        or isinstance(value, bytes | str)
    )


@given(values)
def test_reads_what_cbor2_writes_in_canonical_form(value: Any) -> None:
    encoded = cbor2.dumps(value, canonical=True)
    if depth(value) > cbor.MAX_DEPTH:
        with pytest.raises(CborError):
            cbor.decode(encoded)
    else:
        assert cbor.decode(encoded) == value


# Heads of every kind, at the edges of their lengths.
BYTES = bytes.fromhex(
    "00171819 1a1b1c1f 20373839 40575859 60777879 80979899 a0b7b8b9 c0f4f6f7 fbff"
)


@given(st.binary(max_size=40) | values.map(cbor2.dumps))
@settings(max_examples=50)
def test_accepts_exactly_what_is_canonical_and_in_the_subset(data: bytes) -> None:
    """Of arbitrary bytes and of CBOR with one byte changed."""
    for changed in _changes(data):
        try:
            value = cbor.decode(changed)
        except CborError:
            assert not _is_canonical(changed)
        else:
            assert cbor2.loads(changed) == value
            assert cbor2.dumps(value, canonical=True) == changed


def _changes(data: bytes) -> Iterator[bytes]:
    yield data
    for at in range(min(len(data), 40)):
        for byte in BYTES:
            yield data[:at] + bytes((byte,)) + data[at + 1 :]


def _is_canonical(data: bytes) -> bool:
    # Tags are acted on by cbor2, which may cost anything; the subset has none.
    try:
        value = cbor2.loads(data)
    except Exception:  # noqa: BLE001 - whatever cbor2 has against it
        return False
    return (
        is_ours(value)
        and depth(value) <= cbor.MAX_DEPTH
        and cbor2.dumps(value, canonical=True) == data
        # A bignum (tag 2, 3) of cbor2's is an integer of ours only without the tag.
        and not _has_bignum(value)
    )


def _has_bignum(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_bignum, value))
    if isinstance(value, dict):
        return any(map(_has_bignum, value.values()))
    return isinstance(value, int) and not -(2**64) <= value < 2**64


@pytest.mark.parametrize(("encoded", "value"), rfc8949.DECODED)
def test_the_standards_examples(encoded: str, value: Any) -> None:
    if is_ours(value):
        assert cbor.decode(bytes.fromhex(encoded)) == value
    else:
        with pytest.raises(CborError):
            cbor.decode(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    "encoded", [*rfc8949.REFUSED, *rfc8949.MALFORMED, *rfc8949.NOT_DETERMINISTIC, ""]
)
def test_refuses(encoded: str) -> None:
    with pytest.raises(CborError):
        cbor.decode(bytes.fromhex(encoded))


def test_depth_is_bounded() -> None:
    assert cbor.decode(b"\x81" * 8 + b"\x00")
    for depth in (9, 4000):
        with pytest.raises(CborError):
            cbor.decode(b"\x81" * depth + b"\x00")


def test_leading_entries_do_not_depend_on_what_follows() -> None:
    head = {0: 9, 1: b"chain  1", 2: 7, 3: bytes(16)}
    encoded = cbor2.dumps({**head, 4: 1}, canonical=True)
    assert cbor.decode_entries_below(encoded, 4) == head
    assert cbor.decode_entries_below(encoded[:-1] + b"\xff", 4) == head
    # A newer version may have there what this reader does not know.
    assert cbor.decode_entries_below(cbor2.dumps({**head, 4: 1.5, 99: True}), 4) == head
    with pytest.raises(CborError):
        cbor.decode_entries_below(b"\x80", 4)
