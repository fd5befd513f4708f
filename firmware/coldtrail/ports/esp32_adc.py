"""ESP32: a voltage, as the ADC sees it with the chip's own calibration."""

import machine


def reader(pin):
    """Return a function that converts once and returns microvolts at ``pin``."""
    return machine.ADC(machine.Pin(pin), atten=machine.ADC.ATTN_11DB).read_uv
