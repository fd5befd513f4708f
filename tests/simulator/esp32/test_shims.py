"""The modules that stand in for the chip's, seen from the firmware."""

import subprocess

import pytest

from coldtrail_simulator.services import tools
from coldtrail_simulator.wires import Nak
from tests.support.trackers.rig import MS, S

ASYNC = """
import asyncio

log = []

async def ticker(name, ms, n):
    for i in range(n):
        await asyncio.sleep_ms(4 * ms)
        log.append((name, i))
    return name

async def forever():
    try:
        while True:
            await asyncio.sleep_ms(40)
    except asyncio.CancelledError:
        log.append("cancelled")
        raise

async def fails():
    await asyncio.sleep_ms(20)
    raise ValueError("as told")

async def waits(event):
    await event.wait()
    log.append("set")

async def main():
    a = asyncio.create_task(ticker("a", 125, 2))
    b = asyncio.create_task(ticker("b", 50, 4))
    log.append(await a)
    log.append(await b)
    log.append((a.done(), b.done()))
    t = asyncio.create_task(forever())
    await asyncio.sleep_ms(100)
    log.append((t.cancel(), t.done()))
    try:
        await t
    except asyncio.CancelledError:
        log.append("seen")
    log.append((t.cancel(), t.done()))
    try:
        await asyncio.wait_for_ms(forever(), 140)
    except asyncio.TimeoutError:
        log.append("timeout")
    log.append(await asyncio.wait_for(ticker("c", 5, 1), 1))
    log.append(await asyncio.gather(ticker("d", 20, 1), ticker("e", 10, 1)))
    log.append(str(await asyncio.gather(fails(), ticker("f", 9, 1), return_exceptions=True)))
    t = asyncio.create_task(fails())
    try:
        await t
    except ValueError as error:
        log.append(str(error))
    event = asyncio.Event()
    tasks = [asyncio.create_task(waits(event)) for _ in range(3)]
    await asyncio.sleep_ms(20)
    event.set()
    for t in tasks:
        await t
    lock = asyncio.Lock()
    async with lock:
        log.append(lock.locked())
    t = asyncio.create_task(ticker("g", 50, 1))
    await asyncio.sleep_ms(20)
    t2 = asyncio.create_task(outer(t))
    await asyncio.sleep_ms(20)
    t2.cancel()
    await asyncio.sleep_ms(20)
    log.append((t.done(), t2.done()))
    try:
        asyncio.current_task().cancel()
    except RuntimeError as error:
        log.append(str(error))

async def outer(t):
    return await t

asyncio.run(main())
for entry in log:
    print(entry)
"""


