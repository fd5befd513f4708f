"""Firmware on a real MicroPython, in virtual time."""


def test_a_reading_taken_is_the_reading_the_model_gave_and_sleep_restarts_the_firmware(run):
    sim = run(
        """
import machine
from drivers.sht45 import SHT45

rtc = machine.RTC()
rtc.memory(rtc.memory() + b"x")
i2c = machine.I2C(0, scl=machine.Pin(22), sda=machine.Pin(21))
print(machine.reset_cause(), machine.wake_reason(), len(rtc.memory()), *SHT45(i2c).measure())
machine.deepsleep(300000)
""",
        seconds=950,
    )
    lines = [line.split() for line in sim.console.text.splitlines()]
    assert [line[:3] for line in lines] == [
        ["1", "0", "1"],
        ["4", "4", "2"],
        ["4", "4", "3"],
        ["4", "4", "4"],
    ]
    given = [
        [str(round(n["celsius"] * 100)), str(round(n["percent"] * 10))]
        for n in sim.journal.of("measure", sensor="ambient")
    ]
    assert [line[3:] for line in lines] == given
