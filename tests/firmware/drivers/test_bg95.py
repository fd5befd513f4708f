"""The BG95 driver: sockets; a modem that says nothing; a session and noise on MicroPython."""

import ast
import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterable
from errno import ECONNRESET, ETIMEDOUT
from pathlib import Path
from typing import Any

import pytest

from coldtrail_simulator.esp32 import interpreter as process
from coldtrail_simulator.services import tools
from drivers.bg95 import modem
from drivers.bg95.at import CommandError, ConnectError, ModemError, NoAnswer
from tests.firmware.support import on_cpython
from tests.firmware.support.bg95_module import (
    OK,
    TRANSCRIPTS,
    Module,
    connected,
    limited,
    line,
    started,
    story,
)

ROOT = Path(__file__).resolve().parents[3]


@story
async def test_connect() -> None:
    module = await started()
    await limited(module.modem.connect("220.180.239.212", 8009, 60_000), 100)
    assert module.commands == [b'AT+QIOPEN=1,0,"TCP","220.180.239.212",8009,0,0']


OPEN = b'AT+QIOPEN=1,0,"TCP","220.180.239.212",8009,0,0'


@pytest.mark.parametrize(
    ("answers", "error", "text", "most_ms"),
    [
        ([OK + line(b"+QIOPEN: 0,566")], ConnectError, "566 (Socket connect failed)", 200),
        ([OK + line(b"+QIOPEN: 0,565")], ConnectError, "565 (DNS parse failed)", 200),
        ([OK + line(b"+QIOPEN: 0,563")], ConnectError, "563", 200),
        ([OK], ConnectError, "569 (Operation timeout)", 61_000),
        ([OK + line(b"+QIOPEN: 1,0")], ConnectError, "569 (Operation timeout)", 61_000),
        ([OK + line(b"+QIOPEN: 0,")], ConnectError, "569 (Operation timeout)", 61_000),
        ([b"\r\nERROR\r\n"], CommandError, "ERROR", 200),
        ([None], NoAnswer, "QIOPEN", 1_200),
        ([OK + line(b"APP RDY")], ConnectError, "569 (Operation timeout)", 200),
    ],
)
def test_connect_fails_with_a_reason(
    answers: list[Any], error: type[Exception], text: str, most_ms: int
) -> None:
    async def test() -> None:
        module = await started()
        module.answers[OPEN] = answers
        with pytest.raises(error) as caught:
            await limited(module.modem.connect("220.180.239.212", 8009, 60_000), most_ms)
        assert text in str(caught.value)

    on_cpython.run(test())


@story
async def test_a_socket_left_open_is_closed_and_opened_again() -> None:
    module = await started()
    module.answers[OPEN] = [OK + line(b"+QIOPEN: 0,563"), OK + line(b"+QIOPEN: 0,0")]
    await module.modem.connect("220.180.239.212", 8009, 60_000)
    assert module.commands == [OPEN, b"AT+QICLOSE=0,3", OPEN]


@story
async def test_result_before_ok() -> None:
    module = await started()
    module.answers[OPEN] = line(b"+QIOPEN: 0,0") + OK
    await limited(module.modem.connect("220.180.239.212", 8009, 60_000), 100)


@story
async def test_read_as_in_the_manual() -> None:
    module, stream = await connected()
    receive = TRANSCRIPTS["tcp-receive"].exchanges
    module.answers[b"AT+QIRD=0,1500"] = receive[1].wire()
    module.later(300, lambda: module.say(receive[0].wire()))
    buffer = bytearray(1536)  # more than the modem gives at once
    assert await limited(stream.readinto(buffer, 10_000), 400) == 5
    assert buffer[:5] == b"test1"
    assert module.commands == [b"AT+QIRD=0,1500"]


@story
async def test_data_that_fills_the_buffer_may_not_be_all() -> None:
    module, stream = await connected()
    module.answers[b"AT+QIRD=0,5"] = TRANSCRIPTS["tcp-receive"].exchanges[1].wire()
    module.say(TRANSCRIPTS["tcp-receive"].exchanges[0].wire())  # announced only once
    for _ in range(3):
        assert await limited(stream.readinto(bytearray(5), 10_000), 100) == 5