def test_asyncio_behaves_as_the_interpreter_s_own(run, argv, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(ASYNC)
    stock = subprocess.run([*argv, str(own)], capture_output=True, text=True, check=False)
    assert stock.returncode == 0, stock.stderr
    assert len(stock.stdout.splitlines()) > 25
    assert run(ASYNC + SLEEP, 10).console.text == stock.stdout


SLEEP = """
import machine
machine.deepsleep(10**8)
"""


def lines(sim):
    return sim.console.text.split()


def test_hours_of_tasks_take_no_time_and_every_sleep_is_as_long_as_asked(run):
    sim = run(
        """
import asyncio, time

async def every(ms, n):
    start = time.ticks_ms()
    for _ in range(n):
        await asyncio.sleep_ms(ms)
    print(time.ticks_diff(time.ticks_ms(), start))

async def main():
    await asyncio.gather(every(3_600_000, 3), every(1_000, 10_000))

asyncio.run(main())
"""
        + SLEEP,
        12_000,
    )
    short, long = (int(word) for word in lines(sim))
    assert 10_000_000 <= short < 10_020_000
    assert 10_800_000 <= long < 10_800_020


class Loop:
    """A device that answers each line with itself, doubled, after a while."""

    def __init__(self, sim):
        self.sim, self.uart = sim, sim.chip.uarts[2]
        self.uart.device = self
        self.got = b""

    def receive(self, data):
        self.got += data
        self.sim.clock.call_after(250 * MS, lambda: self.uart.send(data * 2))


def test_asyncio_streams_run_on_the_uart(prepared):
    sim = prepared(
        """
import asyncio, machine, time

uart = machine.UART(2, 115200, tx=machine.Pin(17), rx=machine.Pin(16), rxbuf=512)
stream = asyncio.StreamReader(uart)

async def main():
    for n in (1, 100):
        stream.write(b"x" * n + b"\\n")
        await stream.drain()
        start = time.ticks_ms()
        print(len(await stream.readline()), len(await stream.readexactly(n + 1)))
        print(time.ticks_diff(time.ticks_ms(), start) // 10)
    try:
        await asyncio.wait_for_ms(stream.read(1), 500)
    except asyncio.TimeoutError:
        print("silence", uart.any(), uart.read(), uart.readline(), uart.read(5))
    uart.write("text")
    uart.flush()
    print(uart.txdone())

asyncio.run(main())
"""
        + SLEEP
    )
    device = Loop(sim)
    sim.power_on()
    sim.run(10 * S)
    assert lines(sim) == ("2 2 25 101 101 27 silence 0 None None None True".split())
    assert device.got == b"x\n" + b"x" * 100 + b"\ntext"


def test_poll_waits_for_lines_and_for_objects_with_an_ioctl(prepared):
    sim = prepared(
        """
import io, machine, select, sys, time

uart = machine.UART(2, 9600)

class Ready(io.IOBase):
    ready = 0
    def ioctl(self, request, argument):
        return self.ready & argument if request == 3 else -1

ready = Ready()
poller = select.poll()
poller.register(uart, select.POLLIN)
start = time.ticks_ms()
print(poller.poll(100), time.ticks_diff(time.ticks_ms(), start))
print([event for _, event in poller.poll()], time.ticks_diff(time.ticks_ms(), start))
print(uart.readline(), poller.poll(0))
poller.modify(uart, select.POLLIN | select.POLLOUT)
print([event for _, event in poller.ipoll(-1)])
poller.unregister(uart)
poller.register(ready, select.POLLIN)
print(poller.poll(10))
ready.ready = 1
print(poller.poll(10)[0][0] is ready)
poller.register(sys.stdin, select.POLLIN)
ready.ready = 0
print([event for _, event in poller.poll(20_000)], sys.stdin.read(3))
"""
        + SLEEP
    )
    sim.clock.call_at(2 * S, lambda: sim.chip.uarts[2].send(b"hi\n"))
    sim.clock.call_at(3 * S, lambda: sim.console.type(b"key"))
    sim.power_on()
    sim.run(30 * S)
    first, second, *rest = sim.console.text.splitlines()
    assert first == "[] 100"
    event, ms = second.split()
    # Boot takes 420 ms; three bytes at 9600 baud a little over 3.
    assert event == "[1]"
    assert 1_570 <= int(ms) <= 1_585
    assert rest == ["b'hi\\n' []", "[4]", "[]", "True", "[1] key"]


def test_interrupts_run_at_the_next_access_and_wake_a_wait(prepared):
    sim = prepared(
        """
import machine, time

def handler(pin):
    print("edge", pin(), time.ticks_ms())

pin = machine.Pin(33, machine.Pin.IN)
pin.irq(handler, machine.Pin.IRQ_RISING)
start = time.ticks_ms()
time.sleep_ms(3000)
print("slept", time.ticks_diff(time.ticks_ms(), start))
pin.irq(None)
time.sleep_ms(3000)
"""
        + SLEEP
    )
    button = sim.chip.nets[33].attach("test")
    for ms, level in ((1000, 1), (1500, 0), (2000, 1), (2200, 0), (4000, 1), (4100, 0)):
        sim.clock.call_at(ms * MS, lambda level=level: button.drive(level))
    sim.power_on()
    sim.run(10 * S)
    words = lines(sim)
    assert words[0::3][:2] == ["edge", "edge"]
    assert words[1:6:3] == ["1", "1"]
    assert [int(word) for word in words[2:6:3]] == [1000, 2000]
    assert words[6] == "slept"
    assert 3000 <= int(words[7]) <= 3002
    assert len(words) == 8


def test_a_failing_handler_is_reported_and_the_program_goes_on(prepared):
    sim = prepared(
        """
import machine, time
machine.Pin(33).irq(lambda pin: 1 / 0)
time.sleep_ms(2000)
print("on")
"""
        + SLEEP
    )
    button = sim.chip.nets[33].attach("test")
    sim.clock.call_at(S, lambda: button.drive(1))
    sim.power_on()
    sim.run(10 * S)
    assert "ZeroDivisionError" in sim.console.text
    assert sim.console.text.endswith("on\n")


def test_pins_drive_pull_float_and_refuse(prepared):
    sim = prepared(
        """
from machine import Pin
led = Pin(2, Pin.OUT, value=1)
print(led(), led.value())
led.off(); print(led())
led.toggle(); print(led())
led(0); print(led())
up = Pin(0, Pin.IN, Pin.PULL_UP); print(up())
up.init(pull=Pin.PULL_DOWN); print(up())
up.init(pull=None); print(len({up() for _ in range(64)}))
drain = Pin(14, Pin.OPEN_DRAIN, Pin.PULL_UP, value=1); print(drain())
drain(0); print(drain())
try:
    Pin(34, Pin.OUT)
except ValueError as error:
    print(error)
"""
        + SLEEP
    )
    sim.power_on()
    sim.run(S)
    assert sim.console.text.splitlines() == [
        "1 1",
        *"0 1 0 1 0 2 1 0".split(),
        "pin can only be input",
    ]


class Memory:
    """An I2C memory with one address byte."""

    address = 0x50

    def __init__(self):
        self.cells, self.at = bytearray(range(256)), 0
        self.silent = False

    def write(self, data):
        if self.silent:
            raise Nak
        if data:
            self.at = data[0]
            self.cells[self.at : self.at + len(data) - 1] = data[1:]

    def read(self, n):
        return bytes(self.cells[self.at : self.at + n])


def test_i2c_has_the_port_s_methods_and_errors(prepared):
    sim = prepared(
        """
from machine import I2C, Pin
i2c = I2C(0, scl=Pin(22), sda=Pin(21), freq=100000)
print(i2c.scan())
print(i2c.writeto_mem(0x50, 16, b"abc"), i2c.readfrom_mem(0x50, 15, 5))
buffer = bytearray(2)
i2c.readfrom_mem_into(0x50, 17, buffer)
print(buffer, i2c.writeto(0x50, b"\\x20"), i2c.readfrom(0x50, 2))
i2c.readfrom_into(0x50, buffer)
print(buffer)
for address in (0x50, 0x51):
    try:
        i2c.writeto(address, b"x")
    except OSError as error:
        print(error.errno)
nowhere = I2C(1, scl=Pin(13), sda=Pin(14))
print(nowhere.scan())
"""
        + SLEEP
    )
    memory = Memory()
    sim.chip.i2c[22, 21].attach(memory)
    sim.power_on()
    sim.run(S)
    assert sim.console.text.splitlines() == [
        "[25, 68, 69, 80]",
        "None bytearray(b'\\x0fabc\\x13')",
        "bytearray(b'bc') 1 b' !'",
        "bytearray(b' !')",
        "19",
        "[]",
    ]


def test_spi_has_the_port_s_methods(prepared):
    sim = prepared(
        """
from machine import SPI, Pin
cs = Pin(5, Pin.OUT, value=1)
spi = SPI(2, baudrate=1000000, polarity=0, phase=0, sck=Pin(18), mosi=Pin(23), miso=Pin(19))
print(spi.read(2))
cs(0)
spi.write(b"ab")
buffer = bytearray(3)
spi.readinto(buffer, 7)
print(buffer, spi.read(2), spi.read(1, 9))
spi.write_readinto(b"xyz", buffer)
print(buffer)
spi.write_readinto(buffer, buffer)
print(buffer)
cs(1)
"""
        + SLEEP
    )
    device = Plus1()
    sim.chip.spi[18, 23, 19].attach(device, sim.chip.nets[5].attach("test"))
    sim.power_on()
    sim.run(S)
    assert sim.console.text.splitlines() == [
        "b'\\xff\\xff'",
        "bytearray(b'\\x08\\x08\\x08') b'\\x01\\x01' b'\\n'",
        "bytearray(b'yz{')",
        "bytearray(b'z{|')",
    ]
    assert device.seen == b"ab\x07\x07\x07\0\0\x09xyzyz{"


class Plus1:
    modes = (0,)
    max_hz = 10_000_000

    def __init__(self):
        self.seen = b""

    def select(self):
        pass

    def transfer(self, out):
        self.seen += out
        return bytes(byte + 1 for byte in out)

    def deselect(self):
        pass


def test_time_is_the_counter_since_power_on_and_ticks_since_reset(run):
    sim = run(
        """
import machine, time
print(time.time(), time.time_ns() // 1000000, time.ticks_ms(), time.ticks_us() // 1000)
print(time.gmtime(0)[:6], time.mktime((2000, 1, 2, 0, 0, 0, 0, 0)))
print(time.ticks_diff(5, 2**30 - 5), time.ticks_add(2**30 - 1, 2), time.ticks_diff(2, 5))
time.sleep(0.5); time.sleep_us(500)
print(time.ticks_ms())
machine.deepsleep(100_000)
""",
        102,
    )
    first, second = (sim.console.text.splitlines()[i : i + 4] for i in (0, 4))
    assert first[:3] == ["0 420 420 420", "(2000, 1, 1, 0, 0, 0) 86400", "10 1 -3"]
    # What was printed waits in the line's FIFO and takes no time.
    assert 920 <= int(first[3]) <= 921
    assert [word[:3] for word in second[0].split()] == ["101", "101", "420", "420"]


def test_random_numbers_belong_to_the_seed(run):
    main = """
import machine, os, random
print(os.urandom(8), machine.unique_id(), random.getrandbits(30), os.listdir("/lib"))
"""
    one, same, other = (run(main + SLEEP, 1, seed=seed).console.text for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert "drivers" in one


def test_the_volume_is_all_the_firmware_sees(run, tmp_path):
    sim = run(
        """
import os
print(sorted(os.listdir("/")), os.getcwd())
with open("note.txt", "w") as file:
    file.write("kept")
"""
        + SLEEP,
        1,
    )
    assert sim.console.text == "['.rom', 'lib', 'main.mpy'] /\n"
    assert (tmp_path / "volume0" / "note.txt").read_text() == "kept"


@pytest.mark.parametrize("tool", ["micropython", "micropython32"])
def test_both_interpreters_are_what_they_are_taken_for(tool):
    found = tools.probe(getattr(tools, tool)())
    assert found.version >= (1, 24)
    assert found.maxsize == (2**31 - 1 if tool == "micropython32" else 2**63 - 1)
