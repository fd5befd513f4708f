"""A proof shows that blocks were anchored, shows nothing else, and cannot be bent."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from coldtrail_gateway.audit import anchor_keys, proofs
from coldtrail_gateway.audit.proofs import ProofError
from coldtrail_gateway.cli.main import gateway
from coldtrail_gateway.contract.utc import iso
from tests.gateway.audit.kept import NOW_MS, Kept, deliver, keep
from tests.support.blocks.blockmaker import Maker, rows


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return keep(f"sqlite:///{tmp_path}/gateway.db", tmp_path)


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(gateway, ["audit", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def test_the_blocks_of_a_shipment_and_no_others(kept: Kept, tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    # Of the archive's six, four are CT-1's; one of these nobody can read, and it may belong here.
    deliver(kept.database, [Maker(chain=b"chain  7").block(rows(1))])
    result = run("prove", "S-1", "--db", kept.database, "--anchors", kept.folder, "-o", file)
    assert "1 of 5 blocks are in no anchor yet" in result.stderr
    whole = file.read_text()
    assert "CT-2" not in whole
    public = kept.folder / "anchor-public.pem"
    listed = run("check-proof", file, "--public-key", public).stdout
    assert listed.count("tracker CT-1") == 4
    assert listed.endswith("proven: 4\n")
    found = json.loads(run("check-proof", file, "--public-key", public, "--json").stdout)
    assert {one["id"] for one in found} == {1, 2, 5, 6}
    assert {one["anchored"] for one in found} == {iso(NOW_MS)}


def test_an_outsider_follows_the_path_by_hand(kept: Kept) -> None:
    """RFC 9162, 2.1.3.2, in other words: at each height left or right, by the index."""
    proof, _ = proofs.make(kept.folder, all_digests(kept))
    statements = {
        json.loads(one["statement"])["number"]: json.loads(one["statement"])
        for one in proof["anchors"]
    }
    assert len(proof["blocks"]) == 6
    for block in proof["blocks"]:
        digest = sha256(b"\x00" + block["line"].encode()).digest()
        statement = statements[block["anchor"]]
        index, last = block["index"], statement["lines"] - 1
        path = [bytes.fromhex(sibling) for sibling in block["path"]]
        while last:
            if index % 2 or index < last:
                sibling = path.pop(0)
                pair = sibling + digest if index % 2 else digest + sibling
                digest = sha256(b"\x01" + pair).digest()
            index, last = index // 2, last // 2
        assert path == []
        assert digest.hex() == statement["root"]


def all_digests(kept: Kept) -> list[bytes]:

    lines = [
        json.loads(line)
        for file in sorted(kept.folder.glob("*.lines.gz"))
        for line in gzip.decompress(file.read_bytes()).splitlines()
    ]
    return [bytes.fromhex(line["sha256"]) for line in lines if "entry" not in line]


def block(key: str, value: Any) -> Callable[[Any], None]:
    return lambda proof: proof["blocks"][0].__setitem__(key, value)


def edit(proof: Any, old: str, new: str) -> None:
    line = proof["blocks"][0]["line"]
    assert old in line
    proof["blocks"][0]["line"] = line.replace(old, new)


@pytest.mark.parametrize(
    "bend",
    [
        lambda proof: edit(proof, str(NOW_MS), str(NOW_MS - 1)),
        lambda proof: edit(proof, '"tracker":"CT-1"', '"tracker":"CT-3"'),
        block("index", 1),
        block("index", -1),
        block("index", 6),
        block("anchor", 2),
        block("anchor", 3),
        block("path", []),
        lambda proof: proof["blocks"][0]["path"].reverse(),
        lambda proof: proof["blocks"][0]["path"].append("00" * 32),
        lambda proof: proof["anchors"][0].update(signature="00" * 64),
        lambda proof: proof["anchors"][0].update(
            statement=proof["anchors"][0]["statement"].replace("2026", "2025")
        ),
        lambda proof: proof.update(coldtrail="proof/2"),
        lambda proof: proof.clear(),
    ],
)
def test_a_proof_cannot_be_bent(kept: Kept, bend: Callable[[Any], None]) -> None:
    key = anchor_keys.public(kept.folder / "anchor-public.pem")
    proof, missing = proofs.make(kept.folder, all_digests(kept))
    assert missing == []
    assert len(proofs.verify(proof, key)) == 6
    bent = copy.deepcopy(proof)
    bend(bent)
    with pytest.raises(ProofError):
        proofs.verify(bent, key)


@pytest.mark.parametrize(
    "content", ["", "[]", "1", "null", '{"coldtrail": "proof/1"}', "[" * 9999]
)
def test_what_is_no_proof(kept: Kept, tmp_path: Path, content: str) -> None:
    file = tmp_path / "proof.json"
    file.write_text(content)
    public = kept.folder / "anchor-public.pem"
    assert run("check-proof", file, "--public-key", public, code=2).output.startswith("Error: ")


def test_a_proof_of_another_key(kept: Kept, tmp_path: Path) -> None:
    proof, _ = proofs.make(kept.folder, all_digests(kept))
    other = anchor_keys.make(tmp_path / "other.pem").public_key()
    with pytest.raises(ProofError, match="does not verify with this key"):
        proofs.verify(proof, other)
