"""The envelope against pycose, and against everything that is not exactly one."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_gateway.contract import envelope
from coldtrail_gateway.contract.envelope import Kind, Reason, Refused
from tests.support.blocks import cddl
from tests.support.blocks.blockmaker import (
    CONFIRMATION,
    DOWNLINK,
    UPLINK,
    Maker,
    opened,
    rows,
    sealed,
)

KEYS = {1: UPLINK}
BLOCK = Maker().block(rows(12))


def reason(message: bytes, tracker: str = "CT-1", keys: dict[int, bytes] = KEYS) -> Reason:
    with pytest.raises(Refused) as refused:
        envelope.open_sealed(message, Kind.BLOCK, tracker, keys)
    return refused.value.reason


@given(st.binary(max_size=2000), st.binary(min_size=32, max_size=32), st.integers(1, 255))
def test_opens_what_pycose_seals(payload: bytes, key: bytes, version: int) -> None:
    message = sealed(payload, "CT-1", key, version=version)
    form = envelope.open_sealed(message, Kind.BLOCK, "CT-1", {version: key})
    assert (form.key_version, form.payload) == (version, payload)


@given(
    st.dictionaries(st.integers(0, 23), st.integers()),
    st.binary(min_size=32, max_size=32),
    st.integers(1, 255),
)
def test_pycose_opens_what_it_seals(value: dict[int, int], key: bytes, version: int) -> None:
    payload = cbor2.dumps(value)
    message = envelope.seal(payload, Kind.CONFIRMATION, "CT-1", version, key)
    assert opened(message, "CT-1", key) == value
    assert message == sealed(
        payload, "CT-1", key, version=version, content_type=CONFIRMATION, direction="down"
    )


def test_its_messages_are_of_the_contract() -> None:
    assert cddl.is_valid("sealed", BLOCK)
    assert cddl.is_valid("sealed", envelope.seal(b"\xa0", Kind.CONFIRMATION, "A", 1, DOWNLINK))


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(len(BLOCK) * 8):
        changed = bytearray(BLOCK)
        changed[bit // 8] ^= 1 << bit % 8
        reason(bytes(changed))


def test_every_truncation_and_extension_is_noticed() -> None:
    for length in range(len(BLOCK)):
        assert reason(BLOCK[:length]) in {Reason.NOT_COSE, Reason.WRONG_MAC}
    assert reason(BLOCK + b"\x00") is Reason.NOT_COSE


def test_wrong_keys_and_addresses() -> None:
    assert reason(BLOCK, keys={1: DOWNLINK}) is Reason.WRONG_MAC
    assert reason(BLOCK, keys={2: UPLINK}) is Reason.UNKNOWN_KEY
    assert reason(BLOCK, tracker="CT-2") is Reason.WRONG_MAC
    assert reason(sealed(b"\xa0", direction="down")) is Reason.WRONG_MAC
    assert reason(sealed(b"\xa0", content_type=CONFIRMATION)) is Reason.CONTENT_TYPE
    assert reason(sealed(b"\xa0", content_type=65000)) is Reason.CONTENT_TYPE


def test_the_same_block_in_other_bytes_is_refused() -> None:
    """The MAC does not cover the envelope's encoding; these would otherwise pass as forks."""
    tag = cbor2.loads(BLOCK)
    protected, unprotected, payload, mac = tag.value
    assert cbor2.dumps(tag) == BLOCK
    others = [
        cbor2.dumps(cbor2.CBORTag(17, [protected, {99: 1}, payload, mac])),
        cbor2.dumps([protected, unprotected, payload, mac]),
        b"\xd8\x11" + BLOCK[1:],
        BLOCK[:1] + b"\x98\x04" + BLOCK[2:],
        BLOCK[:1] + b"\x9f" + BLOCK[2:] + b"\xff",
        BLOCK.replace(b"\x58\x20" + mac, b"\x59\x00\x20" + mac),
        BLOCK[:14] + b"\x5a\x00\x00" + BLOCK[15:],
    ]
    for other in others:
        assert other != BLOCK
        assert reason(other) is Reason.NOT_COSE


def test_what_is_too_long_is_not_looked_at() -> None:
    longest = sealed(bytes(envelope.MAX_SIZE - len(sealed(bytes(300))) + 300))
    assert len(longest) == envelope.MAX_SIZE
    assert envelope.open_sealed(longest, Kind.BLOCK, "CT-1", KEYS).payload
    assert reason(sealed(bytes(envelope.MAX_SIZE))) is Reason.TOO_LONG
    assert reason(b"\x81" * 5000) is Reason.TOO_LONG


def test_no_cose() -> None:
    for message in (b"", b"{}", b"hello", cbor2.dumps({"temperature": 4.2})):
        assert reason(message) is Reason.NOT_COSE
