"""The AT engine against the manuals' own transcripts, noise and everything in between."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.bg95.at import AT, CommandError, ModemError, NoAnswer, SendFull
from tests.firmware.support import on_cpython
from tests.support.blocks.garble import BATCH, garbled
from tests.support.extent import slice_or_all
from tests.support.references.transcripts import Exchange, Transcript, load

TRANSCRIPTS = load()
URC = b'\r\n+QIURC: "recv",0\r\n'


class Line:
    """An engine and the module's end of its serial line, where a test types."""

    def __init__(self) -> None:
        near, self.far = on_cpython.uart_pair()
        self.unsolicited: list[bytes] = []
        self.engine = AT(near, self.unsolicited.append)
        self.engine.start()

    async def heard(self, size: int) -> bytes:
        """Return the next ``size`` bytes of the host."""
        buffer = bytearray(size)
        got = 0
        while got < size:
            await self.far.readable()
            got += self.far.readinto(memoryview(buffer)[got:]) or 0
        return bytes(buffer)

    async def type(self, data: bytes, pieces: int = 1 << 20) -> None:
        """Send ``data``, ``pieces`` bytes at a time."""
        for start in range(0, len(data), pieces):
            self.far.write(data[start : start + pieces])
            await asyncio.sleep(0.001)

    async def answer(self, exchange: Exchange, pieces: int, extra: bytes = b"") -> None:
        """Play the module's part of ``exchange``."""
        command = exchange.command + b"\r"
        assert await self.heard(len(command)) == command
        if exchange.data:
            await self.type(b"\r\n>" + extra, pieces)
            assert await self.heard(len(exchange.data)) == exchange.data
        await self.type(exchange.wire(), pieces)


def split(exchange: Exchange) -> tuple[bytes, bytes, list[bytes], bytes | None]:
    """Return prefix, the answer after it, the unsolicited lines and the final result."""
    finals = (b"OK", b"ERROR", b"SEND OK")
    lines = [text for kind, text in exchange.lines if kind == "<"]
    final = next((t for t in lines if t in finals or t.startswith(b"+CME ERROR")), None)
    before = lines[: lines.index(final)] if final else []
    prefix = answer = b""
    if before and before[0].startswith(b"+"):
        name, _, rest = before[0].partition(b":")
        prefix, answer = name + b":", rest.strip()
        before = before[1:]
    after = lines[lines.index(final) + 1 :] if final else lines
    return prefix, answer, before + after, final


async def call(engine: AT, exchange: Exchange, prefix: bytes, into: bytearray) -> Any:
    if exchange.data:
        return await engine.send(exchange.command, [exchange.data], 1000)
    return await engine.command(exchange.command, prefix, 1000, memoryview(into))


def expected(
    exchange: Exchange, answer: bytes, final: bytes | None
) -> tuple[bytes | None, bytes | None]:
    if final in (b"OK", b"SEND OK"):
        return (None if exchange.data else answer), None
    return None, final


async def outcome(call: Awaitable[Any]) -> tuple[bytes | None, bytes | None]:
    """Return (answer, None) or (None, the error's result line)."""
    try:
        return await call, None
    except CommandError as error:
        return None, error.result


async def play(transcript: Transcript, pieces: int) -> None:
    line = Line()
    for exchange in transcript.exchanges:
        prefix, answer, unsolicited, final = split(exchange)
        line.unsolicited.clear()
        data = b"".join(text for kind, text in exchange.lines if kind == "=")
        into = bytearray(1500 if data or answer == b"0" else 0)
        if not exchange.command:
            await line.type(exchange.wire(), pieces)
        else:
            module = asyncio.create_task(line.answer(exchange, pieces))
            found = await outcome(call(line.engine, exchange, prefix, into))
            assert found == expected(exchange, answer, final)
            assert into[: len(data)] == data
            await module
        await asyncio.sleep(0.01)
        assert line.unsolicited == unsolicited
    await line.engine.stop()


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 64, 4096])
@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_every_transcript_is_understood_however_it_is_cut(name: str, pieces: int) -> None:
    on_cpython.run(play(TRANSCRIPTS[name], pieces))


def test_the_manuals_text_explains_an_error() -> None:
    async def story() -> None:
        line = Line()
        first, second = TRANSCRIPTS["cmee"].exchanges[3], TRANSCRIPTS["cmee"].exchanges[5]
        for exchange, code, text in (
            (first, 10, "AT+CPIN?: +CME ERROR: 10 ((U)SIM not inserted)"),
            (second, None, "AT+CPIN?: +CME ERROR: SIM not inserted"),
        ):
            module = asyncio.create_task(line.answer(exchange, 4096))
            with pytest.raises(CommandError) as caught:
                await line.engine.command(exchange.command, b"+CPIN:")
            await module
            assert caught.value.code == code
            assert str(caught.value) == text
        await line.engine.stop()

    on_cpython.run(story())


def positions(exchange: Exchange) -> list[int]:
    """Where another line may stand in the module's output: between lines, not in binary data."""
    places, at = [0], 0
    for kind, text in exchange.lines:
        at += len(text) + (2 if kind == "=" else 4)
        places.append(at)
    if any(kind == "=" for kind, _ in exchange.lines):
        del places[1]  # between the length and the data
    return places


