"""The hash tree of RFC 6962 (Certificate Transparency), 2.1, over lines in their order.

One hash stands for all of them, and a short path proves of one line that it is among them, without
showing the others: one sponsor's shipment is proven without another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

EMPTY: Final = sha256().digest()
"""The root of no line."""


def leaf(line: bytes) -> bytes:
    """Return the hash of a line."""
    return sha256(b"\x00" + line).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """Return the root over the hashes of lines; keeps as many hashes as the tree is high."""
    # Each whole subtree on the left, by height: at most one of each, as in a binary counter.
    whole: list[tuple[int, bytes]] = []
    for digest in leaves:
        height, joined = 0, digest
        while whole and whole[-1][0] == height:
            joined = _node(whole.pop()[1], joined)
            height += 1
        whole.append((height, joined))
    if not whole:
        return EMPTY
    _, right = whole.pop()
    while whole:
        right = _node(whole.pop()[1], right)
    return right


def levels(leaves: list[bytes]) -> list[list[bytes]]:
    """Return the tree, from the leaves up to the root; for the paths of many lines.

    A node without a neighbour on its right stands in the next level as it is: that gives RFC
    6962's tree, in which the left part of each subtree is as large as a power of two can be.
    """
    found = [leaves]
    while len(found[-1]) > 1:
        below = found[-1]
        pairs = [_node(*below[at : at + 2]) for at in range(0, len(below) - 1, 2)]
        found.append(pairs + below[len(pairs) * 2 :])
    return found


def path(tree: list[list[bytes]], index: int) -> list[bytes]:
    """Return the audit path of a line, from the leaf up: what proves that it is in the tree."""
    found = []
    for level in tree[:-1]:
        if index ^ 1 < len(level):
            found.append(level[index ^ 1])
        index >>= 1
    return found


def proven(digest: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """Return the root that a line's hash and its path lead to; None where the path does not fit.

    After RFC 9162, 2.1.3.2.
    """
    if not 0 <= index < size:
        return None
    position, last, joined = index, size - 1, digest
    for sibling in proof:
        if last == 0:
            return None
        if position & 1 or position == last:
            joined = _node(sibling, joined)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            joined = _node(joined, sibling)
        position >>= 1
        last >>= 1
    return joined if last == 0 else None


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
