"""A user of the gateway who sends commands, and an intruder who forges them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from coldtrail_simulator.clock import RunInvalidError
from coldtrail_simulator.network.contract import COMMAND, topic
from coldtrail_simulator.services.services import Services

SEEN_LIMIT_S = 300.0  # only for a hang: a busy host takes seconds


class GatewayUser:
    """Sends commands. No virtual time passes: when a call returns, its command is retained.

    Args:
        tracker: the id of the tracker that receives the commands.
        services: the broker and the gateway.
        out: folder for the profiles that are sent.
        database: the gateway's ``--db``.
        run: runs the ``coldtrail`` command with the given arguments.
    """

    def __init__(
        self,
        tracker: str,
        services: Services,
        out: Path,
        database: str,
        run: Callable[..., object],
    ) -> None:
        self._run = run
        self._tracker = tracker
        self._services = services
        self._out = out
        self._database = database
        self._topic = topic(tracker, COMMAND)
        self._sent: list[bytes] = []
        self._foreign = b""

    def command(self, arguments: Sequence[str]) -> None:
        """Run ``coldtrail gateway command``; ``configure`` takes the name of a profile.

        Raises:
            RunInvalidError: the gateway does not send it. Exceptions of ``run`` are passed on.
        """
        arguments = list(arguments)
        if arguments[0] == "configure":
            file = self._out / f"{arguments[1]}.cbor"
            self._run("profile", arguments[1], "-o", str(file))
            arguments[1] = str(file)
        watch = self._services.watch
        seen, before = watch.seen(self._topic), watch.payload(self._topic)
        options = ("--db", self._database, "--clock", self._services.clock_address)
        self._run("gateway", "command", self._tracker, *arguments, *options)
        # A command waits in the gateway while an earlier one has no outcome.
        if before in (b"", self._foreign):
            self._await(seen)
            self._sent.append(watch.payload(self._topic))

    def intrude(self, what: str) -> None:
        """Retain a foreign command at the broker: "forge" one, or "replay" the first one.

        Raises:
            RunInvalidError: there is no command to replay, or the broker does not accept it.
        """
        if not self._sent:
            raise RunInvalidError(
                "The run is invalid: an intruder came before the first command; let it come later."
            )
        genuine = self._sent[0]
        tag = bytes((genuine[-1] ^ 1,))
        self._foreign = genuine if what == "replay" else genuine[:-1] + tag
        seen = self._services.watch.seen(self._topic)
        self._services.watch.retain(self._topic, self._foreign)
        self._await(seen)

    def _await(self, seen: int) -> None:
        if not self._services.watch.wait_seen(self._topic, seen, SEEN_LIMIT_S):
            raise RunInvalidError(
                f"The run is invalid: no command was sent to {self._tracker} within "
                f"{SEEN_LIMIT_S:.0f} s; see the gateway's log."
            )
