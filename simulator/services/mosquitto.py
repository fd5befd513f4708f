"""A real broker for the simulator: mosquitto on a loopback port."""

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
PACKET = 2**14
"""Bytes; a block and its topic are at most a quarter of it."""
PORT_TRIALS = 5


class Broker:
    """A mosquitto on loopback for anonymous clients, without persistence.

    It uses a free port at the first start, and the same port after every restart. When it ends, it
    loses retained messages, sessions and queued messages, as a broker without a disk does.

    With an ``authority`` (a folder of certificates made by `packing.certify`) it also listens on
    ``secure_port``, for trackers with a certificate, each of which may use only its own topics;
    and on ``gateway_port``, as 127.0.0.1, for the gateway with its certificate.
    """

    def __init__(self, work: Path, authority: Path | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.secure_port = 0
        self.gateway_port = 0
        self._authority = authority
        self._work = work
        self._process: Process | None = None

    def start(self) -> None:
        """Start the broker and wait until it answers a client.

        Raises:
            ServiceError: the broker does not start.
            ToolError: there is no mosquitto.
        """
        argv = tools.mosquitto()
        for _ in range(PORT_TRIALS):
            port = self.port or free_port()
            if self._authority and not self._process:
                self.secure_port = self.secure_port or free_port()
                self.gateway_port = self.gateway_port or free_port()
            process = self._launch(argv, port)
            if process.running:
                self._process, self.port = process, port
                return
            if self.port:
                break
            self.secure_port = self.gateway_port = 0
        raise ServiceError(
            f"The broker did not start (it said: {process.last_words()}); see {process.log}."
        )

    def _launch(self, argv: list[str], port: int) -> Process:
        # Another program, even another broker, may have taken the port meanwhile. This broker is
        # recognised by a random packet limit, which it reports to its clients.
        limit = PACKET + secrets.randbelow(PACKET)
        config = self._work / "mosquitto.conf"
        config.write_text(
            # If started by root, it would otherwise change to a user without access to these
            # files.
            f"user {getpass.getuser()}\n"
            f"listener {port} {self.host}\n"
            "allow_anonymous true\n"
            "persistence false\n"
            "set_tcp_nodelay true\n"
            "max_queued_messages 0\n"  # a gateway that is down for days must lose nothing
            f"max_packet_size {limit}\n"
            "log_type error\nlog_type warning\nlog_type information\n"
            "connection_messages false\n"
            "log_dest stderr\n"  # version 2.0.11 buffers what it writes to stdout
            + self._secure_listener()
        )
        process = Process("broker", [*argv, "-c", str(config)], self._work / "broker.log")
        deadline = time.monotonic() + START_LIMIT_S
        # Not by its log, whose text and buffering depend on the version.
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
            # The first rule is for clients without a name, on the other port: the MQTT watch. With
            # per_listener_settings instead, mosquitto would not queue messages for an absent
            # gateway.
            "topic readwrite #\n"
            f"pattern write {topic('%u', UP)}\n"
            f"pattern read {topic('%u', CONFIRMATION)}\n"
            f"pattern read {topic('%u', COMMAND)}\n"
            "user GATEWAY\ntopic readwrite #\n"
        )
        listeners = "".join(
            f"listener {port} {self.host}\n"
            f"cafile {self._authority / 'ca.pem'}\n"
            f"certfile {self._authority / name}.pem\n"
            f"keyfile {self._authority / name}.key\n"
            "require_certificate true\n"
            "use_identity_as_username true\n"
            for port, name in ((self.secure_port, "broker"), (self.gateway_port, "local"))
        )
        return f"acl_file {rules}\n{listeners}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def stop(self) -> None:
        """End the broker in an orderly way."""
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """End the broker with SIGKILL."""
        if self._process:
            self._process.kill()
            self._process = None


def _packet_limit(host: str, port: int) -> int | None:
    """Return the packet limit in a broker's CONNACK (MQTT 5); None without an answer."""
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
