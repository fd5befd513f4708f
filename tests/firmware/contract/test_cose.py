"""The tracker's COSE_Mac0 against RFC 4231, pycose and cwt."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any, Final

import cbor2
import cwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycose.algorithms import HMAC256
from pycose.headers import KID, Algorithm, ContentType
from pycose.keys.symmetric import SymmetricKey
from pycose.messages.cosemessage import CoseMessage
from pycose.messages.mac0message import Mac0Message

from tests.support.trackers import interpreters
from tests.support.trackers.interpreters import Interpreter, Refused

BLOCK: Final = 65001
CONFIRMATION: Final = 65002
KEY: Final = bytes(range(32))
TRACKER: Final = "CT-7"
TAG: Final = 17

# RFC 4231, 4.2 to 4.8: key, data, HMAC-SHA-256 (case 5 gives its first 16 bytes).
RFC_4231: Final = [
    (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        (
            b"This is a test using a larger than block-size key and a larger than block-size "
            b"data. The key needs to be hashed before being used by the HMAC algorithm."
        ),
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]

KEYS = st.binary(min_size=32, max_size=32)
TRACKERS = st.text("ABCXYZ0189-", min_size=1, max_size=23)
DIRECTIONS = st.sampled_from([("up", BLOCK), ("down", CONFIRMATION)])


@pytest.fixture(scope="module", params=interpreters.NAMES)
def interpreter(request: pytest.FixtureRequest) -> Iterator[Interpreter]:
    with interpreters.start(request.param) as started:
        yield started


def external_aad(direction: str, tracker: str) -> bytes:
    return cbor2.dumps(["coldtrail/1", direction, tracker])


def by_cwt(
    payload: bytes,
    protected: dict[int, Any],
    key: bytes = KEY,
) -> bytes:
    """Make a message with another library."""
    made: bytes = cwt.COSE.new().encode(
        payload,
        cwt.COSEKey.from_symmetric_key(key, alg="HS256"),
        protected,
        {},
        external_aad=external_aad("down", TRACKER),
    )
    return made


def protected(kid: int = 1, content_type: int = CONFIRMATION) -> dict[int, Any]:
    return {1: 5, 3: content_type, 4: bytes((kid,))}


def opened(interpreter: Interpreter, message: bytes, *, kid: int = 1, key: bytes = KEY) -> bytes:
    payload: bytes = interpreter.call(
        "open_mac0", message, [[kid, key]], CONFIRMATION, "down", TRACKER
    )
    return payload


@pytest.mark.parametrize(("key", "data", "expected"), RFC_4231)
def test_the_standards_examples(
    interpreter: Interpreter, key: bytes, data: bytes, expected: str
) -> None:
    assert interpreter.call("hmac", key, [data]).hex().startswith(expected)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.lists(st.binary(max_size=150), max_size=4))
def test_hmac_over_parts(interpreter: Interpreter, key: bytes, parts: list[bytes]) -> None:
    expected = hmac.digest(key, b"".join(parts), hashlib.sha256)
    assert interpreter.call("hmac", key, parts) == expected


@settings(max_examples=100, deadline=None)
@given(KEYS, st.integers(1, 255), DIRECTIONS, TRACKERS, st.binary(max_size=1349))
def test_two_libraries_open_what_the_tracker_makes(
    interpreter: Interpreter,
    key: bytes,
    kid: int,
    direction: tuple[str, int],
    tracker: str,
    payload: bytes,
) -> None:
    way, content_type = direction
    message = interpreter.call("mac0", key, kid, content_type, way, tracker, payload)

    assert isinstance(CoseMessage.decode(message), Mac0Message)
    theirs: Any = CoseMessage.decode(message)
    theirs.key = SymmetricKey(k=key)
    theirs.external_aad = external_aad(way, tracker)
    assert theirs.verify_tag()
    assert theirs.phdr == {Algorithm: HMAC256, ContentType: content_type, KID: bytes((kid,))}
    assert theirs.uhdr == {}
    assert theirs.payload == payload

    reader = cwt.COSE.new()
    secret = cwt.COSEKey.from_symmetric_key(key, alg="HS256", kid=bytes((kid,)))
    assert reader.decode(message, secret, external_aad=external_aad(way, tracker)) == payload

    # Deterministic: another encoder in canonical mode has no other bytes for it.
    value = cbor2.loads(message)
    assert value.tag == TAG
    assert cbor2.dumps(value, canonical=True) == message
    header = cbor2.loads(value.value[0])
    assert cbor2.dumps(header, canonical=True) == value.value[0]

    assert (
        interpreter.call("open_mac0", message, [[kid, key]], content_type, way, tracker) == payload
    )


@settings(max_examples=100, deadline=None)
@given(KEYS, st.integers(1, 255), st.binary(max_size=400))
def test_the_tracker_opens_what_two_libraries_make(
    interpreter: Interpreter, key: bytes, kid: int, payload: bytes
) -> None:
    message = by_cwt(payload, protected(kid), key=key)
    assert opened(interpreter, message, kid=kid, key=key) == payload

    theirs = Mac0Message(
        phdr={Algorithm: HMAC256, ContentType: CONFIRMATION, KID: bytes((kid,))},
        payload=payload,
        external_aad=external_aad("down", TRACKER),
        key=SymmetricKey(k=key),
    )
    assert theirs.encode() == message


def test_every_flipped_bit_is_noticed(interpreter: Interpreter) -> None:
    message = by_cwt(b"payload", protected())
    assert opened(interpreter, message) == b"payload"
    for bit in range(8 * len(message)):
        changed = bytearray(message)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refused):
            opened(interpreter, bytes(changed))


def test_every_cut_and_every_addition_is_noticed(interpreter: Interpreter) -> None:
    message = by_cwt(b"payload", protected())
    for size in range(len(message)):
        with pytest.raises(Refused):
            opened(interpreter, message[:size])
    with pytest.raises(Refused):
        opened(interpreter, message + b"\x00")


def test_a_message_for_others_is_refused(interpreter: Interpreter) -> None:
    message = by_cwt(b"payload", protected())
    for keys in ([], [[2, KEY]], [[1, bytes(32)]]):
        with pytest.raises(Refused):
            interpreter.call("open_mac0", message, keys, CONFIRMATION, "down", TRACKER)
    for content_type, direction, tracker in (
        (BLOCK, "down", TRACKER),
        (CONFIRMATION, "up", TRACKER),
        (CONFIRMATION, "down", "CT-8"),
    ):
        with pytest.raises(Refused):
            interpreter.call("open_mac0", message, [[1, KEY]], content_type, direction, tracker)


def reshaped(message: bytes, **changes: Any) -> bytes:
    """Encode an authentic message in other bytes that mean the same."""
    parts = dict(
        zip(
            ("protected", "unprotected", "payload", "tag"), cbor2.loads(message).value, strict=True
        )
    )
    return cbor2.dumps(cbor2.CBORTag(TAG, list({**parts, **changes}.values())))


def test_only_one_encoding_of_an_authentic_message_is_accepted(interpreter: Interpreter) -> None:
    message = by_cwt(b"payload", protected())
    assert reshaped(message) == message
    others = [
        message[1:],  # untagged
        b"\xd8\x11" + message[1:],  # longer head of the tag
        message[:1] + b"\x98\x04" + message[2:],  # longer head of the array
        message[:1] + b"\x9f" + message[2:] + b"\xff",  # indefinite length
        reshaped(message, unprotected={4: b"\x01"}),
        reshaped(message, unprotected=None),
        reshaped(message, protected=cbor2.loads(message).value[0].decode("latin-1")),
    ]
    for other in others:
        with pytest.raises(Refused):
            opened(interpreter, other)


@pytest.mark.parametrize(
    "headers",
    [
        {1: 5, 3: CONFIRMATION},
        {1: 5, 4: b"\x01"},
        {1: 5, 3: CONFIRMATION, 4: b"\x01", 5: 0},
        {1: 5, 3: CONFIRMATION, 4: b"\x00"},
        {1: 5, 3: CONFIRMATION, 4: b"\x00\x01"},
        {1: 5, 3: CONFIRMATION, 4: b""},
        {1: 5, 3: CONFIRMATION, 4: 1},
        {1: 5, 3: "65002", 4: b"\x01"},
        {1: 4, 3: CONFIRMATION, 4: b"\x01"},
        {4: b"\x01", 3: CONFIRMATION, 1: 5},
        [5, CONFIRMATION, b"\x01"],
        None,
    ],
)
def test_other_headers_are_refused_though_authentic(
    interpreter: Interpreter, headers: Any
) -> None:
    encoded = cbor2.dumps(headers)
    structure = cbor2.dumps(["MAC0", encoded, external_aad("down", TRACKER), b"payload"])
    tag = hmac.digest(KEY, structure, hashlib.sha256)
    message = cbor2.dumps(cbor2.CBORTag(TAG, [encoded, {}, b"payload", tag]))
    with pytest.raises(Refused):
        interpreter.call("open_mac0", message, [[0, KEY], [1, KEY]], CONFIRMATION, "down", TRACKER)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120).map(lambda tail: b"\xd1" + tail) | st.binary(max_size=80))
def test_anything_else_is_refused(interpreter: Interpreter, message: bytes) -> None:
    with pytest.raises(Refused):
        opened(interpreter, message)


@pytest.mark.parametrize("kid", [0, 256, -1])
def test_key_versions_are_one_byte(interpreter: Interpreter, kid: int) -> None:
    with pytest.raises(Refused):
        interpreter.call("mac0", KEY, kid, BLOCK, "up", TRACKER, b"")
