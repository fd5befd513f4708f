"""Starts the gateway with a connection that breaks at every possible moment, one after the other.

The first argument says at which calls (``paho``: those into paho, ``socket``: paho's own to the
socket), the second how many connections break; the rest is the command line. Connection number n
breaks just before its call number n. What is not broken is the real thing.
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import Any

import paho.mqtt.client as mqtt

from coldtrail_gateway.cli.main import gateway
from coldtrail_gateway.ingest import mqtt as supervisor

PAHO = ("publish", "subscribe", "ack", "loop", "loop_write", "want_write", "disconnect")
SOCKET = ("_sock_send", "_sock_recv")


class Breaking(mqtt.Client):
    """A client whose connections break."""

    last = 0
    connections = 0
    calls = 0

    def reconnect(self) -> Any:
        Breaking.connections += 1
        Breaking.calls = 0
        return super().reconnect()


def breaking(name: str) -> Any:
    real = getattr(mqtt.Client, name)

    def call(client: Breaking, *arguments: Any, **options: Any) -> Any:
        Breaking.calls += 1
        opened: Any = client.socket()
        if Breaking.calls == Breaking.connections <= Breaking.last and opened is not None:
            print(f"breaking before call {Breaking.calls}, {name}", file=sys.stderr, flush=True)
            with suppress(OSError):  # it may be broken already
                opened.shutdown(socket.SHUT_RDWR)
        return real(client, *arguments, **options)

    return call


def main() -> None:
    kind, count, *arguments = sys.argv[1:]
    Breaking.last = int(count)
    for name in PAHO if kind == "paho" else SOCKET:
        setattr(Breaking, name, breaking(name))
    mqtt.Client = Breaking  # type: ignore[misc]
    # Many connections break before one works; on a busy machine that is no hurry.
    vars(supervisor)["START_LIMIT_S"] = float("inf")
    vars(supervisor)["WAITS_S"] = (0.01,)
    gateway(arguments)


if __name__ == "__main__":
    main()
