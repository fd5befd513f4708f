"""Identities of simulated trackers: derived from the seed, and marked as simulated.

The keys can be computed from the seed, so they protect nothing. The registration therefore has
``"test": true``, and the tracker id begins with ``SIM-``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cbor2

KEY_VERSION = 1


@dataclass(frozen=True)
class Identity:
    """The identity of a simulated tracker, and its shipment."""

    tracker: str
    uplink_key: bytes
    downlink_key: bytes
    shipment: str

    def device_file(
        self,
        host: str,
        port: int,
        apn: str = "iot.example",
        options: Mapping[int, object] | None = None,
    ) -> bytes:
        """Return ``identity.cbor`` for the tracker; the broker is ``host``:``port``.

        ``options`` has the optional fields by their keys: 9 and above.
        """
        return cbor2.dumps(
            {
                0: 1,
                1: self.tracker,
                2: KEY_VERSION,
                3: self.uplink_key,
                4: self.downlink_key,
                5: host,
                6: port,
                7: apn,
                8: self.shipment,
                **(options or {}),
            },
            canonical=True,
        )

    def write_registration(self, path: Path) -> None:
        """Write the file for ``coldtrail gateway register``, readable by its owner only."""
        document = {
            "coldtrail": "registration/1",
            "trackers": [
                {
                    "id": self.tracker,
                    "test": True,
                    "keys": [
                        {
                            "version": KEY_VERSION,
                            "uplink": self.uplink_key.hex(),
                            "downlink": self.downlink_key.hex(),
                        }
                    ],
                }
            ],
            "shipments": [{"id": self.shipment, "tracker": self.tracker}],
        }
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")


def simulated(seed: int, scenario: str) -> Identity:
    """Return the identity of a scenario's tracker for ``seed``."""

    def key(purpose: str) -> bytes:
        text = f"coldtrail simulated tracker, seed {seed}, {purpose}"
        return hashlib.sha256(text.encode()).digest()

    return Identity(
        tracker=f"SIM-{seed:06d}",
        uplink_key=key("uplink"),
        downlink_key=key("downlink"),
        shipment=f"{scenario[:20].upper().replace('_', '-')}-{seed}",
    )
