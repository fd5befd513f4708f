"""Module machine of the ESP32 port; every class makes requests to the simulator."""

from struct import pack

from _link import call
from micropython import const

_OP_PIN_INIT = const(9)
_OP_PIN_GET = const(10)
_OP_PIN_SET = const(11)
_OP_ADC_INIT = const(13)
_OP_ADC_UV = const(15)
_OP_I2C_INIT = const(16)
_OP_I2C_WRITE = const(17)
_OP_I2C_READ = const(18)
_OP_I2C_WRITE_READ = const(19)
_OP_SPI_INIT = const(20)
_OP_SPI_WRITE = const(21)
_OP_SPI_READ = const(22)
_OP_SPI_BOTH = const(23)
_OP_UART_INIT = const(24)
_OP_UART_READ = const(26)
_OP_UART_WRITE = const(28)
_OP_RTC_READ = const(32)
_OP_RTC_WRITE = const(33)
_OP_WDT_INIT = const(34)
_OP_WDT_FEED = const(35)
_OP_DEEPSLEEP = const(36)
_OP_RESET_CAUSE = const(39)
_OP_WAKE_REASON = const(40)
_OP_FREQ = const(42)

PWRON_RESET = const(1)
HARD_RESET = const(2)
WDT_RESET = const(3)
DEEPSLEEP_RESET = const(4)
SOFT_RESET = const(5)
PIN_WAKE = const(2)
EXT0_WAKE = const(2)
EXT1_WAKE = const(3)
TIMER_WAKE = const(4)


def _number(pin):
    return pin if isinstance(pin, int) else pin.id


class _Peripheral:
    # Beyond the port's names, objects have `id` and a UART has `line`, for the other shims.

    def __getattr__(self, name):
        import _rare

        method = getattr(_rare, type(self).__name__ + "_" + name)
        return lambda *args, **options: method(self, *args, **options)


class Pin(_Peripheral):
    IN = const(1)
    OUT = const(3)
    OPEN_DRAIN = const(7)
    PULL_DOWN = const(1)
    PULL_UP = const(2)
    IRQ_RISING = const(1)
    IRQ_FALLING = const(2)

    def __init__(self, id, mode=None, pull=-1, **options):
        self.id = _number(id)
        if mode is not None or pull != -1 or options:
            self.init(mode, pull, **options)

    def init(self, mode=None, pull=-1, value=None, drive=0, hold=None):
        # mode | 16 * (pull + 1) | 256 * (value + 1) | 4096 * (hold + 1); 0 means no change
        flags = mode or 0
        if pull != -1:
            flags |= ((pull or 0) + 1) << 4
        if value is not None:
            flags |= (2 if value else 1) << 8
        if hold is not None:
            flags |= (2 if hold else 1) << 12
        if call(_OP_PIN_INIT, self.id, flags):
            raise ValueError("pin can only be input")

    def value(self, level=None):
        if level is None:
            return call(_OP_PIN_GET, self.id)
        call(_OP_PIN_SET, self.id, 1 if level else 0)
        return None

    __call__ = value


class ADC(_Peripheral):
    ATTN_0DB = const(0)
    ATTN_2_5DB = const(1)
    ATTN_6DB = const(2)
    ATTN_11DB = const(3)

    def __init__(self, pin, atten=3):
        self.id = _number(pin)
        if call(_OP_ADC_INIT, self.id, atten):
            raise ValueError("invalid pin")

    def read_uv(self):
        return call(_OP_ADC_UV, self.id)


class I2C(_Peripheral):
    def __init__(self, id, scl=255, sda=255, freq=400000, timeout=50000):
        self.id = id << 7
        call(_OP_I2C_INIT, id, freq, pack("<BBI", _number(scl), _number(sda), timeout))

    def writeto(self, addr, buf, stop=True):
        call(_OP_I2C_WRITE, self.id | addr, 0, buf)
        return len(buf)

    def readfrom_into(self, addr, buf, stop=True):
        call(_OP_I2C_READ, self.id | addr, len(buf), None, buf)

    def readfrom_mem_into(self, addr, memaddr, buf, *, addrsize=8):
        memaddr = memaddr.to_bytes(addrsize // 8, "big")
        call(_OP_I2C_WRITE_READ, self.id | addr, len(buf), memaddr, buf)

    def writeto_mem(self, addr, memaddr, buf, *, addrsize=8):
        call(_OP_I2C_WRITE, self.id | addr, 0, memaddr.to_bytes(addrsize // 8, "big") + buf)


class SPI(_Peripheral):
    MSB = const(0)
    LSB = const(1)

    def __init__(self, id, baudrate=1000000, **options):
        self.id = id
        self.init(baudrate, **options)

    def init(
        self,
        baudrate=1000000,
        polarity=0,
        phase=0,
        bits=8,
        firstbit=0,
        sck=255,
        mosi=255,
        miso=255,
    ):
        pins = bytes((polarity << 1 | phase, _number(sck), _number(mosi), _number(miso)))
        call(_OP_SPI_INIT, self.id, baudrate, pins)

    def write(self, buf):
        call(_OP_SPI_WRITE, self.id, 0, buf)

    def readinto(self, buf, write=0):
        call(_OP_SPI_READ, self.id, len(buf) | write << 16, None, buf)

    def write_readinto(self, write_buf, read_buf):
        call(_OP_SPI_BOTH, self.id, 0, write_buf, read_buf)


class UART(_Peripheral):
    def __init__(self, id, baudrate=115200, **options):
        self.id = id
        self.line = 1 << id
        self.init(baudrate, **options)

    def init(
        self,
        baudrate=115200,
        bits=8,
        parity=None,
        stop=1,
        tx=255,
        rx=255,
        txbuf=256,
        rxbuf=256,
        timeout=0,
        timeout_char=0,
    ):
        setup = pack("<BBHHHH", _number(tx), _number(rx), txbuf, rxbuf, timeout, timeout_char)
        call(_OP_UART_INIT, self.id, baudrate, setup)

    def read(self, nbytes=0xFFFF):
        return call(_OP_UART_READ, self.id, nbytes) or None

    def readinto(self, buf, nbytes=0xFFFF):
        got = call(_OP_UART_READ, self.id, min(nbytes, len(buf)))
        if got:
            buf[: len(got)] = got
        return len(got) if got else None

    def write(self, buf):
        if isinstance(buf, str):
            buf = buf.encode()
        call(_OP_UART_WRITE, self.id, 0, buf)
        return len(buf)


class RTC:
    def memory(self, data=None):
        if data is None:
            return call(_OP_RTC_READ) or b""
        if call(_OP_RTC_WRITE, 0, 0, data):
            raise ValueError("buffer too long")
        return None


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id or timeout <= 0:
            raise ValueError("WDT timeout too short")
        call(_OP_WDT_INIT, 0, timeout)

    def feed(self):
        call(_OP_WDT_FEED)


def deepsleep(time_ms=-1):
    call(_OP_DEEPSLEEP, 0, time_ms & 0xFFFFFFFF)


def freq(hz=0):
    return call(_OP_FREQ, 0, hz) * 1000


def reset_cause():
    return call(_OP_RESET_CAUSE)


def wake_reason():
    return call(_OP_WAKE_REASON)


def __getattr__(name):
    import _rare

    return getattr(_rare, name)
