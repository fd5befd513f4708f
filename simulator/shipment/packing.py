"""Prepares a shipment: certificates, the tracker's file system, an empty folder for results."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.esp32.interpreter import install, package
from coldtrail_simulator.paths import FIRMWARE
from coldtrail_simulator.shipment.identity import Identity

TLS, FLIGHTS = 9, 10
"""Key of the identity's file."""
CERTIFICATES = ("ca.pem", "client.pem", "client.key")
COMMAND_LIMIT_S = 60
BROKER_NAME = "broker.example"
GATEWAY_NAME = "GATEWAY"
PORTS = (1883, 8883)
"""Of a broker without and with TLS, as the tracker has them."""


class ShipmentError(RuntimeError):
    """The shipment cannot be run; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class Flashed:
    """A tracker that was provisioned and flashed: it boots an image of its chip's flash."""

    image: Path
    identity: Identity
    registration: Path
    """The file for its gateway."""


def command(*arguments: str) -> str:
    """Run the ``coldtrail`` command and return what it prints.

    Raises:
        ShipmentError: it fails; the message is the command's own.
    """
    done = subprocess.run(
        [sys.executable, "-m", "coldtrail_boards", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise ShipmentError(f"coldtrail {' '.join(arguments[:2])}: {said}")
    return done.stdout


def certify(folder: Path, tracker: str, start: datetime) -> None:
    """Make an authority with certificates for a broker and a tracker, valid as a scenario starts.

    And for the same broker as a gateway on this machine reaches it (``local``), and the gateway.

    Raises:
        ShipmentError: it cannot be made.
    """
    # A real broker judges the tracker's by the host's clock.
    since = min(start, datetime.now(UTC)) - timedelta(days=1)
    issue = ("provision", "ca", str(folder), "--from", f"{since:%Y-%m-%d}")
    command(*issue, "--broker", "127.0.0.1", "--tracker", GATEWAY_NAME)
    for kind in ("pem", "key"):
        (folder / f"broker.{kind}").rename(folder / f"local.{kind}")
        (folder / f"client.{kind}").rename(folder / f"gateway.{kind}")
    command(*issue, "--broker", BROKER_NAME, "--tracker", tracker)


def build_volume(
    volume: Path,
    board: str,
    profile: str,
    identity: Identity,
    port: int,
    authority: Path | None = None,
    flights: Sequence[Sequence[int]] = (),
) -> None:
    """Put firmware, board file, profile and identity on a tracker's file system.

    With an ``authority`` (see ``certify``) also what it needs for TLS; ``flights`` are planned.

    Raises:
        ShipmentError: there is no such profile.
    """
    install(volume, package(FIRMWARE))
    install(volume, {"board.py": boards.path_of(board)})
    command("profile", profile, "-o", str(volume / "profile.cbor"))
    options: dict[int, object] = {TLS: 1} if authority else {}
    if flights:
        options[FLIGHTS] = flights
    (volume / "identity.cbor").write_bytes(
        identity.device_file(BROKER_NAME, port, options=options)
    )
    if authority:
        for name in CERTIFICATES:
            shutil.copyfile(authority / name, volume / name)


def clear(out: Path) -> None:
    """Make ``out`` an empty folder; one with anything but a run's results in it is left alone.

    Raises:
        ShipmentError: it is no folder of ours.
    """
    if out.exists():
        if any(out.iterdir()) and not (out / "journal.jsonl").exists():
            raise ShipmentError(
                f"{out} holds something else than the results of a run: name another folder."
            )
        shutil.rmtree(out)
    out.mkdir(parents=True)
    # What marks the folder as a run's, also after one that was broken off.
    (out / "journal.jsonl").touch()
