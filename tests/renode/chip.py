"""Keywords for the chip alone: MicroPython's own prompt, registers by their names, no firmware."""

from __future__ import annotations

import random
import time

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.clock import US_PER_MS, US_PER_S
from coldtrail_simulator.renode.emulation import Emulation
from coldtrail_simulator.services.process import free_port
from tests.renode.emulated import Terminal
from tests.support.host import PATIENCE_S
from tests.support.trackers.rig import Still

PROMPT = ">>> "
STEP_US = 5 * US_PER_MS
SCRATCH = 0xFF000
"""The last page of the volume, which an almost empty file system does not use."""

# Product specification v1.7, "Registers" of each peripheral.
REGISTERS = {
    "POWER.SYSTEMOFF": 0x40000500,
    "POWER.GPREGRET": 0x4000051C,
    "POWER.USBREGSTATUS": 0x40000438,
    "WDT.START": 0x40010000,
    "WDT.RUNSTATUS": 0x40010400,
    "WDT.CRV": 0x40010504,
    "RTC1.TRIGOVRFLW": 0x4001100C,
    "RTC2.START": 0x40024000,
    "RTC2.TRIGOVRFLW": 0x4002400C,
    "RTC2.EVENTS_OVRFLW": 0x40024104,
    "RTC2.EVTENSET": 0x40024344,
    "RTC2.PRESCALER": 0x40024508,
    "NVMC.CONFIG": 0x4001E504,
    "NVMC.ERASEPAGE": 0x4001E508,
    "P1.LATCH": 0x50000820,
    "P1.PIN_CNF[6]": 0x50000A18,
    "SCRATCH": SCRATCH,
}


