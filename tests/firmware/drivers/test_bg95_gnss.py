"""Positions as the satellite receiver's driver reads them."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bg95 import gnss

DATA = Path(__file__).parents[2] / "simulator" / "data" / "quectel_transcripts.toml"


def test_the_manuals_position() -> None:
    (lines,) = [
        each["lines"]
        for each in tomllib.loads(DATA.read_text())["transcript"]
        if each["name"] == "satellites"
    ]
    (answer,) = [line for line in lines.splitlines() if line.startswith("< +QGPSLOC:")]
    # 31°50.7223' N, 117°11.9293' E, HDOP 0.7
    may_2013 = 1_368_253_191
    assert gnss.position(answer[11:].encode(), may_2013) == (31_845_372, 117_198_822, 5)


@given(
    st.integers(-90 * 600_000, 90 * 600_000),
    st.integers(-180 * 600_000, 180 * 600_000),
    st.integers(5, 999),
    st.sampled_from([("2", 3), ("2", 4), ("3", 4), ("3", 12)]),
)
def test_any_position(latitude: int, longitude: int, hdop: int, solved: tuple[str, int]) -> None:
    """Coordinates in 1/10,000 minute, HDOP in tenths."""

    def text(value: int, digits: int, sides: str) -> str:
        degrees, minutes = divmod(abs(value), 600_000)
        whole, part = divmod(minutes, 10_000)
        return f"{degrees:0{digits}d}{whole:02d}.{part:04d}{sides[value < 0]}"

    place = f"{text(latitude, 2, 'NS')},{text(longitude, 3, 'EW')}"
    fix, satellites = solved
    answer = (
        f"061951.0,{place},{hdop // 10}.{hdop % 10},62.2,{fix},0.0,0.0,0.0,110526,{satellites:02}"
    )
    found = gnss.position(answer.encode())
    if (latitude, longitude) == (0, 0):
        assert found is None
        return
    assert found is not None
    assert abs(found[0] * 6 - latitude * 10) <= 3
    assert abs(found[1] * 6 - longitude * 10) <= 3
    assert 0 <= (found[2] - 500 * (satellites == 3)) * 10 - 6 * hdop < 10


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"061951.0",
        b"061951.0,,,0.7,62.2,2",
        b"061951.0,3150.7223X,11711.9293E,0.7,62.2,2",
        b"061951.0,3160.0000N,11711.9293E,0.7,62.2,2",
        b"061951.0,9000.0001N,11711.9293E,0.7,62.2,2",
        b"061951.0,3150.7223N,18000.0001E,0.7,62.2,2",
        b"061951.0,150.7223N,11711.9293E,0.7,62.2,2",
        b"061951.0,3150.72x3N,11711.9293E,0.7,62.2,2",
        b"061951.0,3150.7223N,11711.9293E,,62.2,2",
        b"061951.0,3150.7223N,11711.9293E,-0.7,62.2,2",
        b"061951.0,31.84537,117.19882,0.7,62.2,2",
        # Seen in the field: OK, without a single satellite.
        b"061951.0,0000.0000N,00000.0000E,0.0,0.0,0,0.0,0.0,0.0,110526,00",
        b"061951.0,0000.0000N,00000.0000E,0.7,62.2,3,0.0,0.0,0.0,110526,09",
        # Whole but for one field: of fix, satellites, HDOP and date.
        b"061951.0,3150.7223N,11711.9293E,0.7,62.2,0,0.0,0.0,0.0,110526,09",
        b"061951.0,3150.7223N,11711.9293E,0.7,62.2,1,0.0,0.0,0.0,110526,09",
        b"061951.0,3150.7223N,11711.9293E,0.7,62.2,,0.0,0.0,0.0,110526,09",
        b"061951.0,3150.7223N,11711.9293E,0.7,62.2,2,0.0,0.0,0.0,110526,02",
        b"061951.0,3150.7223N,11711.9293E,0.7,62.2,3,0.0,0.0,0.0,110526,03",
        b"061951.0,3150.7223N,11711.9293E,0.7,62.2,3,0.0,0.0,0.0,110526,",
        b"061951.0,3150.7223N,11711.9293E,0.7,62.2,3,0.0,0.0,0.0,110526",
        b"061951.0,3150.7223N,11711.9293E,0.0,62.2,3,0.0,0.0,0.0,110526,09",
        b"061951.0,3150.7223N,11711.9293E,0.4,62.2,3,0.0,0.0,0.0,110526,09",
        b"061951.0,3150.7223N,11711.9293E,100.0,62.2,3,0.0,0.0,0.0,110526,09",
        b"061951.0,3150.7223N,11711.9293E,0.7,62.2,3,0.0,0.0,0.0,110506,09",
        b"061951.0,3150.7223N,11711.9293E,0.7,62.2,3,0.0,0.0,0.0,111326,09",
        b"061951.0,3150.7223N,11711.9293E,0.7,62.2,3,0.0,0.0,0.0,000526,09",
        b"061951.0,3150.7223N,11711.9293E,0.7,62.2,3,0.0,0.0,0.0,,09",
    ],
)
def test_what_is_no_position(answer: bytes) -> None:
    assert gnss.position(answer) is None


@pytest.mark.parametrize(
    ("off_s", "good"),
    [(0, True), (-86_400, True), (86_400, True), (-2 * 86_400, False), (2 * 86_400, False),
     (1024 * 7 * 86_400, False)],
)  # fmt: skip
def test_the_date_is_held_against_the_clock(off_s: int, good: bool) -> None:
    """11 May 2026; a receiver that counts weeks wrongly is 1,024 weeks off."""
    answer = b"061951.0,3150.7223N,11711.9293E,0.7,62.2,3,0.0,0.0,0.0,110526,09"
    clock = 1_778_480_391 - off_s
    assert (gnss.position(answer, clock) is not None) is good