@story
async def test_data_whose_announcement_was_lost_is_found() -> None:
    module, stream = await connected()
    receive = TRANSCRIPTS["tcp-receive"].exchanges
    module.answers[b"AT+QIRD=0,1500"] = [receive[2].wire(), receive[1].wire()]
    assert await limited(stream.readinto(bytearray(1500), 10_000), 4_200) == 5


@story
async def test_reading_ends_at_its_limit() -> None:
    module, stream = await connected()
    module.answers[b"AT+QIRD=0,1500"] = TRANSCRIPTS["tcp-receive"].exchanges[2].wire()
    for limit in (0, 10, 1_000, 15_000):
        with pytest.raises(OSError) as caught:  # noqa: PT011
            await limited(stream.readinto(bytearray(1500), limit), limit + 100)
        assert caught.value.args == (ETIMEDOUT,)


@story
async def test_what_the_peer_sent_before_it_closed_can_be_read() -> None:
    module, stream = await connected()
    receive = TRANSCRIPTS["tcp-receive"].exchanges
    module.answers[b"AT+QIRD=0,1500"] = [receive[1].wire(), receive[1].wire(), receive[2].wire()]
    module.say(line(b'+QIURC: "recv",0') + line(b'+QIURC: "closed",0'))
    await asyncio.sleep(0.01)
    buffer = bytearray(1500)
    assert [await stream.readinto(buffer, 1000) for _ in range(4)] == [5, 5, 0, 0]
    with pytest.raises(OSError) as caught:  # noqa: PT011
        await stream.write([b"x"], 1000)
    assert caught.value.args == (ECONNRESET,)


@pytest.mark.parametrize(
    "event",
    [line(b'+QIURC: "pdpdeact",1'), line(b"APP RDY"), line(b"POWERED DOWN")],
)
def test_a_connection_the_modem_has_lost(event: bytes) -> None:
    async def test() -> None:
        module, stream = await connected()
        module.answers[b"AT+QIRD=0,1500"] = TRANSCRIPTS["tcp-receive"].exchanges[2].wire()
        module.later(300, lambda: module.say(event))
        for call in (stream.readinto(bytearray(1500), 10_000), stream.write([b"x"], 10_000)):
            with pytest.raises(OSError) as caught:  # noqa: PT011
                await limited(call, 400)
            assert caught.value.args == (ECONNRESET,)
        module.commands.clear()
        await limited(stream.close(), 100)
        assert module.commands == []

    on_cpython.run(test())


@story
async def test_codes_of_other_sockets_and_broken_ones_change_nothing() -> None:
    module, stream = await connected()
    module.answers[b"AT+QIRD=0,1500"] = TRANSCRIPTS["tcp-receive"].exchanges[1].wire()
    for code in (b'"closed",1', b'"closed"', b"", b",,,", b'"recv",', b'"incoming full"'):
        module.say(line(b"+QIURC: " + code))
    module.say(line(b"+QIOPEN: ") + line(b"+QIOPEN: 0") + line(b"RDY"))
    await asyncio.sleep(0.01)
    assert await stream.readinto(bytearray(1500), 1000) == 5
    assert not stream._closed
    assert not stream._lost


def sink(module: Module, received: list[bytes], results: Iterable[bytes] = ()) -> None:
    """Let the module take data; ``results`` in place of SEND OK, then SEND OK."""
    queue = list(results)

    def taking(size: int) -> Callable[[], Awaitable[bytes]]:
        async def answer() -> bytes:
            module.say(b"\r\n> ")
            data = await module.data(size)
            result = queue.pop(0) if queue else b"SEND OK"
            if result == b"SEND OK":
                received.append(data)
            return line(result)

        return answer

    for size in range(1, 1461):
        module.answers[b"AT+QISEND=0,%d" % size] = taking(size)


