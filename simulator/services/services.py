"""The services of a run: a real broker, a real gateway, and a client that watches both.

They run in real time. A run is still deterministic, because after each step of virtual time the
simulator waits until all services have processed it. Every wait has a limit, and every process is
ended by its id.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt

from coldtrail_simulator.clock import RunInvalidError
from coldtrail_simulator.network.contract import UP
from coldtrail_simulator.network.contract import topic as topic_of
from coldtrail_simulator.services.clock_server import ClockServer
from coldtrail_simulator.services.mosquitto import Broker
from coldtrail_simulator.services.mqtt_watch import START_LIMIT_S, MqttWatch
from coldtrail_simulator.services.process import STOP_LIMIT_S, Process, ServiceError


class Services:
    """Broker, gateway, clock server and MQTT watch of one run; a context manager that ends them.

    After ``kill_broker`` call the network's ``broker_down``, after any start its ``settle``.

    Args:
        work: a folder for configuration and logs.
        utc_ms: returns the virtual time in milliseconds since 1970; called from another thread.
        database: the gateway's ``--db``.
        broker_url: a running broker; otherwise one is started.
        gateway_command: the command that starts the gateway, without its options.
        authority: as in ``Broker``; trackers and gateway then connect with TLS.
        start_limit_s: real seconds within which broker and gateway must be available.
    """

    def __init__(
        self,
        work: Path,
        utc_ms: Callable[[], int],
        database: str,
        broker_url: str | None = None,
        gateway_command: tuple[str, ...] = (sys.executable, "-m", "coldtrail_gateway", "serve"),
        authority: Path | None = None,
        start_limit_s: float = START_LIMIT_S,
    ) -> None:
        self._start_limit_s = start_limit_s
        self.broker = None if broker_url else Broker(work, authority)
        self._mqtt_watch: MqttWatch | None = None
        self._url = broker_url
        self._authority = authority
        self._database = database
        self._work = work
        self._utc_ms = utc_ms
        self._command = gateway_command
        self._clock: ClockServer | None = None
        self._gateway: Process | None = None
        self._gateway_due = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all services, even if one of them raises."""
        with ExitStack() as last_to_first:
            if self.broker:
                last_to_first.callback(self.broker.stop)
            if self._mqtt_watch:
                last_to_first.callback(self._mqtt_watch.stop)
            if self._clock:
                last_to_first.callback(self._clock.close)
            if self._gateway:
                last_to_first.callback(self._gateway.stop)
                self._gateway = None

    @property
    def broker_address(self) -> tuple[str, int]:
        """Host and port of the broker."""
        if self.broker:
            return self.broker.host, self.broker.port
        parts = urlsplit(self._url or "")
        return parts.hostname or "127.0.0.1", parts.port or 1883

    @property
    def tracker_address(self) -> tuple[str, int]:
        """Host and port of the broker for trackers."""
        if self.broker and self.broker.secure_port:
            return self.broker.host, self.broker.secure_port
        return self.broker_address

    @property
    def broker_url(self) -> str:
        host, port = self.broker_address
        return self._url or f"mqtt://{host}:{port}"

    @property
    def gateway_running(self) -> bool:
        return self._gateway is not None

    # --- the broker

    def start_broker(self) -> None:
        """Start or restart the broker, and wait for all its clients.

        Returns when the watch is connected and a running gateway is online, which means that the
        gateway has published its confirmations again.

        Raises:
            ServiceError: broker or gateway do not start.
        """
        if self.broker:
            self.broker.start()
        online = self._mqtt_watch.presences("online") if self._mqtt_watch else 0
        self._mqtt_watch = self._mqtt_watch or MqttWatch(*self.broker_address)
        self._mqtt_watch.start(self._start_limit_s)
        if self._gateway:
            self.wait_gateway_online(online, self._start_limit_s)
        elif self._gateway_due:
            self.start_gateway()

    def kill_broker(self) -> None:
        """End the broker with SIGKILL.

        Raises:
            ServiceError: the broker was not started here.
        """
        if not self.broker:
            raise ServiceError(
                f"The scenario ends the broker, but {self._url} is not the simulator's: "
                "run it without --broker."
            )
        if self._mqtt_watch:
            self._mqtt_watch.stop()
        self.broker.kill()

    # --- the gateway

    def start_gateway(self) -> None:
        """Start the gateway and wait until it is online, if there is a broker.

        Raises:
            ServiceError: the gateway ends or is not online in time.
        """
        self._gateway_due = self._mqtt_watch is not None and not self._broker_there
        if self._gateway_due:
            return
        if self._clock is None:
            self._clock = ClockServer(self._utc_ms)
        online = self.watch.presences("online")
        options = [*self._gateway_broker(), "--db", self._database]
        argv = [*self._command, *options, "--clock", self._clock.address]
        self._gateway = Process("gateway", argv, self._work / "gateway.log")
        self.wait_gateway_online(online, self._start_limit_s)

    def _gateway_broker(self) -> list[str]:
        if not (self.broker and self._authority):
            return ["--broker", self.broker_url]
        url = f"mqtts://{self.broker.host}:{self.broker.gateway_port}"
        options = ["--broker", url]
        for option, name in (
            ("--ca", "ca.pem"),
            ("--cert", "gateway.pem"),
            ("--key", "gateway.key"),
        ):
            options += [option, str(self._authority / name)]
        return options

    def wait_gateway_online(self, more_than: int, limit_s: float) -> None:
        """Wait until a gateway has reported ``online`` more than ``more_than`` times.

        Raises:
            ServiceError: the gateway has ended, or the limit has passed.
        """
        deadline = time.monotonic() + limit_s
        gateway = self._gateway
        while not self.watch.wait_presence("online", more_than, 0.2):
            if gateway and not gateway.running:
                raise ServiceError(
                    f"The gateway has ended (it said: {gateway.last_words()}); see {gateway.log}."
                )
            if time.monotonic() > deadline:
                log = f"; see {gateway.log}" if gateway else ""
                raise ServiceError(f"The gateway was not online within {limit_s:.0f} s{log}.")

    def kill_gateway(self) -> None:
        """End the gateway with SIGKILL."""
        gateway, self._gateway = self._gateway, None
        self._gateway_due = False
        if not gateway:
            return
        watched = self._mqtt_watch if self._broker_there else None
        offline = watched.presences("offline") if watched else 0
        gateway.kill()
        if watched:
            # Wait for its last will, which could otherwise be taken for that of a gateway started
            # later.
            watched.wait_presence("offline", offline, STOP_LIMIT_S)

    @property
    def _broker_there(self) -> bool:
        return self.broker is None or self.broker.running

    @property
    def watch(self) -> MqttWatch:
        """The client that tracks the broker's retained messages.

        Raises:
            ServiceError: the broker has not been started.
        """
        if self._mqtt_watch is None:
            raise ServiceError("The broker has not been started.")
        return self._mqtt_watch

    @property
    def clock_address(self) -> str:
        """The address for the gateway's ``--clock``.

        Raises:
            ServiceError: the gateway has not been started.
        """
        if self._clock is None:
            raise ServiceError("The gateway has not been started.")
        return self._clock.address

    # --- answers to the network (network.FarSide)

    def retained(self, topic_filter: str) -> list[str]:
        """Return the matching topics with a retained message."""
        return self.watch.retained(topic_filter)

    def confirms(self, topic: str, payload: bytes) -> bool:
        """Return whether the gateway runs and will confirm this message, a block."""
        del payload  # assumed to be authentic; a subclass may check it
        return self.gateway_running and mqtt.topic_matches_sub(topic_of("+", UP), topic)

    def confirmations(self, topic: str) -> int:
        """Return how many messages were received on a confirmation topic."""
        return self.watch.seen(topic)

    def await_confirmation(self, topic: str, more_than: int, limit_s: float) -> bool:
        """Wait until more messages were received."""
        deadline = time.monotonic() + limit_s
        while not self.watch.wait_seen(topic, more_than, 0.2):
            self.check()
            if time.monotonic() > deadline:
                return False
        return True

    def check(self) -> None:
        """Raise RunInvalidError if the broker or the gateway has ended unexpectedly."""
        if self.broker and not self.broker.running:
            raise RunInvalidError(
                f"The run is invalid: the broker has ended by itself; see {self._work}/broker.log."
            )
        if self._gateway and not self._gateway.running:
            raise RunInvalidError(
                "The run is invalid: the gateway has ended by itself (it said: "
                f"{self._gateway.last_words()}); see {self._gateway.log}."
            )
