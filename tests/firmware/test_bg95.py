"""The BG95 driver: pins, registration, time, signal and sockets.

The module on the other side is a double made for these tests from the manuals: pins from "BG95
Series Hardware Design", answers from their transcripts, framing from AT manual 1.4.
"""

import ast
import asyncio
import datetime as dt
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable
from errno import ECONNRESET, ETIMEDOUT
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import bg95, bg95_time
from drivers.at import CommandError, ModemError, NoAnswer
from simulator import process, tools
from tests.firmware.support import on_cpython
from tests.support.transcripts import load

ROOT = Path(__file__).resolve().parents[2]
TRANSCRIPTS = load()
OK = b"\r\nOK\r\n"


def line(text: bytes) -> bytes:
    return b"\r\n" + text + b"\r\n"


def information(text: bytes) -> bytes:
    return line(text) + OK


class Pin:
    """An output of the board, or an input; calls ``changed(level)``."""

    def __init__(self, level: int = 0, changed: Callable[[int], None] = lambda level: None):
        self.level = level
        self._changed = changed

    def value(self, level: int | None = None) -> int | None:
        if level is None:
            return self.level
        if int(level) != self.level:
            self.level = int(level)
            self._changed(self.level)
        return None


class Module:
    """A module: what its pins do, and a table of answers.

    PWRKEY and the supply switch are inverted by a transistor, as on many boards: 1 is pressed, 1
    is supplied.
    """

    def __init__(self, *, on: bool = False) -> None:
        self.near, self.far = on_cpython.uart_pair()
        self.log: list[tuple[int, str]] = []
        self.commands: list[bytes] = []
        self.answers: dict[bytes, Any] = {
            b"AT+CMEE?": information(b"+CMEE: 0"),
            b"ATE0": OK,
            b"AT+CMEE=1": OK,
            b"AT+QISDE=0": OK,
            b'AT+QURCCFG="urcport"': information(b'+QURCCFG: "urcport","uart1"'),
            b"AT+CFUN?": information(b"+CFUN: 1"),
            b"AT+CPIN?": TRANSCRIPTS["cpin"].exchanges[2].wire(),
            b"AT+QICSGP=1": TRANSCRIPTS["qicsgp"].exchanges[0].wire(),
            b'AT+QICSGP=1,1,"CMNBIOT","","",0': OK,
            b'AT+QCFG="nwscanseq"': information(b'+QCFG: "nwscanseq",020301'),
            b'AT+QCFG="nwscanmode"': information(b'+QCFG: "nwscanmode",0'),
            b'AT+QCFG="iotopmode"': information(b'+QCFG: "iotopmode",2'),
            b"AT+CEREG?": information(b"+CEREG: 0,1"),
            b"AT+CGREG?": information(b"+CGREG: 0,0"),
            b"AT+QIACT=1": OK,
            b"AT+QIDEACT=1": OK,
            b'AT+QIOPEN=1,0,"TCP","220.180.239.212",8009,0,0': TRANSCRIPTS["tcp-open"]
            .exchanges[0]
            .wire(),
            b"AT+QICLOSE=0,3": OK,
        }
        self.starts = True
        self.deaf = False
        self.stuck = False  # the power-down procedure never ends
        self.echo = True
        self.running = on
        self.pwrkey = Pin(0, self._key)
        self.reset_n = Pin()
        self.status = Pin(int(on))
        self.supply = Pin(int(on), self._switch)
        self._pressed = 0
        self._epoch = 0
        self.modem = bg95.BG95(self.near, self.pwrkey, self.reset_n, self.status, self.supply)
        self._task = asyncio.create_task(self._listen())

    def note(self, what: str) -> None:
        self.log.append((on_cpython.now_ms(), what))

    def at(self, what: str) -> list[int]:
        """When something happened, in ms."""
        return [when for when, found in self.log if found == what]

    def later(self, ms: int, action: Callable[[], None]) -> None:
        epoch = self._epoch
        asyncio.get_running_loop().call_later(
            ms / 1000, lambda: action() if epoch == self._epoch else None
        )

    def say(self, data: bytes) -> None:
        self.far.write(data)

    # ---- pins ----

    def _switch(self, level: int) -> None:
        self.note("supplied" if level else "cut")
        if not level:
            self._epoch += 1
            self.running = False
            self.status.level = 0

    def _key(self, level: int) -> None:
        if level:
            self._pressed = on_cpython.now_ms()
            self.note("pressed")
            return
        self.note("released")
        width = on_cpython.now_ms() - self._pressed
        if self.supply.level and self.status.level and 650 <= width <= 1500:
            self._power_down()
        elif self.supply.level and not self.status.level and 500 <= width <= 1000:
            assert on_cpython.now_ms() - width - self.at("supplied")[-1] >= 30
            if self.starts:
                self.later(2100 - width, self._rise)
                self.later(2500 - width, self._run)

    def _rise(self) -> None:
        self.status.level = 1
        self.note("status high")

    def _run(self) -> None:
        self.running = not self.deaf
        self.echo = True
        if self.running:
            self.say(line(b"RDY"))
            self.later(1500, lambda: self.say(line(b"APP RDY")))

    def _power_down(self) -> None:
        def fall() -> None:
            if self.running:
                self.say(line(b"POWERED DOWN"))
            self.status.level = 0
            self.running = False
            self.note("status low")

        if not self.stuck:
            self.later(1300, fall)

    # ---- commands ----

    async def _listen(self) -> None:
        received = bytearray()
        while True:
            await self.far.readable()
            chunk = bytearray(4096)
            received += chunk[: self.far.readinto(chunk) or 0]
            if not self.running or self.deaf:
                received.clear()
            while b"\r" in received:
                command, _, rest = bytes(received).partition(b"\r")
                received[:] = rest
                if self.echo:
                    self.say(command + b"\r")
                await self._obey(command)

    async def _obey(self, command: bytes) -> None:
        self.commands.append(command)
        if command == b"ATE0":
            self.echo = False
        answer = self.answers.get(command, b"\r\nERROR\r\n")
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if command == b"AT+QPOWD" and command not in self.answers:
            answer = OK
            self._power_down()
        await asyncio.sleep(0.005)
        if callable(answer):
            answer = await answer()
        if answer:
            self.say(answer)

    async def data(self, size: int) -> bytes:
        """Take the data of AT+QISEND."""
        received = bytearray()
        while len(received) < size:
            await self.far.readable()
            chunk = bytearray(size - len(received))
            received += chunk[: self.far.readinto(chunk) or 0]
        return bytes(received)


