"""Waits end at their time, with data, or for an interrupt, and are resumed to the same end."""

import pytest

from coldtrail_simulator.clock import Clock
from coldtrail_simulator.esp32.console import Console
from coldtrail_simulator.esp32.peripherals import LATER
from coldtrail_simulator.esp32.protocol import ENDLESS, INTERRUPTED
from coldtrail_simulator.esp32.waits import IRQ_QUEUE, Waits
from coldtrail_simulator.wires import UART

LINE = {1: 2, 2: 4}


class Rig:
    """Waits with two open UARTs; ``ended`` lists (time in us, reply) of the waits that ended."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.uarts = {number: UART(self.clock) for number in LINE}
        for uart in self.uarts.values():
            uart.open(115_200, 256, 256, 0)
        self.console = Console(self.clock)
        self.ended: list[tuple[int, int]] = []
        self.waits = Waits(
            self.clock,
            self.uarts,
            self.console,
            lambda reply: self.ended.append((self.clock.now_us, reply)),
        )

    def run(self, us: int) -> None:
        self.clock.advance_to(self.clock.now_us + us)


@pytest.fixture
def rig():
    made = Rig()
    yield made
    made.console.close()


def test_a_sleep_ends_at_its_time(rig):
    assert rig.waits.do_sleep_ms(0, 3, b"") is LATER
    rig.run(2_999)
    assert rig.waits.under_way
    rig.run(10_000)
    assert rig.ended == [(3_000, 0)]
    assert not rig.waits.under_way


def test_a_poll_ends_with_data_on_its_own_lines_alone(rig):
    assert rig.waits.do_poll(LINE[2], ENDLESS, b"") is LATER
    rig.uarts[1].send(b"x")
    rig.run(1_000_000)
    assert not rig.ended
    rig.uarts[2].send(b"x")
    rig.run(1_000_000)
    assert [reply for _, reply in rig.ended] == [LINE[2]]
    assert rig.waits.do_poll(LINE[1] | LINE[2], ENDLESS, b"") == LINE[1] | LINE[2]


def test_an_interrupted_wait_resumes_to_the_end_that_it_had(rig):
    assert rig.waits.do_sleep_ms(0, 10, b"") is LATER
    rig.run(4_000)
    rig.waits.interrupt(33)
    assert rig.ended == [(4_000, INTERRUPTED)]
    assert rig.waits.take_interrupt() == 33
    assert rig.waits.do_resume(0, 0, b"") is LATER
    rig.run(20_000)
    assert rig.ended[1:] == [(10_000, 0)]


def test_a_wait_does_not_begin_before_a_queued_interrupt_was_handled(rig):
    rig.waits.interrupt(4)
    assert rig.waits.do_sleep_ms(0, 10, b"") == INTERRUPTED
    assert rig.waits.take_interrupt() == 4
    assert rig.waits.take_interrupt() is None
    assert rig.waits.do_resume(0, 0, b"") is LATER
    rig.run(20_000)
    assert rig.ended == [(10_000, 0)]


def test_the_queue_of_interrupts_drops_what_it_cannot_hold(rig):
    for pin in range(IRQ_QUEUE + 3):
        rig.waits.interrupt(pin)
    taken = iter(rig.waits.take_interrupt, None)
    assert list(taken) == list(range(IRQ_QUEUE))


def test_a_reset_ends_the_wait_without_an_answer_and_empties_the_queue(rig):
    rig.waits.do_sleep_ms(0, 10, b"")
    rig.waits.interrupt(4)
    rig.waits.do_sleep_ms(0, 10, b"")
    del rig.ended[:]
    rig.waits.forget()
    assert not rig.waits.under_way
    assert rig.waits.take_interrupt() is None
    rig.run(100_000)
    assert not rig.ended
