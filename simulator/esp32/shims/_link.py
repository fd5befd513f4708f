"""The pipes to the simulator; simulator/esp32/protocol.py describes the protocol."""

import sys
from array import array

from micropython import const

_OP_START = const(0)
_OP_TICKS_MS = const(1)
_FRESH_US = const(1000)

_requests = open(199, "wb")
_replies = open(198, "rb")
_out = array("I", (0, 0, 0))
_in = array("i", (0, 0, 0, 0))
_spent = 0
handlers = {}


def call(op, unit=0, arg=0, data=None, into=None):
    global _spent
    size = len(data) if data else 0
    _out[0] = op | unit << 8 | size << 16
    _out[1] = arg
    _out[2] = _spent
    _spent = 0
    _requests.write(_out)
    if size:
        _requests.write(data)
    if not _replies.readinto(_in):
        raise SystemExit
    result = value = _in[0]
    size = _in[1] & 0xFFFFFF
    if size:
        pin = size >> 16
        size &= 0xFFFF
        if size:
            if into is None:
                result = _replies.read(size)
            else:
                _replies.readinto(into)
        if pin:
            handler, source = handlers[pin - 1]
            try:
                handler(source)
            except Exception as error:
                sys.print_exception(error)
    if value < 0:
        raise OSError(-value)
    return result


def start():
    global _costs
    _costs = call(_OP_START)  # answered when the chip has booted


def now():
    return (_in[2] + (_in[3] + _spent) // 1000) & 0x3FFFFFFF


def ticks_ms():
    # The last reply is still valid if not much time has been spent since then.
    global _spent
    if _spent >= _FRESH_US:
        return call(_OP_TICKS_MS)
    _spent += _costs & 0xFFFF
    return now()


def ready():
    global _spent
    if _spent >= _FRESH_US:
        call(_OP_TICKS_MS)
    else:
        _spent += _costs >> 16
    return _in[1] >> 24
