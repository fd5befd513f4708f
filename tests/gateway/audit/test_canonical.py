"""One value has one form in bytes, and two values never share one."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_gateway.audit import canonical
from coldtrail_gateway.audit.canonical import CanonicalError

SAFE = st.integers(-(2**53) + 1, 2**53 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBER = SAFE | st.floats(-1e15, 1e15)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=30,
)


def same(left: object, right: object) -> bool:
    """Tell whether two values are equal as JSON: there true is no number."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@given(JSON)
def test_what_is_encoded_comes_back(value: canonical.Json) -> None:
    encoded = canonical.encode(value)
    assert same(json.loads(encoded), value)
    assert same(canonical.decode(encoded), value)
    assert b"\n" not in encoded


@given(JSON, JSON)
def test_equal_values_and_only_they_have_equal_bytes(
    left: canonical.Json, right: canonical.Json
) -> None:
    assert (canonical.encode(left) == canonical.encode(right)) == same(left, right)


@given(st.dictionaries(TEXT, SAFE, min_size=2))
def test_the_order_of_a_mapping_does_not_matter(value: dict[str, int]) -> None:
    turned = dict(reversed(value.items()))
    assert canonical.encode(turned) == canonical.encode(value)


@given(JSON)
def test_other_bytes_that_mean_the_same_are_not_canonical(value: canonical.Json) -> None:
    for other in (json.dumps(value, indent=1) + "\n", " " + canonical.encode(value).decode()):
        with pytest.raises(ValueError, match="not canonical"):
            canonical.decode(other)


def test_the_example_of_rfc_8785() -> None:
    # RFC 8785, 3.2.2 to 3.2.4: its input, and its result as bytes.
    value = json.loads(
        r"""{
          "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
          "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
          "literals": [null, true, false]
        }"""
    )
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical.encode(value) == expected.encode()


@pytest.mark.parametrize(
    "value",
    [2**53, -(2**53), 1e20, math.inf, math.nan, "\ud800", {"\ud800": 1}, {1: 2}, b"x", {"a": {1}}],
)
def test_what_has_no_canonical_form_is_refused(value: canonical.Json) -> None:
    with pytest.raises(CanonicalError):
        canonical.encode({"value": value})
