"""ESP32: voltages from the ADC, with the calibration of the chip."""

import machine


def reader(pin):
    """Return a function that converts once and returns the voltage at ``pin`` in microvolts."""
    return machine.ADC(machine.Pin(pin), atten=machine.ADC.ATTN_11DB).read_uv