QUERIES = [
    (name, number)
    for name in ("qcsq", "qlts", "cgatt", "qiact", "tcp-open", "tcp-receive", "tcp-send", "cfun")
    for number, exchange in enumerate(TRANSCRIPTS[name].exchanges)
    if exchange.command
]


@pytest.mark.parametrize(("name", "number"), QUERIES)
def test_an_unsolicited_code_may_come_anywhere_in_an_answer(name: str, number: int) -> None:
    exchange = TRANSCRIPTS[name].exchanges[number]
    prefix, answer, unsolicited, final = split(exchange)

    async def story(place: int) -> None:
        line = Line()
        wire = exchange.wire()

        async def module() -> None:
            await line.heard(len(exchange.command) + 1)
            if exchange.data:
                await line.type(URC + b"\r\n> ", 5)
                await line.heard(len(exchange.data))
            await line.type(wire[:place] + URC + wire[place:], 5)

        task = asyncio.create_task(module())
        into = bytearray(1500 if name == "tcp-receive" and number < 3 else 0)
        found = await outcome(call(line.engine, exchange, prefix, into))
        assert found == expected(exchange, answer, final)
        await task
        await asyncio.sleep(0.01)
        codes = unsolicited + [b'+QIURC: "recv",0'] * (2 if exchange.data else 1)
        assert sorted(line.unsolicited) == sorted(codes)
        await line.engine.stop()

    for place in positions(exchange):
        on_cpython.run(story(place))


@given(st.binary(max_size=1500), st.integers(1, 200))
def test_binary_data_is_taken_as_it_is(data: bytes, pieces: int) -> None:
    async def story() -> None:
        line = Line()

        async def module() -> None:
            await line.heard(len(b"AT+QIRD=0,1500\r"))
            wire = b"\r\n+QIRD: %d\r\n" % len(data) + data + b"\r\n\r\nOK\r\n"
            await line.type(wire, pieces)

        task = asyncio.create_task(module())
        into = memoryview(bytearray(1500))
        assert await line.engine.command(b"AT+QIRD=0,1500", b"+QIRD:", 9000, into) == b"%d" % len(
            data
        )
        assert into[: len(data)] == data
        await task
        assert line.unsolicited == []
        await line.engine.stop()

    on_cpython.run(story())


@pytest.mark.parametrize(
    "data", [b"\r\nOK\r\n", b"OK", b"\r\nERROR\r\n", b"\r\n+CME ERROR: 3\r\n> ", URC]
)
def test_data_that_looks_like_a_result_ends_nothing(data: bytes) -> None:
    test_binary_data_is_taken_as_it_is.hypothesis.inner_test(data, 3)  # type: ignore[attr-defined]


def test_more_data_than_was_asked_for_is_refused() -> None:
    async def story() -> None:
        line = Line()
        task = asyncio.create_task(
            line.engine.command(b"AT+QIRD=0,4", b"+QIRD:", 1000, memoryview(bytearray(4)))
        )
        await line.heard(len(b"AT+QIRD=0,4\r"))
        await line.type(b"\r\n+QIRD: 5\r\ntest1\r\n\r\nOK\r\n")
        with pytest.raises(CommandError):
            await task
        await line.engine.stop()

    on_cpython.run(story())


def test_only_the_first_line_with_the_prefix_is_the_answer() -> None:
    async def story() -> None:
        line = Line()
        task = asyncio.create_task(line.engine.command(b"AT+CPIN?", b"+CPIN:"))
        await line.heard(len(b"AT+CPIN?\r"))
        await line.type(b"\r\n+CPIN: READY\r\n\r\n+CPIN: NOT READY\r\n\r\nOK\r\n")
        assert await task == b"READY"
        assert line.unsolicited == [b"+CPIN: NOT READY"]
        await line.engine.stop()

    on_cpython.run(story())


def test_a_prompt_stands_at_the_begin_of_a_line() -> None:
    async def story() -> None:
        line = Line()
        task = asyncio.create_task(line.engine.send(b"AT+QISEND=0,4", [b"test"], 1000))
        await line.heard(len(b"AT+QISEND=0,4\r"))
        await line.type(b"\r\n+QIND: 1>2\r\n")
        assert not line.far.any()
        await line.type(b"\r\n>")
        assert await line.heard(4) == b"test"
        await line.type(b"\r\nSEND OK\r\n")
        await task
        assert line.unsolicited == [b"+QIND: 1>2"]
        await line.engine.stop()

    on_cpython.run(story())


def test_echo_is_not_an_answer() -> None:
    async def story() -> None:
        line = Line()
        task = asyncio.create_task(line.engine.command(b"AT+QCSQ", b"+QCSQ:"))
        await line.heard(len(b"AT+QCSQ\r"))
        await line.type(b"AT+QCSQ\r\r\n" + TRANSCRIPTS["qcsq"].exchanges[0].wire())
        assert await task == b'"eMTC",-52,-81,195,-10'
        assert line.unsolicited == []
        await line.engine.stop()

    on_cpython.run(story())


