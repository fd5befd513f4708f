"""What the driver says of the files that it uploads for TLS, against modems' own answers."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers import bg95_tls
from simulator.models.bg95 import files

# Amazon's first root certificate, as everybody has it.
ROOT = Path(__file__).parents[1] / "data" / "amazon_root_ca_1.pem"


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
