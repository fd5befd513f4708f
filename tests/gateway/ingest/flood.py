"""Publishes forged messages for as long as it is let: port, messages a second, topics."""

from __future__ import annotations

import sys
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.blocks.blockmaker import Maker, rows


def main() -> None:
    port, rate, *trackers = sys.argv[1:]
    forged = bytearray(Maker(key=bytes(32)).block(rows(12)))
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", int(port))
    client.loop_start()
    began, sent = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - began) * int(rate))
        for number in range(sent, due):
            forged[-4:] = number.to_bytes(4, "big")
            tracker = trackers[number % len(trackers)]
            client.publish(f"coldtrail/1/{tracker}/up", bytes(forged), qos=0)
        sent = due
        time.sleep(0.005)


if __name__ == "__main__":
    main()
