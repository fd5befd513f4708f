"""Makes the contract's test vectors with the firmware on MicroPython.

``python -m tests.support.blocks.vectors`` writes them to ``firmware/vectors``. Each message has a
``.json`` with its inputs and its bytes, and a ``.diag`` in diagnostic notation.
"""

from __future__ import annotations

import hashlib
import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any, Final

import cbor2

ROOT: Final = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "firmware"), str(ROOT / "tests" / "firmware" / "support")]

from tests.support.blocks import contract, eight_channels  # noqa: E402
from tests.support.references import diagnostic  # noqa: E402
from tests.support.trackers import interpreters  # noqa: E402
from tests.support.trackers.interpreters import Interpreter  # noqa: E402

FOLDER: Final = ROOT / "firmware" / "vectors"
TRACKER: Final = "TEST-0001"
UPLINK_KEY: Final = bytes(range(0x20))
DOWNLINK_KEY: Final = bytes(range(0x20, 0x40))
KEY_VERSION: Final = 1
CHAIN: Final = bytes.fromhex("c01dc8a100000001")
SHIPMENT: Final = "S-42"
BLOCK: Final = 65001
CONFIRMATION: Final = 65002
COMMAND: Final = 65003
UNIX: Final = 1750000000
SYNC: Final = [52, 300, UNIX, 250, 1500, 1]

Record = list[Any]


def histories() -> dict[str, tuple[list[Record], dict[str, Any]]]:
    """Return the records and the other content of each block of one chain, in order."""
    quiet = [500, 2215, 450, 0, 3921, -12, 31, 996]
    samples = islice(eight_channels.samples("vectors", 900), contract.MOST_SAMPLES)
    return {
        "boot": (
            [
                [3, [0, 1, 1, 7, "0.1.0"]],
                [7, [1, "2-8 C", bytes.fromhex("1122334455667788")]],
                [4, SYNC],
            ],
            {"sync": SYNC, "shipment": None},
        ),
        "first-samples": (
            [
                [10, [60, SHIPMENT]],
                [1, [60, 0, 512, 2214, 447, 0, 3921, -12, 31, 996]],
                [1, [360, 0, 509, 2216, 447, 0, 3921, -11, 31, 995]],
                [1, [660, 0, 505, 2221, 446, 2, 3920, -12, 30, 997]],
            ],
            {"sync": SYNC},
        ),
        "quiet": (
            [[1, [960 + 300 * n, 0, *quiet]] for n in range(12)],
            {"sync": SYNC},
        ),
        "absent": (
            [
                [1, [4560, 3, None, *quiet[1:]]],
                [1, [4861, 3, None, *quiet[1:]]],
                [1, [5160, 0, *quiet]],
                [1, [5460, 2 << 4, 498, None, None, *quiet[3:]]],
                [1, [6060, 0, *[None] * 8]],
                [1, [6360, 0, *quiet]],
                [13, [4560, 0, 3, 1]],
                [13, [5160, 0, 3, 0]],
                [9, [5461, 2, 1]],
            ],
            {"sync": SYNC},
        ),
        "alarm": (
            [
                [1, [6660, 0, 815, *quiet[1:]]],
                [5, [6660, 3, 1, 0, 3, 800, 0, 815, 0]],
                [6, [6960, 3, 1, 801, 815, 300]],
                [2, [7000, 52520008, -13404954, 25, 1]],
            ],
            {"sync": SYNC, "urgent": True},
        ),
        "sensing": (
            [
                [16, [0, 0, "PT-1", "DKD-17", 1740000000, 1771536000, [[-8000, 4], [800, -2]]]],
                [1, [7260, 1 << 20, *quiet]],
                [14, [7301, -214, 8120, 1033]],
                [15, [7301, 310]],
                [5, [7301, 7, 1, 8, 3, 6000, 0, 8120, 0]],
                [6, [7301, 7, 1, 8120, 8120, 0]],
                [19, [7320, 234, 15, 4660, 27447297, 1, -97]],
                [18, [7330, 3, 1, 0, 0, 0, 1]],
                [17, [7340, 1750007328000, 2, 0]],
                [17, [7340, 1750007328000, 2, 1, "2 alarms acknowledged"]],
                [20, [7350, 1]],
                [21, [7260, 0, -300]],
            ],
            {"sync": SYNC, "urgent": True},
        ),
        "smallest": (
            [
                [kind, [limits.allowed()[0] for limits in fields]]
                for kind, fields in contract.EVENTS.items()
            ],
            {"boot": 2},
        ),
        "largest": (
            [
                [kind, [limits.allowed()[1] for limits in fields]]
                for kind, fields in contract.EVENTS.items()
                if kind != 3  # t is 0 at boot, its only value
            ],
            {"boot": 2, "sync": [field.allowed()[1] for field in contract.SYNC]},
        ),
        "extremes": (
            [
                [1, [0, 0, *[contract.READING.low] * 8]],
                [1, [0, contract.SECONDS.high, *[0] * 8]],
                [1, [contract.SECONDS.high, 0, *[contract.READING.high] * 8]],
            ],
            {"boot": 3, "interval": 86400},
        ),
        "full": (
            [[1, [t, status, *values]] for t, status, values in samples],
            {"boot": 4, "sync": SYNC},
        ),
        "shipment-stop": ([[11, [40000, SHIPMENT, 1]]], {"boot": 4, "sync": SYNC}),
        "nothing": ([], {"boot": 4, "sync": SYNC, "shipment": None}),
    }


