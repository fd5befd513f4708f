"""Functions that firmware seldom calls; loaded on use, because here they take heap.

A function named Class_method is a method of a class in machine.
"""

import utime
from _link import call, handlers
from micropython import const

_OP_TICKS_US = const(2)
_OP_TIME = const(3)
_OP_SLEEP_MS = const(6)
_OP_RESUME = const(8)
_OP_PIN_SET = const(11)
_OP_PIN_IRQ = const(12)
_OP_ADC_INIT = const(13)
_OP_ADC_RAW = const(14)
_OP_I2C_READ = const(18)
_OP_SPI_READ = const(22)
_OP_UART_INIT = const(24)
_OP_UART_ANY = const(25)
_OP_UART_LINE = const(27)
_OP_UART_FLUSH = const(29)
_OP_LIGHTSLEEP = const(37)
_OP_RESET = const(38)
_OP_UNIQUE_ID = const(41)
_OP_FREQ = const(42)
_OP_WAKE_PINS = const(43)


# machine


def lightsleep(time_ms=-1):
    call(_OP_LIGHTSLEEP, 0, time_ms & 0xFFFFFFFF)


def reset():
    call(_OP_RESET)


def soft_reset():
    raise SystemExit


def wake_pins():
    return tuple(call(_OP_WAKE_PINS) or b"")


def unique_id():
    return call(_OP_UNIQUE_ID)


def idle():
    call(_OP_FREQ)


def Pin_on(pin):
    pin(1)


def Pin_off(pin):
    pin(0)


def Pin_toggle(pin):
    call(_OP_PIN_SET, pin.id, 2)


def Pin_irq(pin, handler=None, trigger=3):
    handlers[pin.id] = (handler, pin)
    call(_OP_PIN_IRQ, pin.id, trigger if handler else 0)
    return pin


def ADC_atten(adc, atten):
    call(_OP_ADC_INIT, adc.id, atten)


def ADC_read(adc):
    return call(_OP_ADC_RAW, adc.id)


def ADC_read_u16(adc):
    raw = ADC_read(adc)
    return raw << 4 | raw >> 8


def I2C_scan(i2c):
    found = []
    for address in range(8, 0x78):
        try:
            i2c.writeto(address, b"")
            found.append(address)
        except OSError:
            continue
    return found


def I2C_readfrom(i2c, addr, nbytes, stop=True):
    return call(_OP_I2C_READ, i2c.id | addr, nbytes)


def I2C_readfrom_mem(i2c, addr, memaddr, nbytes, *, addrsize=8):
    buf = bytearray(nbytes)
    i2c.readfrom_mem_into(addr, memaddr, buf, addrsize=addrsize)
    return buf


def SPI_read(spi, nbytes, write=0):
    return call(_OP_SPI_READ, spi.id, nbytes | write << 16)


def SPI_deinit(spi):
    pass


def UART_any(uart):
    return call(_OP_UART_ANY, uart.id)


def UART_readline(uart):
    return call(_OP_UART_LINE, uart.id) or None


def UART_flush(uart):
    call(_OP_UART_FLUSH, uart.id, 1)


def UART_txdone(uart):
    return not call(_OP_UART_FLUSH, uart.id, 0)


def UART_deinit(uart):
    call(_OP_UART_INIT, uart.id)


def UART_close(uart):
    pass


# time


def sleep(s):
    op, ms = _OP_SLEEP_MS, int(s * 1000)
    while ms > 0 and call(op, 0, ms):
        op = _OP_RESUME


def time():
    return call(_OP_TIME)


def ticks_us():
    return call(_OP_TICKS_US)


ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    return (ticks + delta) & 0x3FFFFFFF


def ticks_diff(end, start):
    return ((end - start + 0x20000000) & 0x3FFFFFFF) - 0x20000000


def gmtime(s=None):
    return utime.gmtime((time() if s is None else s) + 946684800)


localtime = gmtime


def mktime(t):
    return utime.mktime(t) - 946684800
