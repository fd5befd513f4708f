"""The contract's limits: zcbor with the CDDL, the tracker and the gateway sort them alike."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import cbor2
import pytest

from coldtrail.contract import block, confirmation
from coldtrail.judging import profile
from coldtrail_gateway.contract.block import BlockError
from coldtrail_gateway.contract.block import decode as gateway_decode
from tests.support.blocks import cddl, contract
from tests.support.blocks.contract import Message

MESSAGES = [
    contract.BLOCK,
    contract.BLOCK_SHAPE,
    contract.CONFIRMATION,
    contract.CONFIRMATION_HASH,
    contract.PROFILE,
    contract.PROFILE_RULE,
    contract.COMMAND,
]
SEALED = cbor2.CBORTag(
    17, [cbor2.dumps({1: 5, 3: 65001, 4: b"\x01"}, canonical=True), {}, b"", bytes(32)]
)


def encoded(value: Any) -> bytes:
    return cbor2.dumps(value, canonical=True)


def missorted(message: Message, accepts: Callable[[bytes], object]) -> list[str]:
    """Return the variants of a message that `accepts` sorts otherwise than the contract."""
    cases = list(message.variants())
    assert {good for _, _, good in cases} == {True, False}
    return [what for what, value, good in cases if sorts(accepts, encoded(value)) is not good]


def sorts(accepts: Callable[[bytes], object], value: bytes) -> bool:
    try:
        return accepts(value) is not False
    except ValueError:
        return False


@pytest.mark.parametrize("message", MESSAGES)
def test_the_validator_sorts_every_limit(message: Message) -> None:
    assert missorted(message, functools.partial(cddl.is_valid, message.type_name)) == []


@pytest.mark.parametrize(("kind", "limits"), contract.EVENTS.items())
def test_the_validator_sorts_events(kind: int, limits: tuple[contract.Limits, ...]) -> None:
    for fields, good in contract.boundaries(limits):
        assert cddl.is_valid("event", encoded([kind, *fields])) is good


def test_the_validator_sorts_clock_syncs() -> None:
    for fields, good in contract.boundaries(contract.SYNC):
        assert cddl.is_valid("sync", encoded(fields)) is good


@pytest.mark.parametrize("kind", contract.UNKNOWN_TYPES)
def test_the_validator_refuses_unknown_record_types(kind: int) -> None:
    assert not cddl.is_valid("block", encoded({**contract.BLOCK.example, 9: [[kind, 0, "x"]]}))


@pytest.mark.parametrize(("code", "limits"), contract.ACTIONS.items())
def test_the_validator_sorts_actions(code: int, limits: tuple[contract.Limits, ...]) -> None:
    for fields, good in contract.boundaries(limits):
        command = {**contract.COMMAND.example, 3: [code, *fields]}
        assert cddl.is_valid("command", encoded(command)) is good


@pytest.mark.parametrize("code", contract.UNKNOWN_ACTIONS)
@pytest.mark.parametrize("fields", [[], [1], ["x"]])
def test_the_validator_refuses_unknown_actions(code: int, fields: list[Any]) -> None:
    command = {**contract.COMMAND.example, 3: [code, *fields]}
    assert not cddl.is_valid("command", encoded(command))


@pytest.mark.parametrize("column", [[None], [None, None], [None] * 96])
def test_the_validator_refuses_a_column_without_a_reading(column: list[None]) -> None:
    assert not cddl.is_valid("column", encoded(column))


def test_the_validator_sorts_envelopes() -> None:
    protected, unprotected, payload, tag = SEALED.value

    def sealed(*parts: Any, number: int = 17) -> bool:
        return cddl.is_valid("sealed", encoded(cbor2.CBORTag(number, list(parts))))

    def header(**changes: Any) -> bytes:
        fields = {"alg": 5, "content_type": 65001, "kid": b"\x01", **changes}
        return encoded(dict(zip((1, 3, 4), fields.values(), strict=True)))

    assert sealed(protected, unprotected, payload, tag)
    for content_type in (65002, 65003):
        assert sealed(header(content_type=content_type), unprotected, payload, tag)
    for content_type in (65000, 65004):
        assert not sealed(header(content_type=content_type), unprotected, payload, tag)
    for alg in (4, 6):
        assert not sealed(header(alg=alg), unprotected, payload, tag)
    for kid in (b"", b"11", 1, None):
        assert not sealed(header(kid=kid), unprotected, payload, tag)
    assert not sealed(encoded({1: 5, 3: 65001}), unprotected, payload, tag)
    assert not sealed(encoded({1: 5, 3: 65001, 4: b"1", 5: 1}), unprotected, payload, tag)
    assert not sealed(protected, {4: b"\x01"}, payload, tag)
    assert not sealed(protected, unprotected, None, tag)
    for size in (31, 33):
        assert not sealed(protected, unprotected, payload, bytes(size))
    assert not sealed(protected, unprotected, payload, tag, number=18)
    assert not sealed(protected, unprotected, payload)
    assert not sealed(protected, unprotected, payload, tag, tag)


def test_the_gateway_sorts_every_limit() -> None:
    assert missorted(contract.BLOCK, gateway_decode) == []


@pytest.mark.parametrize(
    ("samples", "good"),
    [
        ({1: 2**30 - 1}, True),
        ({1: 2**30}, False),
        ({1: -1}, False),
        ({0: 2, 2: 86400, 3: [-86400]}, True),
        ({0: 2, 2: 86399, 3: [-86400]}, False),
        ({0: 2, 2: 1, 3: [2**30 - 2]}, True),
        ({0: 2, 2: 1, 3: [2**30 - 1]}, False),
        ({0: 2, 3: [0]}, False),
        ({0: 2, 3: [1, 1]}, False),
        ({4: [0]}, False),
        ({4: [1, 1]}, False),
        ({8: [1, 1]}, False),
        ({8: [None]}, False),
        ({0: 2, 8: [1]}, False),
        ({0: 2, 8: [2**24 - 1, 1]}, False),
        ({0: 2, 8: [2**24 - 1, 1 - 2**24]}, True),
    ],
)
def test_the_gateway_sorts_samples(samples: dict[int, Any], good: bool) -> None:
    value = {**contract.BLOCK.example, 8: {0: 1, 1: 0, 2: 300, **samples}}
    if good:
        gateway_decode(encoded(value))
    else:
        with pytest.raises(BlockError):
            gateway_decode(encoded(value))


def builder(**changes: Any) -> block.Builder:
    fields = {
        "chain": bytes(8),
        "number": 1,
        "previous": bytes(16),
        "boot": 1,
        "first_sequence": 0,
        "interval": 300,
        "shipment": None,
        **changes,
    }
    return block.Builder(**fields)


@pytest.mark.parametrize(
    ("kind", "fields", "good"),
    [
        (kind, fields, good)
        for kind, limits in contract.RECORDS.items()
        for fields, good in contract.boundaries(limits)
    ],
)
def test_the_tracker_sorts_every_record(kind: int, fields: list[Any], good: bool) -> None:
    under_test = builder()
    payload = encoded(fields)
    if good:
        assert under_test.add(kind, payload) is True
    else:
        with pytest.raises(ValueError, match="."):
            under_test.add(kind, payload)


@pytest.mark.parametrize("kind", contract.UNKNOWN_TYPES)
def test_the_tracker_refuses_unknown_record_types(kind: int) -> None:
    with pytest.raises(ValueError, match="unknown"):
        builder().add(kind, encoded([0, "x"]))


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        (name, value, good)
        for name, limits in contract.BEGINNING.items()
        for values, good in ((limits.allowed(), True), (limits.refused(), False))
        for value in values
        if not (name == "shipment" and value is None)
    ],
)
def test_the_tracker_sorts_what_a_block_begins_with(name: str, value: Any, good: bool) -> None:
    if good:
        builder(**{name: value})
    else:
        with pytest.raises(ValueError, match=name):
            builder(**{name: value})


@pytest.mark.parametrize(("fields", "good"), list(contract.boundaries(contract.SYNC)))
def test_the_tracker_sorts_clock_syncs(fields: list[Any], good: bool) -> None:
    under_test = builder()
    under_test.sync = tuple(fields)
    if good:
        under_test.seal(bytes(32), 1, "T")
    else:
        with pytest.raises(ValueError, match="sync"):
            under_test.seal(bytes(32), 1, "T")


def test_the_tracker_sorts_confirmations() -> None:
    assert missorted(contract.CONFIRMATION, confirmation.parse) == []


def test_the_tracker_sorts_profiles() -> None:
    assert missorted(contract.PROFILE, profile.load) == []


@pytest.mark.parametrize(
    ("watermark", "ranges", "good"),
    [
        (0, [], True),
        (4, [[6, 6]], True),
        (0, [[2, 2]], True),
        (4, [[6, 2**32 - 1]], True),
        (4, [[2 * n, 2 * n] for n in range(3, 19)], True),
        (4, [[2 * n, 2 * n] for n in range(3, 20)], False),
        (4, [[5, 6]], False),
        (4, [[7, 6]], False),
        (4, [[6, 7], [8, 8]], False),
        (4, [[9, 9], [6, 6]], False),
        (4, [[6, 7], [7, 8]], False),
        (4, [[6, 2**32]], False),
        (4, [[6]], False),
        (4, [[6, 7, 8]], False),
        (4, [6], False),
        (4, [[6, None]], False),
    ],
)
def test_the_tracker_sorts_ranges(watermark: int, ranges: list[Any], good: bool) -> None:
    document = {**contract.CONFIRMATION.example, 2: watermark, 4: ranges}
    if good:
        assert cddl.is_valid("confirmation", encoded(document))
        assert confirmation.parse(encoded(document))[3] == ranges
    else:
        with pytest.raises(ValueError, match="."):
            confirmation.parse(encoded(document))


def test_a_confirmation_of_no_block_names_no_hash() -> None:
    document = {**contract.CONFIRMATION.example, 2: 0, 3: b"\x01" * 16}
    with pytest.raises(ValueError, match="hash"):
        confirmation.parse(encoded(document))