def confirmations(watermark_hash: bytes) -> dict[str, dict[int, Any]]:
    """Return payloads of confirmations."""
    common = {0: 1, 1: CHAIN, 5: UNIX + 3600, 6: 125}
    return {
        "confirmation": {**common, 2: 2, 3: watermark_hash, 4: [[4, 4], [6, 8]]},
        "confirmation-of-nothing": {**common, 2: 0, 3: bytes(16), 4: []},
    }


def commands() -> dict[str, dict[int, Any]]:
    """Return payloads of commands."""
    profile = cbor2.dumps(contract.PROFILE.example, canonical=True)
    digest = hashlib.sha256(profile).digest()[:8]
    common = {0: 1, 2: UNIX + 7200}
    return {
        "command-acknowledge": {**common, 1: UNIX * 1000 + 7_328_000, 3: [2]},
        "command-configure": {**common, 1: UNIX * 1000 + 7_328_001, 3: [1, digest, profile]},
    }


def make(interpreter: Interpreter) -> dict[str, tuple[dict[str, Any], str]]:
    """Return the fields of the JSON and the diagnostic notation of each vector by its name."""
    made: dict[str, tuple[dict[str, Any], str]] = {}
    previous, sequence = bytes(16), 0
    digests: list[bytes] = []
    for number, (name, (records, setting)) in enumerate(histories().items(), start=1):
        encoded = [[kind, interpreter.call("encode", fields)] for kind, fields in records]
        begin = {
            "chain": CHAIN,
            "number": number,
            "previous": previous,
            "boot": setting.get("boot", 1),
            "first_sequence": sequence,
            "interval": setting.get("interval", eight_channels.INTERVAL),
            "shipment": setting.get("shipment", SHIPMENT),
        }
        optional = [setting.get("sync"), setting.get("urgent", False)]
        key = [UPLINK_KEY, KEY_VERSION, TRACKER]
        (sealed,) = interpreter.call("seal_all", [*begin.values()], encoded, optional, *key)
        previous = interpreter.call("digest", sealed)
        digests.append(previous)
        sequence += len(records)
        fields = {
            **message(BLOCK, "up", UPLINK_KEY),
            "begin": begin,
            "records": encoded,
            "sync": optional[0],
            "urgent": optional[1],
            "payload": cbor2.loads(sealed).value[2],
            "sealed": sealed,
            "digest": previous,
        }
        made[name] = (fields, diagnostic.envelope(sealed))
    documents = (CONFIRMATION, confirmations(digests[1])), (COMMAND, commands())
    for content_type, payloads in documents:
        for name, payload in payloads.items():
            made[name] = _to_the_tracker(interpreter, content_type, payload)
    return made


def _to_the_tracker(
    interpreter: Interpreter, content_type: int, payload: dict[int, Any]
) -> tuple[dict[str, Any], str]:
    encoded = interpreter.call("encode", payload)
    key = [DOWNLINK_KEY, KEY_VERSION, content_type, "down", TRACKER]
    sealed = interpreter.call("mac0", *key, encoded)
    fields = {
        **message(content_type, "down", DOWNLINK_KEY),
        "payload": encoded,
        "sealed": sealed,
    }
    return fields, diagnostic.envelope(sealed)


def message(content_type: int, direction: str, key: bytes) -> dict[str, Any]:
    """Return the inputs of a vector's envelope."""
    return {
        "content_type": content_type,
        "direction": direction,
        "tracker": TRACKER,
        "key_version": KEY_VERSION,
        "key": key,
    }


def files(interpreter: Interpreter) -> dict[str, str]:
    """Return the files of the folder by their names."""
    written: dict[str, str] = {}
    for name, (fields, notation) in make(interpreter).items():
        records = ",\n".join(f"    {_json(record)}" for record in fields.get("records", []))
        lines = [
            f'  "records": [\n{records}\n  ]'
            if key == "records" and records
            else f"  {_json(key)}: {_json(value)}"
            for key, value in fields.items()
        ]
        written[f"{name}.json"] = "{\n" + ",\n".join(lines) + "\n}\n"
        written[f"{name}.diag"] = notation
    return written


def _json(value: Any) -> str:
    return json.dumps(value, default=bytes.hex, ensure_ascii=False)


def main() -> None:
    """Write the folder, and remove files that do not belong to it."""
    with interpreters.start("micropython") as interpreter:
        written = files(interpreter)
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        if path.suffix in {".json", ".diag"} and path.name not in written:
            path.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"{len(written)} files in {FOLDER.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
