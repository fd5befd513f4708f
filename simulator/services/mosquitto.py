"""A real broker of the simulator's own: mosquitto on a loopback port."""

from __future__ import annotations

import getpass
import secrets
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties

from coldtrail_simulator.network.contract import COMMAND, CONFIRMATION, UP, topic
from coldtrail_simulator.services import tools
from coldtrail_simulator.services.mqtt_watch import START_LIMIT_S
from coldtrail_simulator.services.process import Process, ServiceError, free_port

POLL_S = 0.01
ANSWER_S = 1.0
LARGE = 2**27
"""Bytes; no packet comes near it."""
PORT_TRIALS = 5


class Broker:
    """A mosquitto on loopback for anonymous clients, without persistence.

    It takes a free port when it first starts, and the same one after every restart.

    It forgets everything when it ends, as a broker without a disk does: retained messages,
    sessions and queued messages.

    With an ``authority`` (a folder as `coldtrail provision ca --broker` makes it) it listens on
    ``secure_port``, too: for trackers with a certificate, each with its own topics and no other.
    """

    def __init__(self, work: Path, authority: Path | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.secure_port = 0
        self._authority = authority
        self._work = work
        self._process: Process | None = None

    def start(self) -> None:
        """Start it and wait until it answers a client.

        Raises:
            ServiceError: it does not start.
            ToolError: there is no mosquitto.
        """
        argv = tools.mosquitto()
        for _ in range(PORT_TRIALS):
            port = self.port or free_port()
            if self._authority and not self._process:
                self.secure_port = self.secure_port or free_port()
            process = self._launch(argv, port)
            if process.running:
                self._process, self.port = process, port
                return
            if self.port:
                break
            self.secure_port = 0
        raise ServiceError(
            f"The broker did not start (it said: {process.last_words()}); see {process.log}."
        )

    def _launch(self, argv: list[str], port: int) -> Process:
        # Another program may have taken the port meanwhile, even another broker: ours is known
        # by a limit that it tells its clients.
        limit = LARGE + secrets.randbelow(LARGE)
        config = self._work / "mosquitto.conf"
        config.write_text(
            # Started by root, it would otherwise become a user who may not read these files.
            f"user {getpass.getuser()}\n"
            f"listener {port} {self.host}\n"
            "allow_anonymous true\n"
            "persistence false\n"
            "set_tcp_nodelay true\n"
            "max_queued_messages 0\n"  # a gateway that is down for days loses nothing
            f"max_packet_size {limit}\n"
            "log_type error\nlog_type warning\nlog_type information\n"
            "connection_messages false\n"
            "log_dest stderr\n"  # 2.0.11 keeps what goes to stdout in a buffer
            + self._secure_listener()
        )
        process = Process("broker", [*argv, "-c", str(config)], self._work / "broker.log")
        deadline = time.monotonic() + START_LIMIT_S
        # Not by its log, whose words and buffering differ between versions.
        while process.running and _packet_limit(self.host, port) != limit:
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(POLL_S)
        return process

    def _secure_listener(self) -> str:
        if not self._authority:
            return ""
        rules = self._work / "mosquitto.acl"
        rules.touch(0o600)
        rules.write_text(
            # The first rule is for clients without a name, on the other port: gateway and MQTT
            # watch. With per_listener_settings instead, mosquitto would queue nothing for a
            # gateway that is away.
            "topic readwrite #\n"
            f"pattern write {topic('%u', UP)}\n"
            f"pattern read {topic('%u', CONFIRMATION)}\n"
            f"pattern read {topic('%u', COMMAND)}\n"
        )
        return (
            f"acl_file {rules}\n"
            f"listener {self.secure_port} {self.host}\n"
            f"cafile {self._authority / 'ca.pem'}\n"
            f"certfile {self._authority / 'broker.pem'}\n"
            f"keyfile {self._authority / 'broker.key'}\n"
            "require_certificate true\n"
            "use_identity_as_username true\n"
        )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def stop(self) -> None:
        """End it in good order."""
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process:
            self._process.kill()
            self._process = None


def _packet_limit(host: str, port: int) -> int | None:
    """Return the largest packet that a broker takes, as its CONNACK (MQTT 5) says; else None."""
    answers: list[Properties | None] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_connect = lambda *answer: answers.append(answer[-1])
    deadline = time.monotonic() + ANSWER_S
    try:
        client.connect(host, port)
        while not answers and time.monotonic() < deadline:
            if client.loop(ANSWER_S) != mqtt.MQTT_ERR_SUCCESS:
                break
        client.disconnect()
    except OSError:
        return None  # it does not listen yet
    limit: int | None = getattr(answers[0], "MaximumPacketSize", None) if answers else None
    return limit
