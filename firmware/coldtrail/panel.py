"""Button and LED, which show the verdict; imported at a press and unloaded afterwards."""

import time

from micropython import const

from coldtrail import shipment

_BY_BUTTON = const(1)  # from records.py, so that the compiler puts it in place

_TEST_PRESSES = const(2)  # after the press that woke the tracker
_HOLD_MS = const(3000)
_VERDICT_MS = const(2000)
_BLINK_MS = const(250)
_STEP_MS = const(25)  # longer than contacts bounce


def answer(tracker, pressed_ms):
    """Answer a press: a short one shows the verdict, one of 3 s stops the shipment.

    ``pressed_ms``: for how long the button has been down already. Returns whether the shipment was
    stopped, and whether the button was pressed twice more while the verdict was shown.
    """
    port, recorder, state = tracker.port, tracker.recorder, tracker.state
    stop = held(port, pressed_ms) and state.shipment is not None
    if stop:
        if recorder.boot:
            # The time counts from a boot, which must be recorded first; there is room for that.
            shipment.boot(port, recorder, tracker.events)
        shipment.stop(recorder, tracker.now(), _BY_BUTTON)
    overdue = tracker.is_overdue(tracker.now())
    unclear = not stop and (state.faults or state.shipment is None or overdue)
    presses = show(port, state.engine.alarmed, unclear)
    return stop, presses >= _TEST_PRESSES and not stop


def held(port, waited=0):
    """Wait until the button is released; return whether it was held for 3 s.

    ``waited``: for how many milliseconds it has been held already.
    """
    while port.button() and waited < _HOLD_MS:
        time.sleep_ms(50)
        waited += 50
    return waited >= _HOLD_MS


def show(port, red, unclear):
    """Show the verdict for 2 s: green, ``red``, or both in turn when it is ``unclear``.

    Return how often the button was pressed meanwhile.
    """
    presses, was = 0, port.button()
    for waited in range(0, _VERDICT_MS, _STEP_MS):
        if waited % _BLINK_MS == 0:
            port.led(not red, red)
            if unclear:
                red = not red
        time.sleep_ms(_STEP_MS)
        down = port.button()
        presses += down and not was
        was = down
    port.led(False, False)
    return presses
