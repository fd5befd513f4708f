"""Validates CBOR against ``firmware/uplink.cddl`` with zcbor, and reads numbers from that file."""

from __future__ import annotations

import functools
import io
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import cbor2
from zcbor.zcbor.zcbor import CddlValidationError, DataTranslator

CDDL = Path(__file__).resolve().parents[3] / "firmware" / "uplink.cddl"
# zcbor's value for "no upper bound"; every length in the contract is bounded.
_UNBOUNDED = 1000


class _Validator(DataTranslator):
    # zcbor stores every complaint and prints all of them at each rejection.
    errors = property(lambda self: [], lambda self, value: None)

    def __repr__(self) -> str:
        # zcbor composes this text before every check, which would take most of the time.
        return str(self.type)

    __str__ = __repr__

    def var_name(self) -> str:
        # Names are of no use here, and zcbor makes each anew from all types.
        return "_"

    def _construct_obj(self, my_list: list[Any]) -> None:
        # zcbor makes a class for every object; nobody asks for the objects.
        return None

    def _check_type(self, obj: object) -> None:
        # As zcbor does, but it writes the object out before it looks at the type.
        if self.type not in {"OTHER", "GROUP", "UNION"}:
            self._decode_assert(type(obj) in self._expected_type(), "wrong type")

    def _check_value(self, obj: object) -> None:
        super()._check_value(obj)
        # zcbor counts characters, but in RFC 8610, 3.8.1 the .size of a text counts bytes.
        if self.type == "TSTR" and self.max_size is not None and isinstance(obj, str):
            self._decode_assert(len(obj.encode()) <= self.max_size, "too many bytes")

    def decode_str(self, cbor_str: bytes) -> Any:
        # The content of a byte string: zcbor raises on malformed CBOR and ignores trailing bytes.
        stream = io.BytesIO(cbor_str)
        try:
            cbor2.load(stream)
        except cbor2.CBORDecodeError:
            self._decode_assert(False, "malformed")
        self._decode_assert(stream.tell() == len(cbor_str), "more than one item")
        return super().decode_str(cbor_str)


@functools.cache
def _types() -> dict[str, Any]:
    prelude = files("zcbor.zcbor").joinpath("prelude.cddl").read_text()
    types: dict[str, Any] = _Validator.from_cddl(
        prelude + "\n" + CDDL.read_text(), _UNBOUNDED
    ).my_types
    return types


def is_valid(type_name: str, encoded: bytes) -> bool:
    """Return whether ``encoded`` matches the contract's type."""
    try:
        _types()[type_name].validate_str(encoded)
    except CddlValidationError:
        return False
    return True


def numbers(choice: str) -> dict[str, int]:
    """Return the alternatives of a rule, each with the number that its array begins with."""
    rules = re.sub(r" *;.*", "", CDDL.read_text())
    names = re.search(rf"^{choice} = ([a-z/\s-]+?)\n\n", rules, re.MULTILINE)
    assert names, choice
    found = {}
    for name in names[1].replace("/", " ").split():
        begin = re.search(rf"^{name} = \[(\d+)", rules, re.MULTILINE)
        assert begin, name
        found[name] = int(begin[1])
    return found


def columns() -> dict[str, int]:
    """Return the columns of samples by rule name, with their keys."""
    rule = CDDL.read_text().partition("\nsamples = {")[2].partition("\n}")[0]
    return {name: int(key) for key, name in re.findall(r"\? (\d+) => ([a-z-]+),", rule)}


def remark(start: str, end: str) -> str:
    """Return the comment text between two phrases, on one line and without brackets."""
    remarks = " ".join(re.findall(r";\s*(.*)", CDDL.read_text()))
    found = re.search(rf"{re.escape(start)}(.*?){re.escape(end)}", remarks)
    assert found, start
    return re.sub(r" \([^)]*\)", "", found[1])


def listed(start: str, end: str) -> dict[int, str]:
    """Return the numbers listed in such a comment, each with the text up to the next comma."""
    found = re.findall(r"(\d+) ([^,]+)", remark(start, end))
    return {int(number): words.strip() for number, words in found}
