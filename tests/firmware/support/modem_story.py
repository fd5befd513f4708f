"""A whole session of the BG95 driver on MicroPython, and noise into its AT engine."""
# mypy: ignore-errors

import asyncio
import gc
import io

from drivers.bg95.at import AT
from drivers.bg95.modem import BG95

_POLL = 3  # MP_STREAM_POLL
_READABLE = 1
_WRITABLE = 4

ANSWERS = {
    b"AT+CMEE?": b"\r\n+CMEE: 0\r\n\r\nOK\r\n",
    b'AT+QURCCFG="urcport"': b'\r\n+QURCCFG: "urcport","uart1"\r\n\r\nOK\r\n',
    b"AT+CPSMS?": b"\r\n+CPSMS: 0\r\n\r\nOK\r\n",
    b"AT+COPS?": b"\r\n+COPS: 0\r\n\r\nOK\r\n",
    b"AT+CEDRXRDP": b"\r\n+CEDRXRDP: 0\r\n\r\nOK\r\n",
    b"AT+CFUN?": b"\r\n+CFUN: 1\r\n\r\nOK\r\n",
    b"AT+CPIN?": b"\r\n+CPIN: READY\r\n\r\nOK\r\n",
    b"AT+QICSGP=1": b'\r\n+QICSGP: 1,"","","",0\r\n\r\nOK\r\n',
    b'AT+QCFG="nwscanseq"': b'\r\n+QCFG: "nwscanseq",020301\r\n\r\nOK\r\n',
    b'AT+QCFG="nwscanmode"': b'\r\n+QCFG: "nwscanmode",0\r\n\r\nOK\r\n',
    b'AT+QCFG="iotopmode"': b'\r\n+QCFG: "iotopmode",2\r\n\r\nOK\r\n',
    b"AT+CEREG?": b"\r\n+CEREG: 0,5\r\n\r\nOK\r\n",
    b"AT+QLTS=1": b'\r\n+QLTS: "2020/06/02,01:48:36+32,0"\r\n\r\nOK\r\n',
    b"AT+QCSQ": b'\r\n+QCSQ: "eMTC",-52,-81,195,-10\r\n\r\nOK\r\n',
    b'AT+QIOPEN=1,0,"TCP","broker",1883,0,0': b"\r\nOK\r\n\r\n+QIOPEN: 0,0\r\n",
}
SENT = bytes(range(256)) * 5 + b"\r\nOK\r\n> "


class Pin:
    def __init__(self, level):
        self.level = level

    def value(self, level=None):
        if level is None:
            return self.level
        self.level = level
        return None


class Uart(io.IOBase):
    """A module that echoes what is sent to it over its socket."""

    def __init__(self, status):
        self.status = status
        self.out = b""
        self.wanted = 0
        self.data = b""
        self.line = b""

    def ioctl(self, request, flags):
        if request == _POLL:
            return flags & (_WRITABLE | (_READABLE if self.out else 0))
        return 0

    def readinto(self, buffer):
        count = min(len(buffer), len(self.out))
        if not count:
            return None
        buffer[:count] = self.out[:count]
        self.out = self.out[count:]
        return count

    def write(self, data):
        for byte in bytes(data):
            if self.wanted:
                self.data += bytes((byte,))
                self.wanted -= 1
                if not self.wanted:
                    self.out += b'\r\nSEND OK\r\n\r\n+QIURC: "recv",0\r\n'
            elif byte == 13:
                self.obey(self.line)
                self.line = b""
            else:
                self.line += bytes((byte,))
        return len(data)

    def obey(self, command):
        if command.startswith(b"AT+QISEND=0,"):
            self.wanted = int(command[12:])
            self.out += b"\r\n> "
        elif command.startswith(b"AT+QIRD=0,"):
            some = self.data[: int(command[10:])]
            self.data = self.data[len(some) :]
            head = b"\r\n+QIRD: %d\r\n" % len(some)
            self.out += head + some + b"\r\n" * (len(some) > 0) + b"\r\nOK\r\n"
        elif command == b"AT+QPOWD":
            self.out += b"\r\nOK\r\n\r\nPOWERED DOWN\r\n"
            self.status.level = 0
        else:
            self.out += ANSWERS.get(command, b"\r\nOK\r\n")


async def session():
    """Return what the driver reports of a whole session."""
    status, supply = Pin(1), Pin(1)
    modem = BG95(Uart(status), Pin(0), Pin(0), status, supply)
    await modem.power_on(5000)
    await modem.register("apn", 5000)
    time = await modem.network_time()  # the clock stands still
    signal = await modem.signal()
    stream = await modem.connect("broker", 1883, 5000)
    await stream.write((SENT[:100], memoryview(SENT)[100:]), 5000)
    received = b""
    buffer = bytearray(500)
    while len(received) < len(SENT):
        received += buffer[: await stream.readinto(buffer, 5000)]
    await stream.close()
    await modem.power_off()
    return time, signal, received == SENT, supply.level


def noise(strings):
    """Feed the AT engine pseudo-random strings; return how much the heap grew."""
    lines = []
    engine = AT(None, lambda line: lines.append(1))
    words = (b"\r\n", b"OK", b"+QIRD: 9", b"> ", b"\r\nERROR\r\n", b"SEND OK", b"\xff", b"x" * 90)
    into = memoryview(bytearray(64))
    state = 1
    before = 0
    for number in range(strings):
        data = b""
        for _ in range(6):
            state = state * 1103515245 + 12345 & 0x3FFFFFFF
            choice = state >> 16 & 0xFF
            data += words[choice & 7] if choice & 8 else bytes((choice,))
        engine._expect(b"AT", b"+QIRD:" if number & 4 else b"", number & 3, into)
        engine.feed(data)
        lines.clear()
        if number == 100:
            gc.collect()
            before = gc.mem_alloc()
    gc.collect()
    return gc.mem_alloc() - before


def main():
    """Print the outcome of both."""
    print(repr((asyncio.run(session()), noise(10_000))))