def test_a_late_answer_is_not_taken_for_that_of_the_next_command() -> None:
    async def story() -> None:
        line = Line()
        with pytest.raises(NoAnswer):
            await line.engine.command(b"AT+CFUN=1", limit_ms=300)
        await line.heard(len(b"AT+CFUN=1\r"))
        task = asyncio.create_task(line.engine.command(b"AT+QCSQ", b"+QCSQ:"))
        assert await line.heard(len(b"AT+CMEE?\r")) == b"AT+CMEE?\r"
        await line.type(b"\r\nOK\r\n")  # of AT+CFUN=1
        await line.type(b"\r\n+CMEE: 1\r\n\r\nOK\r\n")
        assert await line.heard(len(b"AT+QCSQ\r")) == b"AT+QCSQ\r"
        await line.type(TRANSCRIPTS["qcsq"].exchanges[0].wire())
        assert await task == b'"eMTC",-52,-81,195,-10'
        await line.engine.stop()

    on_cpython.run(story())


def test_a_modem_that_has_restarted_is_noticed() -> None:
    async def story() -> None:
        line = Line()
        line.engine.numbered = True
        with pytest.raises(NoAnswer):
            await line.engine.command(b"AT+QCSQ", b"+QCSQ:")
        await line.heard(len(b"AT+QCSQ\r"))
        task = asyncio.create_task(line.engine.command(b"AT+QCSQ", b"+QCSQ:"))
        await line.heard(len(b"AT+CMEE?\r"))
        await line.type(b"\r\n+CMEE: 0\r\n\r\nOK\r\n")  # its default: nobody has set it
        with pytest.raises(ModemError, match="restarted"):
            await task
        await line.engine.stop()

    on_cpython.run(story())


@pytest.mark.parametrize(
    ("answer", "error"), [(b"\r\nSEND FAIL\r\n", SendFull), (b"\r\nERROR\r\n", CommandError)]
)
def test_failed_sending(answer: bytes, error: type[CommandError]) -> None:
    async def story() -> None:
        line = Line()
        task = asyncio.create_task(line.engine.send(b"AT+QISEND=0,4", [b"te", b"st"], 1000))
        await line.heard(len(b"AT+QISEND=0,4\r"))
        await line.type(b"\r\n> ")
        assert await line.heard(4) == b"test"
        await line.type(b"\r\nOK\r\n" + answer)  # OK does not say that data went
        with pytest.raises(error) as caught:
            await task
        assert type(caught.value) is error
        await line.engine.stop()

    on_cpython.run(story())


def test_silence_ends_every_call_and_takes_no_longer_than_its_limit() -> None:
    async def story() -> None:
        line = Line()
        for call, most in (
            (line.engine.command(b"AT+QIACT=1", limit_ms=150_000), 150_000),
            (line.engine.synchronise(), 4_000),
            (line.engine.command(b"AT+CPIN?", b"+CPIN:", 5_000), 9_000),
            (line.engine.send(b"AT+QISEND=0,4", [b"test"], 120_000), 124_000),
        ):
            start = on_cpython.now_ms()
            with pytest.raises(NoAnswer):
                await call
            assert on_cpython.now_ms() - start <= most
        await line.engine.stop()

    on_cpython.run(story())


# ---- noise ----

WORDS = [
    b"\r\n", b"\r", b"\n", b"> ", b">", b"OK", b"\r\nOK\r\n", b"ERROR\r\n", b"+CME ERROR: 10\r\n",
    b"+CMS ERROR: ", b"SEND OK\r\n", b"SEND FAIL\r\n", b"+QIRD: 5\r\n", b"+QIRD: 1500\r\n",
    b"+QIRD: 99999999999\r\n", b"+QIRD: -1\r\n", b"+QIRD: \r\n", b"test1", b"AT+QIRD=0,1500\r\n",
    URC, b"APP RDY\r\n", b"\xff\xfe", b"\0", b"A" * 300, b"\r\n+QCSQ: \"eMTC\",-52\r\n",
]  # fmt: skip

NOISE = slice_or_all(50_000, 1_000_000)  # byte strings


@pytest.mark.parametrize("phase", range(4))
def test_noise_raises_nothing_and_is_kept_nowhere(phase: int) -> None:
    @settings(max_examples=NOISE // 4 // BATCH, deadline=None, database=None)
    @given(st.binary(min_size=8 * BATCH, max_size=8 * BATCH))
    def feed(choices: bytes) -> None:
        lines: list[bytes] = []
        engine = AT(None, lines.append)
        sizes = len(engine._line), len(engine._chunk)
        into = bytearray(1500)
        for data in garbled(choices, WORDS):
            engine._expect(b"AT+QIRD=0,1500", b"+QIRD:" * (phase < 2), phase, memoryview(into))
            engine.feed(data)
            assert engine._wanted <= 1500
            assert all(len(line) <= 192 for line in lines)
            lines.clear()
        assert (len(engine._line), len(engine._chunk)) == sizes

    feed()
