"""What stands beyond the network: a real broker, a real gateway, and somebody who watches them.

They run on the host's time; a run stays deterministic because the simulator waits for each of
them to have done what a step of virtual time set off. Every wait has a limit, every process is
ended by its id.
"""

from __future__ import annotations

import getpass
import os
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt

from coldtrail_simulator.clock import RunInvalidError
from coldtrail_simulator.services import tools
from coldtrail_simulator.services.mqtt_watch import PREFIX, START_LIMIT_S, Observer, ServiceError

__all__ = ["Broker", "ClockServer", "ServiceError", "Services", "free_port"]

CORES = os.sched_getaffinity(0)
STOP_LIMIT_S = 10.0
POLL_S = 0.01
PORT_TRIALS = 5


# --- processes -------------------------------------------------------------------------------


class Process:
    """A child process with its output in a log file."""

    def __init__(self, name: str, argv: list[str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._begin = output.tell()
            self._child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        # A simulation under way keeps to one core; what it starts need not.
        os.sched_setaffinity(self._child.pid, CORES)

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def output(self) -> str:
        """Return what this process, not one before it, has written so far."""
        return self.log.read_bytes()[self._begin :].decode(errors="replace").strip()

    def last_words(self) -> str:
        """Return the last line of its output."""
        return self.output().rpartition("\n")[2].strip() or "nothing"

    def stop(self) -> None:
        """Ask the process to end; kill it if it does not."""
        self._child.terminate()
        try:
            self._child.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Broker:
    """A mosquitto of our own on loopback: anonymous, without persistence, on one port for ever.

    It forgets everything when it ends, as a broker without a disk does: retained messages,
    sessions, what was queued.

    With an ``authority`` (a folder of certificates as `packing.certify` makes it) it listens on
    ``secure_port``, too: for trackers with a certificate, each with its own topics and no other;
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
        """Start it and wait until it listens.

        Raises:
            ServiceError: it does not start.
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
        config = self._work / "mosquitto.conf"
        config.write_text(
            f"user {getpass.getuser()}\n"  # started by root it would be somebody without our files
            f"listener {port} {self.host}\n"
            "allow_anonymous true\n"
            "persistence false\n"
            "set_tcp_nodelay true\n"
            "max_queued_messages 0\n"  # a gateway that is down for days loses nothing
            "max_packet_size 16384\n"  # a block has at most 4,096 bytes
            "log_type error\nlog_type warning\nlog_type information\n"
            "connection_messages false\n"
            "log_dest stdout\n" + self._secure_listener()
        )
        process = Process("broker", [*argv, "-c", str(config)], self._work / "broker.log")
        deadline = time.monotonic() + START_LIMIT_S
        # A connection would prove less: another program may have taken the port meanwhile.
        while process.running and not process.output().endswith("running"):
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(POLL_S)
        return process

    def _secure_listener(self) -> str:
        if not self._authority:
            return ""
        rules = self._work / "mosquitto.acl"
        rules.touch(0o600)
        own = f"{PREFIX}%u/"
        rules.write_text(
            # The first for who has no name: the observer, on the other port. Not
            # by per_listener_settings: mosquitto then queues nothing for a gateway that is away.
            "topic readwrite #\n"
            f"pattern write {own}up\npattern read {own}confirmation\npattern read {own}command\n"
            "user gateway\ntopic readwrite #\n"
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
        """End it in good order."""
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process:
            self._process.kill()
            self._process = None


# --- the clock the gateway asks --------------------------------------------------------------


class ClockServer:
    """Tells the gateway the virtual time: a line "?" is answered with UTC milliseconds.

    A thread answers, because the simulator's own is waiting for the gateway when it asks; the
    time stands still then, so the answer does not depend on the host.
    """

    def __init__(self, utc_ms: Callable[[], int]) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while self.rfile.readline(16) == b"?\n":
                    self.wfile.write(b"%d\n" % utc_ms())

        # Not in the results' folder: the name of a socket must be short (unix(7): 108 bytes).
        self._folder = tempfile.TemporaryDirectory(prefix="coldtrail-")
        path = Path(self._folder.name) / "clock"
        self.address = f"unix:{path}"
        self._server = _UnixServer(str(path), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._folder.cleanup()


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


# --- all of them -----------------------------------------------------------------------------


class Services:
    """Broker, gateway, clock server and observer of one run; a context that ends them all.

    After ``kill_broker`` call the network's ``broker_down``, after any start its ``settle``.

    Args:
        work: a folder for configuration and logs.
        utc_ms: the virtual time in milliseconds since 1970, asked from another thread.
        database: the gateway's ``--db``.
        broker_url: a broker that is running already; otherwise one is started.
        gateway_command: what starts the gateway, before its options.
        authority: as ``Broker`` takes it; trackers and gateway then come by TLS.
    """

    def __init__(
        self,
        work: Path,
        utc_ms: Callable[[], int],
        database: str,
        broker_url: str | None = None,
        gateway_command: tuple[str, ...] = (sys.executable, "-m", "coldtrail_gateway", "serve"),
        authority: Path | None = None,
    ) -> None:
        self.broker = None if broker_url else Broker(work, authority)
        self.observer: Observer | None = None
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
        """End everything, whatever else goes wrong."""
        with ExitStack() as last_to_first:
            if self.broker:
                last_to_first.callback(self.broker.stop)
            if self.observer:
                last_to_first.callback(self.observer.stop)
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
        """Host and port of the broker, for trackers."""
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
        """Start the broker, or start it again, and wait for all who use it.

        Returns when the observer is connected and a gateway that runs is online, which says that
        it has published its confirmations again.

        Raises:
            ServiceError: broker or gateway do not come up.
        """
        if self.broker:
            self.broker.start()
        online = self.observer.presences("online") if self.observer else 0
        self.observer = self.observer or Observer(*self.broker_address)
        self.observer.start()
        if self._gateway:
            self.wait_gateway_online(online, START_LIMIT_S)
        elif self._gateway_due:
            self.start_gateway()

    def kill_broker(self) -> None:
        """End our own broker with SIGKILL.

        Raises:
            ServiceError: the broker is not ours.
        """
        if not self.broker:
            raise ServiceError(
                f"The scenario ends the broker, but {self._url} is not the simulator's: "
                "run it without --broker."
            )
        if self.observer:
            self.observer.stop()
        self.broker.kill()

    # --- the gateway

    def start_gateway(self) -> None:
        """Start the gateway and wait until it is online; without a broker, when there is one.

        Raises:
            ServiceError: it ends or is not online in time.
        """
        self._gateway_due = self.observer is not None and not self._broker_there
        if self._gateway_due:
            return
        if self._clock is None:
            self._clock = ClockServer(self._utc_ms)
        online = self._watch().presences("online")
        options = [*self._gateway_broker(), "--db", self._database]
        argv = [*self._command, *options, "--clock", self._clock.address]
        self._gateway = Process("gateway", argv, self._work / "gateway.log")
        self.wait_gateway_online(online, START_LIMIT_S)

    def _gateway_broker(self) -> list[str]:
        if not (self.broker and self._authority):
            return ["--broker", self.broker_url]
        files = {"--ca": "ca.pem", "--cert": "gateway.pem", "--key": "gateway.key"}
        url = f"mqtts://{self.broker.host}:{self.broker.gateway_port}"
        return [
            *("--broker", url),
            *(
                word
                for option, name in files.items()
                for word in (option, str(self._authority / name))
            ),
        ]

    def wait_gateway_online(self, more_than: int, limit_s: float) -> None:
        """Wait until a gateway has said ``online`` more often than that.

        Raises:
            ServiceError: it has ended, or the limit has passed.
        """
        deadline = time.monotonic() + limit_s
        gateway = self._gateway
        while not self._watch().wait_presence("online", more_than, 0.2):
            if gateway and not gateway.running:
                raise ServiceError(
                    f"The gateway has ended (it said: {gateway.last_words()}); see {gateway.log}."
                )
            if time.monotonic() > deadline:
                log = f"; see {gateway.log}" if gateway else ""
                raise ServiceError(f"The gateway was not online within {limit_s:.0f} s{log}.")

    def stop_gateway(self) -> None:
        """End the gateway in good order."""
        self._end_gateway(Process.stop)

    def kill_gateway(self) -> None:
        """End the gateway with SIGKILL."""
        self._end_gateway(Process.kill)

    def _end_gateway(self, end: Callable[[Process], None]) -> None:
        gateway, self._gateway = self._gateway, None
        self._gateway_due = False
        if not gateway:
            return
        watched = self.observer if self._broker_there else None
        offline = watched.presences("offline") if watched else 0
        end(gateway)
        if watched:
            # Its last will; a gateway started before that would be taken for the old one.
            watched.wait_presence("offline", offline, STOP_LIMIT_S)

    @property
    def _broker_there(self) -> bool:
        return self.broker is None or self.broker.running

    def _watch(self) -> Observer:
        if self.observer is None:
            raise ServiceError("The broker has not been started.")
        return self.observer

    @property
    def watched(self) -> Observer:
        """Who knows what the broker retains.

        Raises:
            ServiceError: the broker has not been started.
        """
        return self._watch()

    @property
    def clock_address(self) -> str:
        """The gateway's ``--clock``.

        Raises:
            ServiceError: the gateway has not been started.
        """
        if self._clock is None:
            raise ServiceError("The gateway has not been started.")
        return self._clock.address

    # --- what the network asks (network.FarSide)

    def retained(self, topic_filter: str) -> list[str]:
        """Return the topics with a retained message that match."""
        return self._watch().retained(topic_filter)

    def confirms(self, topic: str, payload: bytes) -> bool:
        """Return whether the gateway confirms this: it runs, and it is a tracker's block."""
        del payload  # authentic by assumption; see the class that knows better
        return self.gateway_running and mqtt.topic_matches_sub(PREFIX + "+/up", topic)

    def confirmations(self, topic: str) -> int:
        """Return how many messages have been seen on a confirmation topic."""
        return self._watch().seen(topic)

    def await_confirmation(self, topic: str, more_than: int, limit_s: float) -> bool:
        """Wait until more messages have been seen."""
        deadline = time.monotonic() + limit_s
        while not self._watch().wait_seen(topic, more_than, 0.2):
            self.check()
            if time.monotonic() > deadline:
                return False
        return True

    def check(self) -> None:
        """Raise RunInvalidError if the broker or the gateway has ended by itself."""
        if self.broker and not self.broker.running:
            raise RunInvalidError(
                f"The run is invalid: the broker has ended by itself; see {self._work}/broker.log."
            )
        if self._gateway and not self._gateway.running:
            raise RunInvalidError(
                "The run is invalid: the gateway has ended by itself (it said: "
                f"{self._gateway.last_words()}); see {self._gateway.log}."
            )
