"""Proofs that single blocks were anchored, for somebody who is to see these and no others.

A proof has the lines of the blocks as the anchors keep them, a path of hashes from each line to
the root of its anchor, and the anchors' signed statements. Whoever has the public key verifies it,
without the gateway, and learns nothing of other shipments.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from coldtrail_gateway.audit import anchor_keys, anchors, canonical, merkle
from coldtrail_gateway.audit.anchors import Anchor
from coldtrail_gateway.errors import GatewayError

FORMAT: Final = "proof/1"


class ProofError(GatewayError):
    """A proof that cannot be made, or does not prove what it says."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A block that was anchored: its line, and when, as the anchor states it (UTC in ms)."""

    block: Mapping[str, Any]
    anchored_ms: int


def make(folder: Path, digests: Iterable[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Return the proof of blocks, named by their SHA-256, as JSON; and which have no anchor yet.

    Raises:
        AnchorError: an anchor cannot be read.
    """
    wanted = {digest.hex() for digest in digests}
    statements: list[dict[str, Any]] = []
    blocks: list[dict[str, Any]] = []
    for number in anchors.numbers(folder):
        anchor = anchors.read(folder, number)
        found = _of(anchor, wanted)
        if found:
            statements.append(
                {
                    "statement": anchor.statement.decode(),
                    "signature": anchor.signature.hex(),
                }
            )
            blocks += found
    missing = wanted - {json.loads(block["line"])["sha256"] for block in blocks}
    proof = {"coldtrail": FORMAT, "anchors": statements, "blocks": blocks}
    return proof, sorted(map(bytes.fromhex, missing))


def verify(proof: Any, key: Ed25519PublicKey) -> list[Proven]:
    """Return what a proof proves.

    Raises:
        ProofError: it is none, or something in it does not fit.
    """
    try:
        if proof["coldtrail"] != FORMAT:
            raise ValueError(FORMAT)
        stated = {}
        for signed in proof["anchors"]:
            statement = signed["statement"].encode()
            if not anchor_keys.verifies(key, bytes.fromhex(signed["signature"]), statement):
                raise ProofError("The signature of an anchor does not verify with this key.")
            value = canonical.decode(statement)
            stated[value["number"]] = value
        return [_proven(block, stated[block["anchor"]]) for block in proof["blocks"]]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ProofError("This is no proof as coldtrail gateway audit prove writes it.") from error


def _of(anchor: Anchor, wanted: set[str]) -> list[dict[str, Any]]:
    lines: dict[int, bytes] = {}
    leaves = []
    for index, line in enumerate(anchor.rows()):
        leaves.append(merkle.leaf(line))
        value = json.loads(line)
        if "entry" not in value and value["sha256"] in wanted:
            lines[index] = line
    if not lines:
        return []
    tree = merkle.levels(leaves)
    return [
        {
            "line": line.decode(),
            "anchor": anchor.number,
            "index": index,
            "path": [sibling.hex() for sibling in merkle.path(tree, index)],
        }
        for index, line in lines.items()
    ]


def _proven(block: Mapping[str, Any], statement: Mapping[str, Any]) -> Proven:
    line = block["line"].encode()
    path = [bytes.fromhex(sibling) for sibling in block["path"]]
    root = merkle.proven(merkle.leaf(line), block["index"], statement["lines"], path)
    if root is None or root.hex() != statement["root"]:
        raise ProofError(
            f"Anchor {statement['number']} does not have this line, or not there: {block['line']}"
        )
    return Proven(canonical.decode(line), statement["made_ms"])
