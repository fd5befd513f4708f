"""What `coldtrail provision` accepts is what the contract, firmware/provisioning.toml, says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cbor2
import pytest

from coldtrail_boards.errors import BoardError
from coldtrail_boards.provision import fields
from coldtrail_boards.provision.bundle import Bundle
from coldtrail_boards.provision.fields import FIELDS, Key
from tests.boards.packing import NETWORK, PROFILE, provisioned, refused
from tests.support.provisioning import CASES, TABLE, values


def test_the_fields_have_the_contract_s_names_keys_and_rules() -> None:
    assert {key.name.lower(): key for key in Key} == {
        name: entry["key"] for name, entry in TABLE.items()
    }
    for key, field in FIELDS.items():
        entry = TABLE[key.name.lower()]
        assert field.rule == entry["rule"]
        assert field.optional == entry.get("optional", False)
    assert list(FIELDS) == list(Key)


IDENTITY = {entry["key"]: values(name, "good")[0] for name, entry in TABLE.items()}


@pytest.mark.parametrize(("name", "value", "good"), CASES)
def test_each_value_is_taken_or_refused(name: str, value: Any, good: bool) -> None:
    identity = IDENTITY | {TABLE[name]["key"]: value}
    if good:
        fields.check(identity, "x")
    else:
        with pytest.raises(BoardError, match=f"^x: {name} must be "):
            fields.check(identity, "x")


@pytest.mark.parametrize("name", TABLE)
def test_what_must_be_there_is_missed(name: str) -> None:
    identity = {key: value for key, value in IDENTITY.items() if key != TABLE[name]["key"]}
    if TABLE[name].get("optional"):
        fields.check(identity, "x")
    else:
        with pytest.raises(BoardError, match=f"^x has no {name}: "):
            fields.check(identity, "x")


def test_an_identity_of_an_earlier_program_is_checked_before_it_is_flashed(tmp_path: Path) -> None:
    made = Bundle.load(provisioned(tmp_path)).files
    identity = cbor2.loads(made["identity.cbor"]) | {Key.APN: "m2m@corp"}
    path = tmp_path / "old.identity"
    Bundle({**made, "identity.cbor": cbor2.dumps(identity, canonical=True)}).save(path)
    said = refused(
        "volume", "--board", "nrf52840dk_bg95", "--micropython", nrf_image(tmp_path),
        "--identity", path, "-o", tmp_path / "out",
    )  # fmt: skip
    assert "old.identity: apn must be an access point's name" in said
    assert not (tmp_path / "out").exists()


def nrf_image(folder: Path) -> Path:
    """Return what names itself as MicroPython for the board."""
    path = folder / "firmware.bin"
    path.write_bytes(b"MicroPython v1.25.0 on 2025-04-15; nRF52840-DK with NRF52840")
    return path


# --- by the command -------------------------------------------------------------------------

OPTIONS = [
    ("--apn", "apn", "{}"),
    ("--apn-user", "apn_user", "{}"),
    ("--shipment", "shipment", "{}"),
    ("--broker", "host", "mqtt://{}"),
    ("--broker", "port", "mqtt://broker.example:{}"),
]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        pytest.param(option, form.format(value), id=f"{option} {value!r}")
        for option, name, form in OPTIONS
        for value in values(name, "bad")
        if isinstance(value, int if name == "port" else str)
        # What urllib takes for something else, or leaves out, is no host.
        if not (name == "host" and set(str(value)) & set("/@:\r\n"))
    ],
)
def test_the_command_refuses_what_the_contract_does(
    option: str, value: str, tmp_path: Path
) -> None:
    out = tmp_path / "CT-1.identity"
    words = ("provision", "tracker", "CT-1", *NETWORK, *PROFILE, "-o", out, option, value)
    assert refused(*words).startswith(f"Error: {option}")
    assert not out.exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mqtt://[2001:db8::1]", "for IPv4 alone"),
        ("mqtts://[::1]:8883", "for IPv4 alone"),
        ("mqtt://user:pass@broker.example", "has no user name"),
        ("mqtt://broker.example/path", "must be mqtt://"),
        ("mqtt://broker.example?x", "must be mqtt://"),
        ("mqtt://broker.example:1883x", "must be mqtt://"),
        ("ws://broker.example:80", "must be mqtt://"),
    ],
)
def test_a_broker_that_a_tracker_cannot_reach(url: str, says: str, tmp_path: Path) -> None:
    out = tmp_path / "CT-1.identity"
    words = ("provision", "tracker", "CT-1", *PROFILE, "--apn", "iot", "-o", out, "--broker", url)
    said = refused(*words)
    assert says in said
    assert "pass@" not in said


@pytest.mark.parametrize("words", [("--broker", "bröker"), ("--broker", "a b"),
                                   ("--tracker", "ct/1")])  # fmt: skip
def test_no_certificate_for_what_cannot_be_provisioned(
    words: tuple[str, str], tmp_path: Path
) -> None:
    assert "must be" in refused("provision", "ca", tmp_path / "ca", *words)
    assert not (tmp_path / "ca").exists()