class Chip:
    """Keywords for a chip in Renode whose UART is MicroPython's prompt."""

    ROBOT_LIBRARY_SCOPE = "SUITE"

    def bench_port(self) -> int:
        """Put the parts round the chip and return the port it has to connect to."""
        board = boards.named("nrf52840dk_bg95")
        self._fitted = sorted(
            entry["address"] for entry in board["SENSORS"].values() if "address" in entry
        )
        del board["MODEM"]
        self._emulation = Emulation(board, Still())
        uart = self._emulation.chip.uarts[0]
        self._terminal = uart.device = Terminal(uart)
        return self._emulation.port

    def free_port(self) -> int:
        """Return a port for the chip's UART."""
        return free_port()

    def connect(self, uart_port: int) -> None:
        """Join the terminal to the UART, put the battery in and wait for the prompt."""
        self._emulation.join_uart(int(uart_port))
        self._emulation.power_on()
        self._reboot()

    def let_go(self) -> None:
        """Let time pass on its own, so that the emulator hears what it is told."""
        self._emulation.release()

    def close(self) -> None:
        """Take everything away."""
        self._emulation.close()

    # ---- time and the prompt

    def let_pass(self, milliseconds: float) -> None:
        """Let virtual time pass."""
        now_us = self._emulation.clock.now_us
        self._emulation.run(now_us + round(float(milliseconds) * US_PER_MS))

    def prompt_should_come(self, limit_s: float = 5) -> str:
        """Wait for the prompt and return what was said before it."""
        end_us = self._emulation.clock.now_us + round(limit_s * US_PER_S)
        real_s = time.monotonic() + PATIENCE_S
        while not self._terminal.text.endswith(PROMPT):
            said = self._terminal.text
            assert self._emulation.clock.now_us < end_us, f"no prompt; it has said {said!r}"
            assert time.monotonic() < real_s, f"no prompt in {PATIENCE_S:.0f} s; {said!r}"
            self._emulation.run(self._emulation.clock.now_us + STEP_US)
        said, self._terminal.text = self._terminal.text, ""
        return said

    def type_line(self, line: str) -> None:
        """Type a line and wait for nothing."""
        self._terminal.type(line.encode() + b"\r")

    def answer(self, line: str) -> str:
        """Type a line and return what the interpreter says to it."""
        self.type_line(line)
        said = self.prompt_should_come().removesuffix(PROMPT)
        return said.partition("\n")[2].strip()

    def should_answer(self, line: str, expected: str) -> None:
        """Type a line; the interpreter says what is expected."""
        said = self.answer(line)
        assert said == str(expected), f"{line} says {said!r}, not {expected!r}"

    # ---- registers

    def write(self, register: str, value: str | int) -> None:
        """Write a register."""
        self.should_answer(f"machine.mem32[{REGISTERS[register]:#x}]={int(str(value), 0)}", "")

    def should_be(self, register: str, value: str | int) -> None:
        """Read a register; it has the value."""
        self.should_answer(
            f"machine.mem32[{REGISTERS[register]:#x}]&0xffffffff", str(int(str(value), 0))
        )

    def scan_should_find_what_is_fitted(self) -> None:
        """Ask every address of the bus."""
        scan = "machine.I2C(0,scl=machine.Pin(27),sda=machine.Pin(26)).scan()"
        self.should_answer(scan, str(self._fitted))

    # ---- resets and power

    def reset(self) -> None:
        """Let the chip reset itself."""
        self.type_line("machine.reset()")
        self._reboot()

    def should_reset_within(self, seconds: float, cause: str) -> None:
        """Wait for a reset of that cause."""
        self.let_pass(float(seconds) * 1000)
        self._reboot()
        boots = list(self._emulation.journal.of("boot"))
        assert boots[-1]["cause"] == cause, f"the cause was {boots[-1]['cause']}"

    def _reboot(self) -> None:
        self.prompt_should_come()
        self.should_answer("import machine,time,os", "")

    def switch_off(self) -> None:
        """Let the chip go to System OFF."""
        self.type_line(f"machine.mem32[{REGISTERS['POWER.SYSTEMOFF']:#x}]=1")
        self.should_be_off()

    def should_be_off(self) -> None:
        """The chip is in System OFF and says nothing."""
        self.let_pass(500)
        assert self._emulation.off
        self._terminal.text = ""

    def press_the_button(self) -> None:
        """Press it shortly."""
        self._emulation.do(lambda: self._emulation.parts["button"].press(200 * US_PER_MS))

    def plug_the_cable_in(self) -> None:
        """Put 5 V at VBUS."""
        self._emulation.plug()

    def pull_the_cable(self) -> None:
        """Take them away."""
        self._emulation.unplug()

    def cut_power(self, milliseconds: float = 100) -> None:
        """Take the battery out and put it back."""
        self._terminal.text = ""
        self._emulation.power_cut(round(float(milliseconds) * US_PER_MS))
        self._reboot()

    def cut_power_while_the_volume_is_written(self, times: int) -> None:
        """Let the chip write files; cut power within a write or an erase of its own flash."""
        rng = random.Random(times)
        kept = "".join(rng.choices("abcdefgh", k=2000))
        self.should_answer(f"f=open('/flash/kept','w');f.write('{kept}');f.close()", "2000")
        for _ in range(int(times)):
            self._cut_in(rng.randrange(1, 60), rng.random())
            self.type_line("while 1:f=open('/flash/other','w');f.write('n'*900);f.close()\r\r")
            self.prompt_after_the_cut()
            self.should_answer(f"open('/flash/kept').read()=='{kept}'", "True")

    def _cut_in(self, operations: int, share: float) -> None:
        left = operations

        def begun(kind: str, address: int, us: int) -> None:
            del kind, address
            nonlocal left
            left -= 1
            if left == 0:
                self._emulation.on_nvmc = lambda *_: None
                self._emulation.clock.call_after(int(us * share), self._cut)

        self._is_cut = False
        self._emulation.on_nvmc = begun

    def _cut(self) -> None:
        self._is_cut = True
        self._emulation.power_cut(100 * US_PER_MS)

    def prompt_after_the_cut(self) -> None:
        """Wait until power was cut and the chip is back."""
        real_s = time.monotonic() + PATIENCE_S
        while not self._is_cut:
            assert time.monotonic() < real_s, "nothing was written"
            self._emulation.run(self._emulation.clock.now_us + STEP_US)
        self._terminal.text = ""
        self._reboot()
