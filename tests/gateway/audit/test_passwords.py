"""Which passwords are taken, and what is kept of them."""

from __future__ import annotations

import argon2
import pytest

from coldtrail_gateway.audit import passwords, second_factor
from coldtrail_gateway.audit.passwords import PasswordRefused

GOOD = "umbrella quarry 7 lantern"
LONG = pytest.param("x" * 10_000_000, id="10 MB")


def test_what_is_kept_is_argon2id_by_rfc_9106_and_nobodys_costs_the_same() -> None:
    """RFC 9106, section 4, the second recommended option: t = 3, p = 4, m = 2^16 KiB."""
    for kept in (passwords.make(GOOD), passwords.NOBODY):
        found = argon2.extract_parameters(kept)
        assert (found.type, found.version) == (argon2.Type.ID, 19)
        assert (found.time_cost, found.parallelism, found.memory_cost) == (3, 4, 2**16)
        assert (found.salt_len, found.hash_len) == (16, 32)
        assert not passwords.is_outdated(kept)


def test_a_password_matches_itself_however_a_keyboard_composes_it(cheap_passwords: None) -> None:
    kept = passwords.make("caf\N{LATIN SMALL LETTER E WITH ACUTE} umbrella quarry 7")
    assert passwords.matches(kept, "cafe\N{COMBINING ACUTE ACCENT} umbrella quarry 7")
    for other in ("cafe umbrella quarry 7", "", "Caf\xe9 umbrella quarry 7"):
        assert not passwords.matches(kept, other)


@pytest.mark.parametrize("given", ["", GOOD, "x" * 257, LONG, "\ud800", "\0"])
def test_who_has_no_password_matches_none(given: str, cheap_passwords: None) -> None:
    assert not passwords.matches(None, given)
    assert not passwords.matches(passwords.make(GOOD), given[:-1])


@pytest.mark.parametrize("kept", ["", "x", "$argon2id$v=19$m=65536,t=3,p=4$AAAA$AAAA", GOOD])
def test_what_is_no_hash_matches_nothing(kept: str, cheap_passwords: None) -> None:
    assert not passwords.matches(kept, GOOD)


@pytest.mark.parametrize("length", [15, 256])
def test_any_characters_will_do_from_15_to_256(length: int, cheap_passwords: None) -> None:
    """No rule of composition: small letters alone, spaces, any script."""
    for text in ("kx vqp rmta lw zeh ", "снег лампа фиалка вокзал ", "🦔🌵🪁 kite 🧲🪵 "):
        given = (text * 20)[:length]
        assert passwords.matches(passwords.make(given), given)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "at least 15"),
        ("kx vqp rmta lw", "at least 15"),
        ("x" * 257, "at most 256"),
        pytest.param("x" * 10_000_000, "at most 256", id="10 MB"),
        ("kx vqp rmta lw \ud800", "text"),
        ("passwordpassword", "common"),
        ("letmeinletmeinletmein", "common"),
        ("qwertyuiopasdfgh", "common"),
        ("1234567890123456", "common"),
        ("aaaaaaaaaaaaaaaaaaaa", "common"),
        ("P@ssw0rdP@ssw0rd!", "common"),
        ("coldtrailcoldtrail", "common"),
        ("ben.oduya.2026", "at least 15"),
        ("Ben.Oduya.2026!", "a name"),
        ("ben oduya ben oduya", "a name"),
    ],
)
def test_what_others_would_guess_is_refused_and_never_told(password: str, why: str) -> None:
    with pytest.raises(PasswordRefused, match=why) as refused:
        passwords.make(password, "ben", "Ben Oduya")
    assert not password or password not in str(refused.value)


def test_a_name_in_a_long_password_is_no_fault(cheap_passwords: None) -> None:
    passwords.make("ben umbrella quarry 7 lantern", "ben", "Ben Oduya")


# RFC 6238, appendix B: SHA-1, the last six of its eight digits.
VECTORS = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize("at_s", VECTORS)
def test_codes_of_time_are_those_of_the_standard(at_s: int) -> None:
    code, step = VECTORS[at_s], at_s // 30
    assert second_factor.step(SECRET, code, at_s * 1000, 0) == step
    assert second_factor.step(SECRET, f" {code[:3]} {code[3:]}", at_s * 1000, step - 1) == step
    for around in (-30, 30):  # the device's clock differs a little
        assert second_factor.step(SECRET, code, (at_s + around) * 1000, 0) == step
    for around in (-90, 90):
        assert second_factor.step(SECRET, code, (at_s + around) * 1000, 0) is None
    for last in (step, step + 1):
        assert second_factor.step(SECRET, code, at_s * 1000, last) is None


@pytest.mark.parametrize(
    "code", ["", "28708", "2870820", "28708a", "٢٨٧٠٨٢", "²87082", "-87082", LONG, "\ud800"]
)
def test_what_is_no_code_is_none(code: str) -> None:
    assert second_factor.step(SECRET, code, 59_000, 0) is None