async def started() -> Module:
    module = Module()
    await module.modem.power_on(30_000)
    module.commands.clear()
    return module


async def connected() -> tuple[Module, bg95.Stream]:
    module = await started()
    stream = await module.modem.connect("220.180.239.212", 8009, 60_000)
    module.commands.clear()
    return module, stream


def story(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run a test in virtual time."""

    def wrapped() -> None:
        on_cpython.run(test())  # type: ignore[arg-type]

    wrapped.__name__ = test.__name__
    return wrapped


async def limited(call: Awaitable[Any], most_ms: int) -> Any:
    """Await ``call``, which must end, one way or other, within ``most_ms``."""
    start = on_cpython.now_ms()
    try:
        return await call
    finally:
        assert on_cpython.now_ms() - start <= most_ms


# ---- power ----


@story
async def test_power_on() -> None:
    module = Module()
    await limited(module.modem.power_on(30_000), 10_000)
    assert [what for _, what in module.log] == ["supplied", "pressed", "released", "status high"]
    assert 500 <= module.at("released")[0] - module.at("pressed")[0] <= 1000
    assert module.reset_n.level == 0
    assert module.commands[-4:] == [
        b"ATE0",
        b"AT+CMEE=1",
        b"AT+QISDE=0",
        b'AT+QURCCFG="urcport"',
    ]


@story
async def test_a_sample_due_while_pwrkey_is_pressed_is_half_a_second_late_at_most() -> None:
    module = Module()
    late_ms: list[int] = []

    async def sampler() -> None:
        while True:
            looked = on_cpython.now_ms()
            await asyncio.sleep(0.25)
            late_ms.append(on_cpython.now_ms() - looked - 250)
            time.sleep_ms(250)  # type: ignore[attr-defined]

    task = asyncio.create_task(sampler())
    await module.modem.power_on(30_000)
    task.cancel()
    assert 500 <= module.at("released")[0] - module.at("pressed")[0] <= 1000
    assert max(late_ms) < 250


@story
async def test_a_modem_that_is_on_is_kept() -> None:
    module = Module(on=True)
    await limited(module.modem.power_on(30_000), 1_000)
    assert module.log == []


@story
async def test_unsolicited_codes_are_sent_to_the_uart_and_that_is_written_once() -> None:
    module = Module()
    module.answers[b'AT+QURCCFG="urcport"'] = TRANSCRIPTS["qurccfg"].exchanges[2].wire()
    module.answers[b'AT+QURCCFG="urcport","uart1"'] = OK
    await module.modem.power_on(30_000)
    assert module.commands[-1] == b'AT+QURCCFG="urcport","uart1"'


@story
async def test_a_deaf_modem_is_turned_off_by_key_and_supply_and_started_again() -> None:
    module = Module(on=True)
    module.deaf = module.stuck = True

    def hears_after_cut(level: int) -> None:
        module._switch(level)
        module.deaf = module.stuck = False

    module.supply._changed = hears_after_cut
    await limited(module.modem.power_on(30_000), 30_000)
    assert [what for _, what in module.log] == [
        "pressed",
        "released",
        "cut",
        "supplied",
        "pressed",
        "released",
        "status high",
    ]
    assert 650 <= module.at("released")[0] - module.at("pressed")[0] <= 1500


@pytest.mark.parametrize("fault", ["starts", "deaf"])
def test_a_modem_that_never_answers_ends_power_on_at_its_limit(fault: str) -> None:
    async def test() -> None:
        module = Module()
        setattr(module, fault, fault == "deaf")
        with pytest.raises(NoAnswer):
            await limited(module.modem.power_on(30_000), 33_000)
        await limited(module.modem.power_off(), bg95.POWER_OFF_MS)
        assert module.supply.level == 0

    on_cpython.run(test())


@story
async def test_power_off() -> None:
    module = await started()
    module.log.clear()
    await limited(module.modem.power_off(), 4_000)
    assert module.commands == [b"AT+QPOWD"]
    assert [what for _, what in module.log] == ["status low", "cut"]
    # AT manual 1.8: at least one second after STATUS is low
    assert module.at("cut")[0] - module.at("status low")[0] >= 1000


@story
async def test_power_off_by_the_key_when_the_modem_does_not_answer() -> None:
    module = await started()
    module.deaf = True
    module.log.clear()
    await limited(module.modem.power_off(), 6_000)
    assert [what for _, what in module.log] == ["pressed", "released", "status low", "cut"]
    assert 650 <= module.at("released")[0] - module.at("pressed")[0] <= 1500


@pytest.mark.parametrize("deaf", [False, True])
def test_power_off_by_the_supply_when_nothing_else_helps(deaf: bool) -> None:
    async def test() -> None:
        module = await started()
        module.deaf, module.stuck = deaf, True
        module.log.clear()
        start = on_cpython.now_ms()
        await limited(module.modem.power_off(), bg95.POWER_OFF_MS)
        assert module.log[-1][1] == "cut"
        # AT manual 1.8: after 65 s the supply is to be disconnected
        assert module.at("cut")[0] - start == pytest.approx(65_000, abs=200)

    on_cpython.run(test())


@story
async def test_power_off_of_a_modem_that_is_off() -> None:
    module = Module()
    await limited(module.modem.power_off(), 100)
    assert module.log == []


# ---- registration ----


@story
async def test_register() -> None:
    module = await started()
    await limited(module.modem.register("CMNBIOT", 180_000), 1_000)
    assert module.commands == [
        b"AT+CFUN?",
        b"AT+CPIN?",
        b'AT+QCFG="nwscanseq"',
        b'AT+QCFG="nwscanmode"',
        b'AT+QCFG="iotopmode"',
        b"AT+QICSGP=1",
        b'AT+QICSGP=1,1,"CMNBIOT","","",0',
        b"AT+CEREG?",
        b"AT+QIACT=1",
    ]


@story
async def test_what_the_modem_keeps_is_not_written_again() -> None:
    module = await started()
    module.answers[b"AT+QICSGP=1"] = information(b'+QICSGP: 1,"CMNBIOT","","",0')
    await module.modem.register("CMNBIOT", 180_000)
    assert b'AT+QICSGP=1,1,"CMNBIOT","","",0' not in module.commands


@story
async def test_registration_takes_time_and_roaming_counts() -> None:
    module = await started()
    module.answers[b"AT+CFUN?"] = information(b"+CFUN: 4")
    module.answers[b"AT+CFUN=1"] = OK
    module.answers[b"AT+CPIN?"] = [line(b"+CME ERROR: 14"), information(b"+CPIN: READY")]
    module.answers[b"AT+CEREG?"] = [
        information(b"+CEREG: 0,0"),
        information(b"+CEREG: 0,2"),
        # an unsolicited code of AT+CEREG=2 in between
        line(b'+CEREG: 2,"D509","80D413D",8') + information(b"+CEREG: 2,2"),
        information(b"+CEREG: 0,3"),
        information(b"+CEREG: 0,4"),
        information(b'+CEREG: 2,5,"D509","80D413D",8'),
    ]
    await limited(module.modem.register("CMNBIOT", 180_000), 8_000)
    assert b"AT+CFUN=1" in module.commands


@pytest.mark.parametrize(
    ("answers", "error", "text", "most_ms"),
    [
        ({b"AT+CPIN?": line(b"+CME ERROR: 10")}, bg95.SimError, "not inserted", 22_000),
        ({b"AT+CPIN?": line(b"+CME ERROR: 13")}, bg95.SimError, "failure", 22_000),
        ({b"AT+CPIN?": information(b"+CPIN: SIM PIN")}, bg95.SimError, "SIM PIN", 100),
        ({b"AT+CPIN?": information(b"+CPIN: SIM PUK")}, bg95.SimError, "SIM PUK", 100),
        ({b"AT+CPIN?": None}, NoAnswer, "no answer", 6_000),
        ({b"AT+CEREG?": information(b"+CEREG: 0,3")}, bg95.RegistrationDenied, "denies", 35_000),
        ({b"AT+CEREG?": information(b"+CEREG: 0,2")}, bg95.NoCoverage, "no network", 62_000),
        ({b"AT+CEREG?": information(b"+CEREG: nonsense")}, bg95.NoCoverage, "no network", 62_000),
        ({b"AT+QIACT=1": b"\r\nERROR\r\n"}, CommandError, "QIACT", 1_000),
        ({b"AT+QIACT=1": None}, NoAnswer, "QIACT", 62_000),
        ({b'AT+QICSGP=1,1,"CMNBIOT","","",0': b"\r\nERROR\r\n"}, CommandError, "QICSGP", 1_000),
    ],
)
def test_registration_fails_with_a_reason(
    answers: dict[bytes, Any], error: type[Exception], text: str, most_ms: int
) -> None:
    async def test() -> None:
        module = await started()
        module.answers.update(answers)
        with pytest.raises(error) as caught:
            await limited(module.modem.register("CMNBIOT", 60_000), most_ms)
        assert isinstance(caught.value, ModemError)
        assert text in str(caught.value)

    on_cpython.run(test())


@story
async def test_a_context_that_is_still_active_is_made_anew() -> None:
    module = await started()
    module.answers[b"AT+QIACT=1"] = [b"\r\nERROR\r\n", OK]
    await module.modem.register("CMNBIOT", 180_000)
    assert module.commands[-3:] == [b"AT+QIACT=1", b"AT+QIDEACT=1", b"AT+QIACT=1"]


@pytest.mark.parametrize("name", ["", 'a"', "a\r", "a,b", "ä", "x" * 300])
def test_what_would_break_a_command_is_refused(name: str) -> None:
    async def test() -> None:
        module = await started()
        for call in (module.modem.register(name, 1000), module.modem.connect(name, 1, 1000)):
            with pytest.raises(ValueError, match="is an? |APN|host"):
                await call
        assert not any(name.encode() in command for command in module.commands if name)

    on_cpython.run(test())


# ---- time and signal ----

FIRST = dt.datetime(2020, 1, 1)  # noqa: DTZ001
LAST = dt.datetime(2079, 12, 31)  # noqa: DTZ001
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def test_every_day_until_2106_as_the_calendar_has_it() -> None:
    day = dt.date(2020, 1, 1)
    while day.year < 2106:
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


# ---- sockets ----


@story
async def test_connect() -> None:
    module = await started()
    await limited(module.modem.connect("220.180.239.212", 8009, 60_000), 100)
    assert module.commands == [b'AT+QIOPEN=1,0,"TCP","220.180.239.212",8009,0,0']


OPEN = b'AT+QIOPEN=1,0,"TCP","220.180.239.212",8009,0,0'


@pytest.mark.parametrize(
    ("answers", "error", "text", "most_ms"),
    [
        ([OK + line(b"+QIOPEN: 0,566")], bg95.ConnectError, "566 (Socket connect failed)", 200),
        ([OK + line(b"+QIOPEN: 0,565")], bg95.ConnectError, "565 (DNS parse failed)", 200),
        ([OK + line(b"+QIOPEN: 0,563")], bg95.ConnectError, "563", 200),
        ([OK], bg95.ConnectError, "569 (Operation timeout)", 61_000),
        ([OK + line(b"+QIOPEN: 1,0")], bg95.ConnectError, "569 (Operation timeout)", 61_000),
        ([OK + line(b"+QIOPEN: 0,")], bg95.ConnectError, "569 (Operation timeout)", 61_000),
        ([b"\r\nERROR\r\n"], CommandError, "ERROR", 200),
        ([None], NoAnswer, "QIOPEN", 1_200),
        ([OK + line(b"APP RDY")], bg95.ConnectError, "569 (Operation timeout)", 200),
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
    await limited(module.modem.power_off(), bg95.POWER_OFF_MS)
    assert module.supply.level == 0


@pytest.mark.parametrize("interpreter", ["micropython", "micropython32"])
def test_a_session_and_noise_on_a_real_micropython(interpreter: str, tmp_path: Path) -> None:
    firmware, support = ROOT / "firmware", Path(__file__).parent / "support"
    drivers = (
        "__init__",
        "at",
        "at_text",
        "bg95",
        "bg95_connect",
        "bg95_cell",
        "bg95_power",
        "bg95_setup",
        "bg95_time",
    )
    files = {f"drivers/{name}.py": firmware / "drivers" / f"{name}.py" for name in drivers}
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
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    session, grown = ast.literal_eval(done.stdout)
    assert session == (None, ("eMTC", -52, -81, 195, -10), True, 0)
    assert grown <= 0
