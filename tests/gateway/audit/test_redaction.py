"""No secret can be in an entry of the audit trail."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretBytes, SecretStr

from coldtrail_gateway.audit import redaction
from coldtrail_gateway.audit.redaction import HIDDEN, redact

SECRET_NAMES = [
    "password",
    "Password",
    "password_hash",
    "newPassword",
    "passphrase",
    "client_secret",
    "secret",
    "token",
    "refresh_token",
    "apiToken",
    "tokens",
    "key",
    "uplink",
    "downlink",
    "private_key",
    "tls-key",
    "keys",
    "totp",
    "totp_secret",
    "otp",
    "pin",
    "recovery_codes",
    "cookie",
    "Authorization",
    "credentials",
    "code_verifier",
]
PLAIN_NAMES = [
    "name",
    "key_version",
    "token_id",
    "public_key",
    "reason_code",
    "country_code",
    "monkey",
    "secretary",
    "shipping",
    "profile",
    "digest",
    "email",
    "1",
    "",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_secret_is_not_recorded_at_any_depth(name: str) -> None:
    shown = json.dumps(redact({"a": [{"b": {name: "hunter2"}}], name: {"deep": "hunter2"}}))
    assert "hunter2" not in shown
    assert json.loads(shown) == {"a": [{"b": {name: HIDDEN}}], name: HIDDEN}


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_what_is_no_secret_is_recorded(name: str) -> None:
    assert redact({name: "value"}) == {name: "value"}


def test_where_there_was_no_secret_the_entry_says_so() -> None:
    assert redact({"totp": None}) == {"totp": None}


@pytest.mark.parametrize("secret", [SecretStr("hunter2"), SecretBytes(b"hunter2")])
def test_a_secret_by_type_is_not_recorded_whatever_its_name(secret: object) -> None:
    assert redact({"broker": [secret]}) == {"broker": [HIDDEN]}


def test_a_url_loses_password_and_query() -> None:
    before = {"broker": "mqtts://gate:hunter2@broker.example.org:8883/x?token=hunter2"}
    assert redact(before) == {"broker": "mqtts://gate@broker.example.org:8883/x"}
    assert redact("https://example.org/a") == "https://example.org/a"
    # It cannot be told where the password ends.
    assert redact("mqtts://gate:hunt#er2@broker") == HIDDEN


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON, st.sampled_from(SECRET_NAMES), st.text("0123456789abcdef", min_size=32))
def test_no_shape_lets_a_secret_through(value: object, name: str, secret: str) -> None:
    assume(secret not in json.dumps(value))
    shown = json.dumps(redact({"outer": [value, {name: [value, secret]}], name: secret}))
    assert secret not in shown


def test_every_word_of_the_list_is_found() -> None:
    for word in redaction.ANYWHERE | redaction.AT_THE_END:
        assert redaction.is_secret(word)
        assert redaction.is_secret(f"the_{word}")
        assert redaction.is_secret(f"the{word.capitalize()}")
