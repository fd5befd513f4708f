"""The committed test vectors are what the firmware makes, and what others read."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Final

import cbor2
import pytest
from pycose.keys.symmetric import SymmetricKey
from pycose.messages.mac0message import Mac0Message

from coldtrail.contract import confirmation, cose
from coldtrail_gateway.contract import block as gateway_block
from coldtrail_gateway.contract import command, envelope
from tests.support.blocks import cddl, contract, vectors
from tests.support.trackers import interpreters

NAMES: Final = sorted(path.stem for path in vectors.FOLDER.glob("*.json"))
NAMES_OF_COMMANDS: Final = ("acknowledge", "configure")
UPLINK: Final = vectors.ROOT / "firmware" / "UPLINK.md"


def read(name: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(Path(vectors.FOLDER, f"{name}.json").read_text())
    for key in ("key", "payload", "sealed", "digest"):
        if key in fields:
            fields[key] = bytes.fromhex(fields[key])
    return fields


def kind(vector: dict[str, Any]) -> envelope.Kind:
    return next(k for k in envelope.Kind if k.content_type == vector["content_type"])


@pytest.mark.parametrize("interpreter", interpreters.NAMES)
def test_the_firmware_makes_the_committed_files(interpreter: str) -> None:
    with interpreters.start(interpreter) as started:
        made = vectors.files(started)
    kept = {path.name: path.read_text() for path in vectors.FOLDER.iterdir()}
    assert kept == made, "python -m tests.support.blocks.vectors makes them again"


@pytest.mark.parametrize("name", NAMES)
def test_vectors_keep_the_contract(name: str) -> None:
    vector = read(name)
    assert len(vector["sealed"]) <= contract.LARGEST_SEALED
    assert cddl.is_valid("sealed", vector["sealed"])
    assert cddl.is_valid(kind(vector).name.lower(), vector["payload"])
    value = cbor2.loads(vector["payload"])
    assert cbor2.dumps(value, canonical=True) == vector["payload"]


@pytest.mark.parametrize("name", NAMES)
def test_vectors_verify_elsewhere(name: str) -> None:
    vector = read(name)
    message: Any = Mac0Message.decode(vector["sealed"])
    message.key = SymmetricKey(k=vector["key"])
    message.external_aad = cbor2.dumps(["coldtrail/1", vector["direction"], vector["tracker"]])
    assert message.verify_tag()
    keys = {vector["key_version"]: vector["key"]}
    opened = envelope.open_sealed(vector["sealed"], kind(vector), vector["tracker"], keys)
    assert opened.payload == vector["payload"]


@pytest.mark.parametrize("name", [name for name in NAMES if "begin" in read(name)])
def test_the_gateway_reads_the_records_back(name: str) -> None:
    vector = read(name)
    decoded = gateway_block.decode(vector["payload"])
    samples = iter([[s.t, s.status, *s.values] for s in decoded.samples])
    events = iter([[event.type, *event.fields.values()] for event in decoded.events])
    for kind, payload in vector["records"]:
        fields = cbor2.loads(bytes.fromhex(payload))
        assert (next(samples) if kind == 1 else next(events)) == (
            fields if kind == 1 else [kind, *fields]
        )
    assert not [*samples, *events]
    assert decoded.urgent is vector["urgent"]
    assert decoded.shipment == vector["begin"]["shipment"]


def test_blocks_are_one_chain() -> None:
    blocks = sorted(
        (read(name) for name in NAMES if "begin" in read(name)),
        key=lambda vector: int(vector["begin"]["number"]),
    )
    assert [vector["begin"]["number"] for vector in blocks] == [*range(1, len(blocks) + 1)]
    previous = bytes(16)
    for vector in blocks:
        assert cbor2.loads(vector["payload"])[3] == previous
        previous = hashlib.sha256(vector["sealed"]).digest()[:16]
        assert previous == vector["digest"] == cose.digest(vector["sealed"])


def test_the_confirmation_names_a_block_of_the_chain() -> None:
    vector = read("confirmation")
    chain, watermark, digest, ranges, unix, ms = confirmation.parse(vector["payload"])
    (named,) = (
        read(name) for name in NAMES if read(name).get("begin", {}).get("number") == watermark
    )
    assert chain.hex() == named["begin"]["chain"]
    assert digest == named["digest"]
    assert (ranges, unix, ms) == ([[4, 4], [6, 8]], 1750003600, 125)


def test_commands_are_read_by_the_gateway_too() -> None:
    said = {name: command.read(read(f"command-{name}")["payload"]) for name in NAMES_OF_COMMANDS}
    assert said["acknowledge"]["action"] == "acknowledge"
    digest = hashlib.sha256(cbor2.loads(read("command-configure")["payload"])[3][2]).digest()
    assert said["configure"]["action"] == f"configure {digest[:8].hex()}"


def test_the_description_takes_a_vector_apart_whole() -> None:
    text = UPLINK.read_text(encoding="utf-8")
    (dump,) = re.findall(r"^```hex\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    octets = "".join(line.split("|")[0] for line in dump.splitlines())
    assert bytes.fromhex(octets) == read("first-samples")["sealed"]