@pytest.mark.parametrize(
    ("sizes", "pieces"),
    [
        ([4], [4]),
        ([1, 0, 44, 1400], [1445]),  # heads and block in one
        ([1460], [1460]),
        ([1461], [1460, 1]),
        ([1000, 1000, 1000], [1460, 1460, 80]),
        ([3, 1457, 5000], [1460, 1460, 1460, 1460, 620]),
        ([0], []),
        ([], []),
    ],
)
def test_write(sizes: list[int], pieces: list[int]) -> None:
    async def test() -> None:
        module, stream = await connected()
        received: list[bytes] = []
        sink(module, received)
        buffers = [bytes((i + size) & 0xFF for i in range(size)) for size in sizes]
        await stream.write(buffers, 10_000)
        assert [len(piece) for piece in received] == pieces
        assert b"".join(received) == b"".join(buffers)

    on_cpython.run(test())


@story
async def test_what_the_modem_has_no_room_for_is_sent_again() -> None:
    module, stream = await connected()
    received: list[bytes] = []
    sink(module, received, [b"SEND FAIL", b"SEND OK", b"SEND FAIL", b"SEND FAIL"])
    data = bytes(range(256)) * 8
    await limited(stream.write([data[:5], data[5:]], 10_000), 2_000)
    assert b"".join(received) == data


@story
async def test_writing_ends_at_its_limit() -> None:
    module, stream = await connected()
    sink(module, [], [b"SEND FAIL"] * 100)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        await limited(stream.write([b"x"], 3_000), 3_600)
    assert caught.value.args == (ETIMEDOUT,)
    sink(module, [], [b"ERROR"])
    with pytest.raises(CommandError):
        await stream.write([b"x"], 3_000)


@story
async def test_close() -> None:
    module, stream = await connected()
    await stream.close()
    await stream.close()
    assert module.commands == [b"AT+QICLOSE=0,3"]
    with pytest.raises(OSError):  # noqa: PT011
        await stream.readinto(bytearray(10), 1000)


@story
async def test_a_silent_modem_lets_every_call_end() -> None:
    module, stream = await connected()
    module.deaf = True
    for call, most_ms in (
        (stream.write([b"x"], 10_000), 11_000),
        (stream.readinto(bytearray(10), 10_000), 14_000),
        (module.modem.signal(), 5_000),
        (module.modem.network_time(), 5_000),
        (module.modem.register("CMNBIOT", 60_000), 9_000),
        (stream.close(), 8_000),
        (module.modem.connect("220.180.239.212", 8009, 60_000), 9_000),
    ):
        try:
            await limited(call, most_ms)
        except ModemError:
            continue
    await limited(module.modem.power_off(), modem.POWER_OFF_MS)
    assert module.supply.level == 0


@pytest.mark.parametrize("interpreter", ["micropython", "micropython32"])
def test_a_session_and_noise_on_a_real_micropython(interpreter: str, tmp_path: Path) -> None:
    firmware, support = ROOT / "firmware", Path(__file__).parents[1] / "support"
    drivers = (
        "__init__",
        "bg95/__init__",
        "bg95/at",
        "bg95/at_text",
        "bg95/text",
        "bg95/stream",
        "bg95/modem",
        "bg95/connect",
        "bg95/cell",
        "bg95/power",
        "bg95/power_on",
        "bg95/settings",
        "bg95/setup",
        "bg95/time",
    )
    files = {f"drivers/{name}.py": firmware / "drivers" / f"{name}.py" for name in drivers}
    files["memory.py"] = firmware / "memory.py"
    process.install(tmp_path, {**files, "modem_story.py": support / "modem_story.py"})
    heap = {"micropython": "96k", "micropython32": "48k"}[interpreter]
    done = subprocess.run(
        [
            *getattr(tools, interpreter)(),
            "-X",
            f"heapsize={heap}",
            "-c",
            "import modem_story; modem_story.main()",
        ],
        env={"MICROPYPATH": f"{tmp_path}:.frozen"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    session, grown = ast.literal_eval(done.stdout)
    assert session == (None, ("eMTC", -52, -81, 195, -10), True, 0)
    assert grown <= 0
