"""The hash tree is RFC 6962's, and a path proves what is in it and nothing else."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_gateway.audit import merkle

# The inputs and roots that Certificate Transparency's own implementations are tested with
# (google/certificate-transparency, merkletree/merkle_tree_test.cc).
LINES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def defined(lines: list[bytes]) -> bytes:
    """Return MTH as RFC 6962, 2.1 defines it, by recursion."""
    if not lines:
        return sha256().digest()
    if len(lines) == 1:
        return sha256(b"\x00" + lines[0]).digest()
    split = 1
    while split * 2 < len(lines):
        split *= 2
    return sha256(b"\x01" + defined(lines[:split]) + defined(lines[split:])).digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_of_certificate_transparency(size: int) -> None:
    assert merkle.root(map(merkle.leaf, LINES[:size])).hex() == ROOTS[size - 1]


@given(st.lists(st.binary(max_size=3), max_size=70))
def test_the_root_is_the_definitions(lines: list[bytes]) -> None:
    assert merkle.root(map(merkle.leaf, lines)) == defined(lines)


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=40), st.data())
def test_a_path_proves_its_line_and_no_other(lines: list[bytes], data: st.DataObject) -> None:
    leaves = [merkle.leaf(line) for line in lines]
    root = merkle.root(leaves)
    index = data.draw(st.integers(0, len(lines) - 1))
    tree = merkle.levels(leaves)
    assert tree[-1] == [root]
    proof = merkle.path(tree, index)
    assert merkle.proven(leaves[index], index, len(lines), proof) == root
    assert merkle.proven(merkle.leaf(b"other"), index, len(lines), proof) != root
    assert merkle.proven(leaves[index], index, len(lines), [*proof, leaves[0]]) != root
    assert merkle.proven(leaves[index], len(lines), len(lines), proof) is None
    if proof:
        assert merkle.proven(leaves[index], index, len(lines), proof[:-1]) != root
