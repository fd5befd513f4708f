"""What a reading costs on the air, on the committed data, and that the comparison is fair."""

from __future__ import annotations

import gzip
import json
from itertools import islice, pairwise
from statistics import mean, pstdev
from typing import Any

import cbor2
import pytest

from tests.bench import size
from tests.support.blocks import eight_channels

RUNS = 1000


@pytest.mark.parametrize(
    ("readings", "encode", "target", "limit"),
    [
        pytest.param(12, size.block, 19, 20, id="12, COSE included"),
        pytest.param(12, size.block_payload, 15, 16, id="12, without COSE"),
        pytest.param(48, size.block, 12, 12, id="48, COSE included"),
    ],
)
def test_bytes_a_reading(readings: int, encode: Any, target: float, limit: float) -> None:
    sizes = [len(encode(samples)) / readings for samples in size.stretches(readings, RUNS)]
    print(f"mean {mean(sizes):.3f}, largest {max(sizes):.3f}")
    assert mean(sizes) <= target
    assert max(sizes) <= limit


def test_a_day_of_readings_fits_a_few_blocks() -> None:
    for samples in size.stretches(96, 20):
        assert len(size.block(samples, whole=True)) <= 1400


@pytest.mark.parametrize("readings", [12, 48, 96])
def test_nothing_compared_is_smaller(readings: int) -> None:
    for samples in size.stretches(readings, 5):
        block = len(size.block(samples, whole=True))
        for name, encode in size.FORMATS.items():
            assert name.startswith("block") or len(encode(samples)) > block, name


def test_what_is_compared_holds_the_data() -> None:
    (samples,) = size.stretches(48, 1)
    plain = json.loads(size.plain_json(samples))
    assert gzip.decompress(size.gzip_json(samples)) == size.plain_json(samples)
    rows = cbor2.loads(size.row_cbor(samples))[1]
    batch: Any = size._Batch()
    batch.ParseFromString(size.protobuf(samples))
    senml = json.loads(size.senml_json(samples))
    labels = {-2: "bn", -3: "bt", 0: "n", 1: "u", 2: "v", 6: "t"}
    assert [
        {labels[key]: value for key, value in record.items()}
        for record in cbor2.loads(size.senml_cbor(samples))
    ] == senml
    for index, (t, _, values) in enumerate(samples):
        unix = size.BOOT_UNIX + t
        readings = size.in_units(values)
        assert plain["readings"][index] == {"t": unix, **readings}
        assert rows[index] == [unix, *values]
        assert [getattr(batch.readings[index], name) for name in readings] == values
        records = senml[8 * index : 8 * index + 8]
        assert [record["v"] for record in records] == list(readings.values())
        assert {senml[0]["bt"] + record.get("t", 0) for record in records} == {unix}


# From the same datasheets as the generator: RMS, in the contract's units.
NOISE = {
    0: 100 * 150e-6 / (2.0 * 4300 / 5320) * 4300 / 3.9,
    1: 4 / 3,
    5: 4.5,
    6: 4.5,
    7: 4.5,
}


def test_the_data_has_the_noise_of_the_datasheets() -> None:
    # Two readings a second apart differ by noise alone: by the square root of two times the RMS.
    samples = list(islice(eight_channels.samples("noise", interval=1), 4000))
    for channel, rms in NOISE.items():
        column = [values[channel] for _, _, values in samples]
        steps = [later - earlier for earlier, later in pairwise(column)]  # type: ignore[operator]
        # Converting codes of 0.976 mg to whole mg merges two of them here and there.
        assert pstdev(steps) / 2**0.5 == pytest.approx(rms, rel=0.1), channel
    assert {values[3] for _, _, values in samples} == {0, 1, 2, 3}
