"""Random and mutated messages: none is accepted, none crashes, none costs much."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from random import Random

import cbor2
import pytest

from coldtrail_gateway.contract import block, envelope
from coldtrail_gateway.contract.block import BlockError
from coldtrail_gateway.contract.envelope import Kind, Refused
from tests.support.blocks.blockmaker import BOOT_EVENT, UPLINK, Maker, rows, sealed
from tests.support.extent import slice_or_all

COUNT = slice_or_all(50_000, 1_000_000)
LIMIT_S = 0.010
KEYS = {1: UPLINK}


def originals() -> list[bytes]:
    maker = Maker()
    return [
        maker.block(rows(96), [BOOT_EVENT], (0, 0, 1_767_225_600, 0, 500, 1)),
        maker.block(rows(12)),
        maker.block([], [BOOT_EVENT]),
        sealed(b"\xa0", content_type=65002, direction="down"),
    ]


def mutated(random: Random, message: bytes) -> bytes:
    changed = bytearray(message)
    for _ in range(random.choice([1, 1, 1, 2, 5, 50])):
        kind = random.randrange(4)
        at = random.randrange(len(changed) + 1)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            changed[at:at] = random.randbytes(random.choice([1, 2, 30]))
        elif kind == 2:
            del changed[at : at + random.choice([1, 2, 30])]
        elif at < len(changed):
            changed[at] = random.choice(b"\x00\x17\x18\x1b\x5b\x7b\x9b\x9f\xbb\xbf\xd8\xff")
    return bytes(changed)


def messages(random: Random, count: int) -> Iterator[bytes]:
    known = originals()
    for _ in range(count):
        if random.random() < 0.1:
            yield random.randbytes(random.choice([0, 1, 14, 100, 1400, 4096, 5000]))
            continue
        message = mutated(random, random.choice(known))
        if message not in known:
            yield message


def percentile(times: list[float]) -> float:
    """Return the 99.99th percentile."""
    return sorted(times)[int(len(times) * 0.9999)]


def report(capsys: pytest.CaptureFixture[str], what: str, times: list[float]) -> None:
    """Say what the slowest cost, whatever else of the output is kept."""
    with capsys.disabled():
        print(f"\n{len(times)} {what}: CPU time p99.99 {percentile(times) * 1000:.2f} ms")


def test_no_mutated_message_is_accepted_and_none_costs_much(
    capsys: pytest.CaptureFixture[str],
) -> None:
    times = []
    for message in messages(Random(6), COUNT):
        begun = time.process_time()
        try:
            envelope.open_sealed(message, Kind.BLOCK, "CT-1", KEYS)
        except Refused:
            accepted = False
        else:
            accepted = True
        times.append(time.process_time() - begun)
        assert not accepted, message.hex()
    report(capsys, "hostile messages", times)
    assert len(times) > 0.95 * COUNT
    assert percentile(times) <= LIMIT_S


def bombs() -> Iterator[bytes]:
    """Payloads that cost a general decoder seconds, or all of the stack."""
    yield b"\x81" * 4000
    yield b"\x9b" + b"\x00\x00\x00\x0f" * 2
    yield b"\xbb" + b"\x00\x00\x00\x0f" * 2
    yield cbor2.dumps(cbor2.CBORTag(35, "(?i)" + "[\u0000-\U0010ffff]" * 120))
    yield bytes.fromhex("c5821b000000ffffffffff03")
    yield bytes.fromhex("c4821b000000ffffffffff03")
    yield b"\xa1\x08" + b"\x98\xff" + b"\x00" * 255


def test_the_holder_of_a_key_cannot_make_the_decoder_work_hard(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a stolen tracker may seal: any bytes at all, with a MAC that verifies."""
    random = Random(9)
    payloads = [envelope.parse(message).payload for message in originals()[:3]]
    times = []
    for number in range(COUNT // 10):
        payload = mutated(random, random.choice(payloads))
        if number % 10 == 0:
            payload = next(bomb for i, bomb in enumerate(bombs()) if i == number // 10 % 7)
        begun = time.process_time()
        for read in (block.read_head, block.decode):
            with suppress(BlockError):
                read(payload)
        times.append(time.process_time() - begun)
    report(capsys, "payloads with a genuine MAC", times)
    assert percentile(times) <= LIMIT_S
