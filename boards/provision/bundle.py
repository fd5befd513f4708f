"""The identity of a tracker as one file, made by `provision tracker` and written by `flash`.

On disk it is a CBOR map {"coldtrail": "identity/1", "files": {name: bytes}}, with the names of the
files on the tracker. It contains keys, so only its owner may read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2

from coldtrail_boards import files
from coldtrail_boards.errors import BoardError
from coldtrail_boards.provision import certificates, fields
from coldtrail_boards.provision.fields import Key

IDENTITY, PROFILE, CALIBRATION = "identity.cbor", "profile.cbor", "calibration.cbor"
NAMES = {
    IDENTITY, PROFILE, CALIBRATION,
    certificates.CA, certificates.CERTIFICATE, certificates.KEY,
}  # fmt: skip
_FORMAT = "identity/1"


@dataclass(frozen=True)
class Bundle:
    """The provisioned files of one tracker."""

    files: Mapping[str, bytes]

    @property
    def identity(self) -> dict[int, Any]:
        """The map in identity.cbor."""
        found = identity_of(self.files)
        if found is None:
            raise BoardError(
                "An identity without a whole identity.cbor: provision the tracker again."
            )
        return found

    @property
    def tracker(self) -> str:
        """The tracker's id."""
        return str(self.identity[Key.TRACKER])

    @property
    def registration(self) -> dict[str, Any]:
        """The content of the registration file for the gateway (gateway/README.md)."""
        identity = self.identity
        keys = {
            "version": identity[Key.KEY_VERSION],
            "uplink": identity[Key.UPLINK_KEY].hex(),
            "downlink": identity[Key.DOWNLINK_KEY].hex(),
        }
        shipment = identity.get(Key.SHIPMENT)
        return {
            "coldtrail": "registration/1",
            "trackers": [{"id": self.tracker, "keys": [keys]}],
            "shipments": [{"id": shipment, "tracker": self.tracker}] if shipment else [],
        }

    def check(self, source: Path) -> None:
        """Check that all files are present and match each other.

        Raises:
            BoardError: a file is missing or does not match; `source` is named.
        """
        for name in (IDENTITY, PROFILE):
            if name not in self.files:
                raise BoardError(f"{source} has no {name}: provision the tracker again.")
        fields.check(self.identity, source)
        if self.identity.get(Key.TLS):
            certificates.check(dict(self.files), self.tracker, source)

    def save(self, path: Path) -> None:
        """Write the identity file.

        Raises:
            BoardError: the file exists already or cannot be written.
        """
        files.write(path, cbor2.dumps({"coldtrail": _FORMAT, "files": dict(self.files)}))

    @classmethod
    def load(cls, path: Path) -> Bundle:
        """Read an identity file and check it.

        Raises:
            BoardError: the file is not an identity, is readable by others, or has an expired or
                mismatched certificate.
        """
        data = files.read(path, secret=True)
        try:
            document = cbor2.loads(data)
            found = dict(document["files"]) if document["coldtrail"] == _FORMAT else {}
        except (cbor2.CBORDecodeError, KeyError, TypeError, ValueError):
            found = {}
        whole = found and all(
            name in NAMES and isinstance(content, bytes) for name, content in found.items()
        )
        if not whole:
            raise BoardError(f"{path} is no identity: name a file that 'provision tracker' wrote.")
        bundle = cls(found)
        bundle.check(path)
        return bundle


def identity_of(found: Mapping[str, bytes]) -> dict[int, Any] | None:
    """Return the map in identity.cbor, or None when it is missing or incomplete."""
    try:
        identity = cbor2.loads(found[IDENTITY])
        whole = isinstance(identity[Key.TRACKER], str) and set(range(9)) <= set(identity)
    except (cbor2.CBORDecodeError, KeyError, TypeError, ValueError):
        return None
    return dict(identity) if whole else None


def tracker_of(found: Mapping[str, bytes]) -> str | None:
    """Return the id of the tracker that owns these files, or None without an identity."""
    identity = identity_of(found)
    return str(identity[Key.TRACKER]) if identity else None
