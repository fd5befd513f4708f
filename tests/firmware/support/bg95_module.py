"""A BG95 for the driver's tests, made from the manuals: pins and a table of answers.

Pins from "BG95 Series Hardware Design", answers from the manuals' transcripts, framing from AT
manual 1.4.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from drivers.bg95 import modem, stream
from tests.firmware.support import on_cpython
from tests.support.references.transcripts import load

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
            b"AT+CPSMS?": information(b'+CPSMS: 0,,,"01011111","00000001"'),
            b"AT+COPS?": information(b'+COPS: 0,0,"CHN-UNICOM",8'),
            b"AT+CEDRXRDP": information(b"+CEDRXRDP: 0"),
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
        self.modem = modem.BG95(self.near, self.pwrkey, self.reset_n, self.status, self.supply)
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


async def connected() -> tuple[Module, stream.Stream]:
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
