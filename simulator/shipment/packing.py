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
"""Key in identity.cbor."""
CERTIFICATES = ("ca.pem", "client.pem", "client.key")
COMMAND_LIMIT_S = 300  # only for a hang: a busy host takes seconds
BROKER_NAME = "broker.example"
GATEWAY_NAME = "GATEWAY"
PORTS = (1883, 8883)
"""Ports of a broker without and with TLS, as seen by the tracker."""


class ShipmentError(RuntimeError):
    """The shipment cannot be run; the message is one sentence with a solution."""


@dataclass(frozen=True)
class Flashed:
    """A provisioned and flashed tracker, which boots from an image of its chip's flash."""

    image: Path
    identity: Identity
    registration: Path
    """The registration file for the gateway."""


def command(*arguments: str) -> str:
    """Run the ``coldtrail`` command and return its output.

    Raises:
        ShipmentError: the command fails; the message is its own.
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
    """Create an authority with certificates for broker and tracker, valid at a scenario's start.

    And for the same broker as a gateway on this machine reaches it (``local``), and the gateway.

    Raises:
        ShipmentError: it cannot be created.
    """
    # A real broker checks the tracker's certificate with the clock of the host.
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
    """Write firmware, board file, profile and identity to a tracker's file system.

    With an ``authority`` (see ``certify``) it includes the files for TLS; ``flights`` are planned
    flights.

    Raises:
        ShipmentError: the profile does not exist.
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
    """Make ``out`` an empty folder, unless it contains other files than the results of a run.

    Raises:
        ShipmentError: it contains other files.
    """
    if out.exists():
        if any(out.iterdir()) and not (out / "journal.jsonl").exists():
            raise ShipmentError(
                f"{out} holds something else than the results of a run: name another folder."
            )
        shutil.rmtree(out)
    out.mkdir(parents=True)
    # This file marks the folder as that of a run, even if the run is interrupted.
    (out / "journal.jsonl").touch()
