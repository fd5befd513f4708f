"""What the driver says of the files that it uploads for TLS, against modems' own answers."""

import asyncio
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coldtrail_simulator.models.bg95 import files
from drivers.bg95 import tls as bg95_tls
from drivers.bg95.at import AT
from tests.firmware.support import on_cpython

# Amazon's first root certificate, as everybody has it.
ROOT = Path(__file__).parents[2] / "data" / "amazon_root_ca_1.pem"


@pytest.mark.parametrize(
    ("line_end", "last", "answer"),
    [
        # Real modules' answers to its upload, as their users have published them.
        (b"\n", True, "1188,2d13"),
        (b"\n", False, "1187,2d19"),
        (b"\r\n", True, "1208,5769"),  # a BG95
    ],
)
def test_size_and_checksum_are_those_of_real_modules(
    tmp_path: Path, line_end: bytes, last: bool, answer: str
) -> None:
    lines = ROOT.read_bytes().split(b"\n")[:-1]
    content = line_end.join(lines) + line_end * last
    file = tmp_path / "root.pem"
    file.write_bytes(content)
    name, size, checksum = bg95_tls._measure(str(file))
    assert f"{size},{checksum:x}" == answer
    assert f"{len(content)},{files.checksum(content):x}" == answer
    assert len(name) <= len("12345678.pem")


@pytest.mark.parametrize("unix", [1577836800, 1583020799, 1735689599, 1772323199, 4102444799])
def test_the_clock_is_set_as_the_calendar_has_it(unix: int) -> None:
    expected = datetime.fromtimestamp(unix, UTC).strftime("%y/%m/%d,%H:%M:%S")
    assert bg95_tls._moment(unix) == expected.encode()


LOG = Path(__file__).parents[2] / "simulator" / "data" / "quectel_transcripts.toml"


def test_the_upload_in_a_modules_log() -> None:
    (lines,) = [
        each["lines"].strip().splitlines()
        for each in tomllib.loads(LOG.read_text())["transcript"]
        if each["name"] == "certificates"
    ]
    at = lines.index("> <file>")
    command = lines[at - 2][2:].encode()
    answers = b"".join(b"\r\n" + line[2:].encode() + b"\r\n" for line in lines[at + 1 : at + 3])
    content = ROOT.read_bytes()
    taken = bytearray()

    async def module(far: on_cpython.Uart) -> None:
        buffer = bytearray(4096)
        for size, answer in ((len(command) + 1, lines[at - 1][2:]), (len(content), "")):
            got = 0
            while got < size:
                await far.readable()
                count = far.readinto(memoryview(buffer)[got:size]) or 0
                got += count
            taken.extend(buffer[:size])
            far.write(b"\r\n" + answer.encode() + b"\r\n" if answer else answers)

    async def story() -> bytes:
        near, far = on_cpython.uart_pair()
        engine = AT(near, lambda _line: None)
        engine.start()
        task = asyncio.create_task(module(far))
        answer: bytes = await engine.send(command, bg95_tls._pieces(str(ROOT)), 9000, b"+QFUPL:")
        await task
        await engine.stop()
        return answer

    answer = on_cpython.run(story())
    assert taken == command + b"\r" + content
    _, size, checksum = bg95_tls._measure(str(ROOT))
    assert answer == b"%d,%x" % (size, checksum)
