"""How the gateway's broker is named and reached: TLS with an authority of one's own, passwords."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coldtrail_gateway.ingest import broker
from coldtrail_gateway.ingest.broker import BrokerError
from coldtrail_simulator.services.mosquitto import Broker
from coldtrail_simulator.shipment import packing
from tests.gateway.running import Gateway, coldtrail, registration
from tests.support.host import until


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates as `coldtrail provision ca` makes them."""
    folder = tmp_path_factory.mktemp("tls") / "authority"
    packing.certify(folder, "CT-1", datetime.now(UTC))
    return folder


@pytest.fixture
def secure(authority: Path, tmp_path: Path) -> Iterator[Broker]:
    found = Broker(tmp_path, authority)
    found.start()
    yield found
    found.stop()


def serve(folder: Path, url: str, *options: object) -> str:
    """Run a gateway that cannot be served to its end; return what it says."""
    database = folder / "gateway.db"
    if not database.exists():
        coldtrail("gateway", "register", registration(folder), "--db", database)
    arguments = ["--db", str(database), "--broker", url, *map(str, options)]
    done = coldtrail("gateway", "serve", *arguments, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def test_an_authority_and_a_certificate(
    secure: Broker, authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By options, and by the environment."""
    url = f"mqtts://127.0.0.1:{secure.gateway_port}"
    files = {"ca": "ca.pem", "cert": "gateway.pem", "key": "gateway.key"}
    options = [f"--{option}={authority / name}" for option, name in files.items()]
    with Gateway(tmp_path, url, *options) as gateway:
        until(lambda: "INFO online" in gateway.said())
    for option, name in files.items():
        monkeypatch.setenv(f"COLDTRAIL_{option.upper()}", str(authority / name))
    with Gateway(tmp_path, url, log="again.log") as gateway:
        until(lambda: "INFO online" in gateway.said())


def test_what_is_wrong_with_a_certificate_is_said(
    secure: Broker, authority: Path, tmp_path: Path
) -> None:
    url = f"mqtts://127.0.0.1:{secure.gateway_port}"
    ca, own = ["--ca", authority / "ca.pem"], authority / "gateway.pem"
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    other = tmp_path / "other"
    packing.certify(other, "CT-1", datetime.now(UTC))
    wrong_host = f"mqtts://127.0.0.1:{secure.secure_port}"
    pair = ["--cert", own, "--key", authority / "gateway.key"]
    cases: list[tuple[list[object], str]] = [
        ([url], "does not verify, self-signed certificate in certificate chain"),
        ([url, "--ca", other / "ca.pem", *pair], "--ca names the authority that issued it"),
        ([wrong_host, *ca, *pair], "IP address mismatch"),
        ([url, *ca, "--cert", own], "name both --cert and --key"),
        ([url, "--ca", text], "text.pem holds no certificate of an authority"),
        ([url, *ca, "--cert", text, "--key", text], "no certificate with its private key"),
        ([url, *ca, "--cert", own, "--key", other / "gateway.key"], "no certificate with its"),
        (["mqtt://127.0.0.1", *ca], "name it mqtts://HOST[:PORT]"),
    ]
    for options, complaint in cases:
        assert complaint in serve(tmp_path, str(options[0]), *options[1:]), options


def test_a_broker_that_wants_a_certificate_and_gets_none(
    secure: Broker, authority: Path, tmp_path: Path
) -> None:
    url = f"mqtts://127.0.0.1:{secure.gateway_port}"
    assert "certificate required" in serve(tmp_path, url, "--ca", authority / "ca.pem").lower()


def test_a_key_that_others_can_read_and_a_password_on_the_way_are_warned_of(
    authority: Path, tmp_path: Path
) -> None:
    key = tmp_path / "gateway.key"
    shutil.copy(authority / "gateway.key", key)
    key.chmod(0o644)
    pair = ["--cert", authority / "gateway.pem", "--key", key]
    said = serve(tmp_path, "mqtts://127.0.0.1:1", *pair)
    assert f"others can read the key {key}" in said
    # 192.0.2.0/24 is for documentation (RFC 5737): nobody is there.
    said = serve(tmp_path, "mqtt://me:secret@192.0.2.1")
    assert "anyone on the way to mqtt://192.0.2.1:1883 can read the password" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mqtt://me:secret@broker.example", True),
        ("mqtt://me@broker.example", False),
        ("mqtt://me:secret@127.0.0.1", False),
        ("mqtt://me:secret@localhost", False),
        ("mqtt://me:secret@[::1]", False),
        ("mqtts://me:secret@broker.example", False),
    ],
)
def test_where_a_password_can_be_read(url: str, shown: bool) -> None:
    assert broker.parse(url).shows_password is shown


def test_an_encrypted_key_is_refused_without_a_question(authority: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    pem = (authority / "gateway.key").read_bytes()
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        serialization.load_pem_private_key(pem, None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    address = broker.parse("mqtts://127.0.0.1")
    with pytest.raises(BrokerError, match="without a password"):
        broker.tls(address, authority / "ca.pem", authority / "gateway.pem", locked)
