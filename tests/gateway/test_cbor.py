"""The reader of the contract's CBOR against cbor2 and RFC 8949's own examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import cbor
from gateway.cbor import CborError

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


# RFC 8949, appendix A: those of its examples that are in the subset.
APPENDIX_A: list[tuple[str, Any]] = [
    ("00", 0),
    ("01", 1),
    ("0a", 10),
    ("17", 23),
    ("1818", 24),
    ("1819", 25),
    ("1864", 100),
    ("1903e8", 1000),
    ("1a000f4240", 1000000),
    ("1b000000e8d4a51000", 1000000000000),
    ("1bffffffffffffffff", 18446744073709551615),
    ("3bffffffffffffffff", -18446744073709551616),
    ("20", -1),
    ("29", -10),
    ("3863", -100),
    ("3903e7", -1000),
    ("f6", None),
    ("40", b""),
    ("4401020304", bytes.fromhex("01020304")),
    ("60", ""),
    ("6161", "a"),
    ("6449455446", "IETF"),
    ("62225c", '"\\'),
    ("62c3bc", "\u00fc"),
    ("63e6b0b4", "\u6c34"),
    ("64f0908591", "\U00010151"),
    ("80", []),
    ("83010203", [1, 2, 3]),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    (
        "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
        list(range(1, 26)),
    ),
    ("a0", {}),
    ("a201020304", {1: 2, 3: 4}),
]

# RFC 8949, appendix A: well-formed, but not in the subset.
FOREIGN = (
    "c249010000000000000000 c349010000000000000000 f90000 f98000 f93c00 fb3ff199999999999a "
    "f97bff fa47c35000 f97c00 f97e00 f4 f5 f7 f0 f8ff "
    "c074323031332d30332d32315432303a30343a30305a c11a514b67b0 d74401020304 "
    "a26161016162820203 826161a161626163 5f42010243030405ff 7f657374726561646d696e67ff "
    "9fff 9f018202039f0405ffff 83018202039f0405ff bf61610161629f0203ffff bf6346756ef563416d7421ff"
).split()

# RFC 8949, appendix F: not well-formed.
MALFORMED = (
    "18 19 1a 1b 1901 1a0102 1b01020304050607 38 58 78 98 9a01ff00 b8 d8 f8 f900 fa0000 fb000000 "
    "41 61 5affffffff00 5bffffffffffffffff010203 7affffffff00 7b7fffffffffffffff010203 "
    "81 818181818181818181 8200 a1 a20102 a100 a2000000 c0 5f4100 7f6100 9f 9f0102 bf bf01020102 "
    "819f 9f8000 9f9f9f9f9fffffffff 9f819f819f9fffffff "
    "1c 1d 1e 3c 3d 3e 5c 5d 5e 7c 7d 7e 9c 9d 9e bc bd be dc dd de fc fd fe "
    "f800 f801 f818 f81f 5f00ff 5f21ff 5f6100ff 5f80ff 5fa0ff 5fc000ff 5fe0ff 7f4100ff "
    "5f5f4100ffff 7f7f6100ffff ff 81ff 8200ff a1ff a1ff00 a100ff a20000ff 9f81ff "
    "9f829f819f9fffffffff bf00ff bf000000ff 1f 3f df"
).split()

# Well-formed, of the subset's types, but not deterministic.
NOT_DETERMINISTIC = (
    "1800 1817 190017 1900ff 1a00000000 1a0000ffff 1b00000000ffffffff 3800 3817 390010 "
    "5800 5801ff 7801 780161 590001ff 9800 980101 990000 b800 b8010101 "
    "a201020102 a202010102 a2181801021801"
).split()


@pytest.mark.parametrize(("encoded", "value"), APPENDIX_A)
def test_rfc_8949_appendix_a(encoded: str, value: Any) -> None:
    assert cbor.decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize("encoded", [*FOREIGN, *MALFORMED, *NOT_DETERMINISTIC, ""])
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
