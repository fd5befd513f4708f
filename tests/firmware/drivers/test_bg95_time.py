"""The BG95 driver: the network's time, and the signal."""

import asyncio
import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bg95 import time as bg95_time
from tests.firmware.support import on_cpython
from tests.firmware.support.bg95_module import TRANSCRIPTS, information, limited, line, started

FIRST = dt.datetime(2020, 1, 1)  # noqa: DTZ001
LAST = dt.datetime(2069, 12, 31)  # noqa: DTZ001
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def test_every_day_until_2070_as_the_calendar_has_it() -> None:
    day = dt.date(2020, 1, 1)
    while day.year < 2070:
        seconds = (day - EPOCH.date()).days * 86400
        answer = b'"%s,00:00:00+00,0"' % day.strftime("%Y/%m/%d").encode()
        assert bg95_time.unix(answer) == seconds
        assert bg95_time.days(day.year, day.month) == (day.replace(day=1) - EPOCH.date()).days
        day += dt.timedelta(days=1)


@given(st.datetimes(FIRST, LAST))
def test_two_and_four_digits_of_a_year(moment: dt.datetime) -> None:
    seconds = (moment.replace(tzinfo=dt.UTC) - EPOCH) // dt.timedelta(seconds=1)
    for form in ('"%Y/%m/%d,%H:%M:%S+32,0"', '"%y/%m/%d,%H:%M:%S-48,1"', '"%y/%m/%d,%H:%M:%S"'):
        assert bg95_time.unix(moment.strftime(form).encode()) == seconds


@pytest.mark.parametrize(
    "answer",
    [
        b'""',  # the manual's answer before any synchronisation
        b"",
        b'"80/01/06,00:03:12+00,0"',  # a module's clock that was never set
        b'"1980/01/06,00:03:12+00,0"',
        b'"2080/01/06,00:03:12+00,0"',  # ... whose century somebody has made up
        b'"04/01/01,00:03:12+00,0"',
        b'"2004/01/01,00:03:12+00,0"',
        b'"70/01/01,00:03:12+00,0"',
        b'"2070/01/01,00:03:12+00,0"',
        b'"2020/02/30,01:00:00+00,0"',
        b'"2021/02/29,01:00:00+00,0"',
        b'"2020/13/01,01:00:00+00,0"',
        b'"2020/00/01,01:00:00+00,0"',
        b'"2020/06/00,01:00:00+00,0"',
        b'"2020/06/02,24:00:00+00,0"',
        b'"2020/06/02,01:60:00+00,0"',
        b'"2020/06/02,01:00:61+00,0"',
        b'"2020/06/02,01:00+00,0"',
        b'"2020/06/02"',
        b'"2020-06-02,01:00:00+00,0"',
        b'"9999/06/02,01:00:00+00,0"',
    ],
)
def test_what_is_no_time(answer: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        bg95_time.unix(answer)


def test_the_manuals_times() -> None:
    exchange = TRANSCRIPTS["qlts"].exchanges[3]
    assert exchange.command == b"AT+QLTS=1"
    assert bg95_time.unix(exchange.lines[0][1][7:]) == 1591062516
    with pytest.raises(ValueError, match="never set"):  # 2017 is before the contract's first year
        bg95_time.unix(TRANSCRIPTS["qlts-bg96"].exchanges[0].lines[0][1][7:])


@given(st.integers(0, 999), st.integers(0, 400))
def test_the_moment_a_second_begins_is_within_the_stated_uncertainty(
    phase_ms: int, delay_ms: int
) -> None:
    begin = 1591062516

    async def test() -> None:
        module = await started()
        origin = on_cpython.now_ms() - phase_ms

        async def answer() -> bytes:
            await asyncio.sleep(delay_ms / 2000)
            now = begin + (on_cpython.now_ms() - origin) // 1000
            await asyncio.sleep(delay_ms / 2000)
            text = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y/%m/%d,%H:%M:%S")
            return information(b'+QLTS: "%s+32,0"' % text.encode())

        module.answers[b"AT+QLTS=1"] = answer
        found = await limited(module.modem.network_time(), 2_500)
        assert found is not None
        unix, uncertainty, ticks = found
        truth = origin + (unix - begin) * 1000
        assert abs(truth % (1 << 30) - ticks) <= uncertainty + 1
        assert uncertainty <= delay_ms + 60

    on_cpython.run(test())


@pytest.mark.parametrize(
    "answer",
    [
        information(b'+QLTS: ""'),
        b"\r\nERROR\r\n",
        line(b"+CME ERROR: 4"),
        information(b'+QLTS: "80/01/06,00:03:12+00,0"'),
        TRANSCRIPTS["qlts"].exchanges[3].wire(),  # a clock that stands still
    ],
)
def test_no_network_time(answer: bytes) -> None:
    async def test() -> None:
        module = await started()
        module.answers[b"AT+QLTS=1"] = answer
        assert await limited(module.modem.network_time(), 2_300) is None

    on_cpython.run(test())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (TRANSCRIPTS["qcsq"].exchanges[0].wire(), ("eMTC", -52, -81, 195, -10)),
        (TRANSCRIPTS["qcsq-bg96"].exchanges[0].wire(), ("CAT-M1", -52, -81, 195, -10)),
        (information(b'+QCSQ: "NOSERVICE"'), None),
        (information(b'+QCSQ: "GSM",-69'), ("GSM", -69, None, None, None)),
        (information(b"+QCSQ: "), None),
        (information(b'+QCSQ: "eMTC",x,y'), None),
    ],
)
def test_signal(answer: bytes, expected: Any) -> None:
    async def test() -> None:
        module = await started()
        module.answers[b"AT+QCSQ"] = answer
        assert await module.modem.signal() == expected

    on_cpython.run(test())
