"""Bytes a reading of eight channels costs in this format and in others: the same data, one run.

``python -m tests.bench.size`` prints the table. The other formats carry the readings, their times
and the tracker's id, and nothing that tells a forged or a missing message from a good one; what
the chain and the MAC add to a block can be read off its first two rows.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any, Final

import cbor2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "firmware"), str(ROOT / "tests" / "firmware" / "support")]

from tests.support.blocks import eight_channels  # noqa: E402
from tests.support.blocks.eight_channels import Sample  # noqa: E402
from tests.support.trackers import interpreters  # noqa: E402

READINGS: Final = (1, 12, 48, 96)
RUNS: Final = 200
TRACKER: Final = "CT-0001"
SHIPMENT: Final = "SHIPMENT-0042"
BOOT_UNIX: Final = 1_750_000_000
FIRST: Final = 3 * 86400  # seconds since boot: three days into a journey

# Name, SenML unit (RFC 8428, 12.1), size of the contract's unit in it, its decimals.
CHANNELS: Final = (
    ("payload", "Cel", 0.01, 2),
    ("ambient", "Cel", 0.01, 2),
    ("humidity", "%RH", 0.1, 1),
    ("light", "lx", 0.01, 2),
    ("battery", "V", 0.001, 3),
    ("x", "m/s2", 0.00980665, 3),
    ("y", "m/s2", 0.00980665, 3),
    ("z", "m/s2", 0.00980665, 3),
)


def in_units(values: Sequence[int | None]) -> dict[str, float]:
    """Return the readings in the units of SenML, as plain JSON would have them."""
    return {
        name: round(value * scale, decimals)
        for (name, _, scale, decimals), value in zip(CHANNELS, values, strict=True)
        if value is not None
    }


def plain_json(samples: list[Sample]) -> bytes:
    """One object a reading."""
    readings = [{"t": BOOT_UNIX + t, **in_units(values)} for t, _, values in samples]
    return compact({"id": TRACKER, "readings": readings})


def gzip_json(samples: list[Sample]) -> bytes:
    """Plain JSON, compressed."""
    return gzip.compress(plain_json(samples), 9, mtime=0)


def senml_json(samples: list[Sample]) -> bytes:
    """RFC 8428: base name and time once, then a record a value."""
    return compact(senml(samples))


def senml_cbor(samples: list[Sample]) -> bytes:
    """RFC 8428, 6: the same with its integer labels; numbers as short as they are exact."""
    labels = {"bn": -2, "bt": -3, "n": 0, "u": 1, "v": 2, "t": 6}
    records = [{labels[key]: value for key, value in record.items()} for record in senml(samples)]
    return cbor2.dumps(records, canonical=True)


def senml(samples: list[Sample]) -> list[dict[str, str | float]]:
    """Return the SenML records."""
    start = samples[0][0]
    records: list[dict[str, str | float]] = []
    for t, _, values in samples:
        for (name, unit, _, _), value in zip(CHANNELS, in_units(values).values(), strict=True):
            record: dict[str, str | float] = {"n": name, "u": unit, "v": value}
            if t != start:
                record["t"] = t - start
            records.append(record)
    return [{"bn": f"urn:dev:ops:{TRACKER}:", "bt": BOOT_UNIX + start, **records[0]}, *records[1:]]


def row_cbor(samples: list[Sample]) -> bytes:
    """Integers in the contract's units, an array a reading."""
    return cbor2.dumps([TRACKER, [[BOOT_UNIX + t, *values] for t, _, values in samples]])


def protobuf(samples: list[Sample]) -> bytes:
    """Integers in the contract's units (sint32), a message a reading."""
    batch = _Batch()
    batch.id = TRACKER
    for t, _, values in samples:
        reading = batch.readings.add(t=BOOT_UNIX + t)
        for (name, *_), value in zip(CHANNELS, values, strict=True):
            setattr(reading, name, value)
    encoded: bytes = batch.SerializeToString(deterministic=True)
    return encoded


def _protobuf_batch() -> Any:
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="size.proto", syntax="proto3")
    reading = file.message_type.add(name="Reading")
    for number, name in enumerate(["t", *(name for name, *_ in CHANNELS)], start=1):
        kind = field.TYPE_UINT32 if name == "t" else field.TYPE_SINT32
        reading.field.add(name=name, number=number, type=kind, label=field.LABEL_OPTIONAL)
    batch = file.message_type.add(name="Batch")
    batch.field.add(name="id", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    batch.field.add(
        name="readings",
        number=2,
        type=field.TYPE_MESSAGE,
        type_name=".Reading",
        label=field.LABEL_REPEATED,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Batch"))


_Batch = _protobuf_batch()


def compact(value: object) -> bytes:
    """Return JSON without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def block(samples: list[Sample], *, whole: bool = False) -> bytes:
    """A sealed block as the firmware makes it; `whole`: with shipment id and clock sync, too."""
    number = FIRST // eight_channels.INTERVAL // len(samples)
    first = [bytes(8), number, bytes(16), 2, 1000, eight_channels.INTERVAL]
    sync = [FIRST - 240, 0, BOOT_UNIX + FIRST - 240, 512, 600, 1]
    (sealed,) = interpreters.CPython().call(
        "seal_all",
        [*first, SHIPMENT if whole else None],
        [[1, cbor2.dumps([t, status, *values])] for t, status, values in samples],
        [sync if whole else None, False],
        bytes(32),
        1,
        TRACKER,
    )
    made: bytes = sealed
    return made


def block_payload(samples: list[Sample]) -> bytes:
    """The block without its COSE envelope."""
    payload: bytes = cbor2.loads(block(samples)).value[2]
    return payload


FORMATS: Final[dict[str, Callable[[list[Sample]], bytes]]] = {
    "block, payload": block_payload,
    "block, sealed": block,
    "block, sealed, with shipment and clock": lambda samples: block(samples, whole=True),
    "row-wise CBOR": row_cbor,
    "protobuf": protobuf,
    "gzip JSON": gzip_json,
    "plain JSON": plain_json,
    "SenML CBOR": senml_cbor,
    "SenML JSON": senml_json,
}


def stretches(readings: int, runs: int = RUNS) -> list[list[Sample]]:
    """Return the data: so many stretches of so many readings."""
    return [
        list(islice(eight_channels.samples(f"size/{run}", FIRST), readings)) for run in range(runs)
    ]


def main() -> None:
    """Print the table."""
    data = [stretches(readings) for readings in READINGS]
    print(f"bytes a reading of {len(CHANNELS)} channels, mean of {RUNS} runs of the same data\n")
    print(f"{'readings a message':40}" + "".join(f"{readings:8}" for readings in READINGS))
    for name, encode in FORMATS.items():
        sizes = [mean(len(encode(samples)) / len(samples) for samples in runs) for runs in data]
        print(f"{name:40}" + "".join(f"{size:8.1f}" for size in sizes))


if __name__ == "__main__":
    main()
