"""Identities: what the tracker and the gateway get, who may read it, and what is refused."""

import contextlib
import re
import ssl
import stat
import sys
from datetime import UTC, datetime, timedelta

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from coldtrail import identity as firmware_identity
from coldtrail.judging import profile as firmware_profile
from coldtrail.sensing import calibration as firmware_calibration
from coldtrail_boards.provision.bundle import Bundle
from coldtrail_boards.provision.certificates import private_pem
from coldtrail_boards.provision.fields import Key
from tests.boards.packing import NETWORK, PROFILE, coldtrail, provisioned, refused
from tests.support.flash.stock_image import stock

TLS = ("--broker", "mqtts://broker.example", "--apn", "iot.example", *PROFILE)
CALIBRATION = """
[[sensor]]
channel = "payload"
instrument = "PT1000 4711"
certificate = "CAL-2026-0815"
date = 2026-05-04
due = 2027-05-04
points = [["-20.00 °C", "-0.05 °C"], ["5.00 °C", "0.12 °C"]]
"""


FLASHING = ("flash", "--board", "esp32_bg95", "--port", "x", "--micropython", stock())


def private(path):
    return stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_firmware_reads_what_was_provisioned(tmp_path):
    calibration, secret = tmp_path / "calibration.toml", tmp_path / "secrets.toml"
    calibration.write_text(CALIBRATION, encoding="utf-8")
    secret.touch(0o600)
    secret.write_text(
        'sim-pin = "1234"\napn-password = "pass word"\nconsole-code = "c0de"\n', encoding="utf-8"
    )
    path = provisioned(
        tmp_path, "CT-000001", "--shipment", "S-1", "--calibration", calibration,
        "--secrets", secret, "--apn-user", "user", "--service",
        "--flight", "2026-12-01T10:00Z/2026-12-01T22:30Z",
    )  # fmt: skip
    files = Bundle.load(path).files
    read = firmware_identity.load(files["identity.cbor"])
    assert (read.tracker, read.host, read.port, read.tls) == (
        "CT-000001",
        "broker.example",
        1883,
        0,
    )
    assert (read.pin, read.apn, read.apn_user) == ("1234", "iot.example", "user")
    assert (read.apn_password, read.service, read.shipment) == ("pass word", 1, "S-1")
    assert read.code == "c0de"
    flight = [datetime(2026, 12, 1, 10, tzinfo=UTC), datetime(2026, 12, 1, 22, 30, tzinfo=UTC)]
    assert read.flights == [[int(moment.timestamp()) for moment in flight]]
    assert firmware_profile.load(files["profile.cbor"]).name == "refrigerated_2_8"
    assert cbor2.loads(files["calibration.cbor"]) == [
        [0, "PT1000 4711", "CAL-2026-0815", 1777852800, 1809388800, [[-2000, -5], [500, 12]]]
    ]


def test_every_identity_has_keys_of_its_own_that_its_owner_alone_can_read(tmp_path):
    paths = [provisioned(tmp_path, f"CT-{n}") for n in range(5)]
    keys = set()
    for path in paths:
        assert private(path)
        version = Bundle.load(path).registration["trackers"][0]["keys"][0]
        keys |= {version["uplink"], version["downlink"]}
    assert len(keys) == 10
    assert {len(bytes.fromhex(key)) for key in keys} == {32}
    paths[0].chmod(0o640)
    assert "Others can read" in refused(*FLASHING, "--identity", paths[0])


def test_the_gateway_takes_it_in_one_step_or_from_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("COLDTRAIL_DB", str(tmp_path / "gateway.db"))
    provisioned(tmp_path, "CT-1", "--register", "--shipment", "S-1")
    registration = tmp_path / "CT-2.json"
    provisioned(tmp_path, "CT-2", "--registration", registration)
    assert private(registration)
    assert coldtrail("gateway", "register", registration).exit_code == 0
    status = coldtrail("gateway", "status").output
    assert "CT-1" in status
    assert "CT-2" in status


def test_what_the_gateway_refuses_leaves_no_identity(tmp_path, monkeypatch):
    monkeypatch.setenv("COLDTRAIL_DB", str(tmp_path / "gateway.db"))
    provisioned(tmp_path, "CT-1", "--register")
    again = tmp_path / "again.identity"
    words = ("provision", "tracker", "CT-1", *NETWORK, *PROFILE, "-o", again, "--register")
    assert "has other keys of version 1 already" in refused(*words)
    assert not again.exists()


def test_an_identity_that_is_there_is_not_overwritten(tmp_path):
    path = provisioned(tmp_path)
    before = path.read_bytes()
    assert "holds keys" in refused("provision", "tracker", "CT-1", *NETWORK, *PROFILE, "-o", path)
    assert path.read_bytes() == before


# --- secrets -------------------------------------------------------------------------------


def test_secrets_are_asked_for_or_read_and_never_words_of_the_command(tmp_path):
    path = tmp_path / "CT-1.identity"
    words = ("provision", "tracker", "CT-1", *NETWORK, *PROFILE, "-o", path, "--ask", "sim-pin")
    done = coldtrail(*words, answer="1357\n1357\n")
    assert done.exit_code == 0, done.output
    assert "1357" not in done.output
    assert firmware_identity.load(Bundle.load(path).files["identity.cbor"]).pin == "1357"
    for option in ("--sim-pin", "--apn-password", "--console-code"):
        assert "No such option" in coldtrail(*words, option, "x").output


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ('sim-pin = "1234"', 0o644, "Others can read"),
        ("sim-pin = 1234", 0o600, "quotation marks"),
        ('sim-pin = "12"', 0o600, "4 to 8 digits"),
        ('sim-pni = "1234"', 0o600, "none of"),
        ('sim-pin = "1234', 0o600, "no TOML"),
        ("apn-password = 'pass\"word'", 0o600, "no quotation marks"),
    ],
)
def test_secrets_that_cannot_be_are_refused_and_not_repeated(text, mode, says, tmp_path):
    secret = tmp_path / "secrets.toml"
    secret.write_text(text, encoding="utf-8")
    secret.chmod(mode)
    path = tmp_path / "CT-1.identity"
    said = refused(
        "provision", "tracker", "CT-1", *NETWORK, *PROFILE, "-o", path, "--secrets", secret
    )
    assert says in said
    assert "1234" not in said
    assert "word'" not in said
    assert not path.exists()


# --- certificates --------------------------------------------------------------------------


def handshake(server, client):
    """Let OpenSSL shake hands over memory; return what the server learns of the client."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname="broker.example"),
    ]
    for _ in range(10):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return ends[0].getpeercert()


def test_broker_and_tracker_of_one_authority_know_each_other(tmp_path):
    folder = tmp_path / "ca"
    done = coldtrail("provision", "ca", folder, "--broker", "broker.example")
    assert done.exit_code == 0, done.output
    path = tmp_path / "CT-1.identity"
    done = coldtrail("provision", "tracker", "CT-1", *TLS, "--ca", folder, "-o", path)
    assert done.exit_code == 0, done.output
    assert private(folder / "ca.key")
    assert private(folder / "broker.key")
    files = Bundle.load(path).files
    read = firmware_identity.load(files["identity.cbor"])
    assert (read.tls, read.port) == (1, 8883)
    for name in ("ca.pem", "client.pem", "client.key"):
        (tmp_path / name).write_bytes(files[name])
    assert files["client.key"].startswith(b"-----BEGIN RSA PRIVATE KEY-----")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "broker.pem", folder / "broker.key")
    server.load_verify_locations(folder / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    server.maximum_version = ssl.TLSVersion.TLSv1_2  # the modem's newest
    client = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    client.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    assert handshake(server, client)["subject"] == ((("commonName", "CT-1"),),)
    assert "is there already" in refused("provision", "ca", folder)


def certificate(name, days, key, issuer=None, signer=None):
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + timedelta(days=min(days) if isinstance(days, tuple) else -900))
        .not_valid_after(now + timedelta(days=max(days) if isinstance(days, tuple) else days))
    )
    made = builder.sign(signer or key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def keys():
    return [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]


CN = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda a, b: (certificate("CT-1", -1, a, CN, b), a), "expired on"),
        (lambda a, b: (certificate("CT-1", (5, 9), a, CN, b), a), "valid from"),
        (lambda a, b: (certificate("CT-1", 9, a, CN, b), b), "does not belong to its private key"),
        (lambda a, b: (certificate("CT-2", 9, a, CN, b), a), "for CT-2 and not for CT-1"),
        (lambda a, b: (certificate("CT-1", 9, a, CN, a), a), "is not signed by it"),
        (lambda a, b: (b"PEM", a), "no certificate in PEM"),
    ],
)
def test_a_certificate_that_is_expired_or_mismatched_is_refused(make, says, keys, tmp_path):
    issued, key = make(*keys)
    (tmp_path / "ca.pem").write_bytes(certificate("CA", 9, keys[1]))
    (tmp_path / "client.pem").write_bytes(issued)
    (tmp_path / "client.key").touch(0o600)
    (tmp_path / "client.key").write_bytes(private_pem(key))
    path = tmp_path / "CT-1.identity"
    said = refused(
        "provision", "tracker", "CT-1", *TLS, "-o", path, "--broker-ca", tmp_path / "ca.pem",
        "--certificate", tmp_path / "client.pem", "--key", tmp_path / "client.key", "--register",
    )  # fmt: skip
    assert says in said
    assert not path.exists()


def test_a_certificate_that_has_expired_since_is_not_flashed(keys, tmp_path):
    good = Bundle.load(provisioned(tmp_path)).files
    identity = cbor2.loads(good["identity.cbor"]) | {Key.TLS: 1}
    path = tmp_path / "late.identity"
    files = {
        "identity.cbor": cbor2.dumps(identity, canonical=True),
        "ca.pem": certificate("CA", 9, keys[1]),
        "client.pem": certificate("CT-1", -1, keys[0], CN, keys[1]),
        "client.key": private_pem(keys[0]),
    }
    Bundle({**good, **files}).save(path)
    assert "expired on" in refused(*FLASHING, "--identity", path)


# --- other bad input -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--broker", "broker.example"), "must be mqtt://"),
        (("--broker", "mqtt://user:pass@broker.example"), "must be mqtt://"),
        (("--broker", "mqtts://broker.example"), "provision ca"),
        (("--ca", "."), "Certificates are for TLS"),
        (("--apn", 'a"b'), "--apn"),
        (("--shipment", "S" * 33), "--shipment"),
        (("--profile", "lukewarm"), "lukewarm"),
        (("--flight", "2026-12-01T10:00/2026-12-01T22:30"), "their zone"),
        (("--flight", "2026-12-02T10:00Z/2026-12-01T22:30Z"), "the earlier first"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(more, says, tmp_path):
    path = tmp_path / "CT-1.identity"
    words = ("provision", "tracker", "CT-1", *NETWORK, *PROFILE, "-o", path, *more)
    assert says in refused(*words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tracker", ["", "ct-1", "A" * 24, "CT/1", "CT 1"])
def test_a_tracker_id_that_no_topic_takes_is_refused(tracker, tmp_path):
    path = tmp_path / "x.identity"
    assert "must be 1 to 23 of A-Z" in refused(
        "provision", "tracker", tracker, *NETWORK, *PROFILE, "-o", path
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("payload", "shock", "channel"),
        ("2027-05-04", "2025-05-04", "due must be after date"),
        ("2026-05-04", "2019-12-31", "from 2020-01-01"),
        ("2027-05-04", "2106-02-08", "to 2106-02-07"),
        ('"5.00 °C"', '"-30.00 °C"', "in the order"),
        ('"0.12 °C"', '"0.12 K"', "must be in °C"),
        ("PT1000 4711", "P" * 33, "instrument"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused_by_its_key(old, new, says, tmp_path):
    path = tmp_path / "calibration.toml"
    path.write_text(CALIBRATION.replace(old, new), encoding="utf-8")
    out = tmp_path / "CT-1.identity"
    words = ("provision", "tracker", "CT-1", *NETWORK, *PROFILE, "-o", out)
    assert says in refused(*words, "--calibration", path)
    assert not out.exists()


def test_no_process_is_given_a_key(tmp_path, monkeypatch):
    """Every program that provisioning starts, by its arguments and environment."""
    started = []

    def audit(event, arguments):
        if event == "subprocess.Popen":
            started.append(repr(arguments))

    monkeypatch.setenv("COLDTRAIL_DB", str(tmp_path / "gateway.db"))
    sys.addaudithook(audit)
    path = provisioned(tmp_path, "CT-1", "--register")
    keys = Bundle.load(path).registration["trackers"][0]["keys"][0]
    assert any("gateway" in words for words in started)
    for key in (keys["uplink"], keys["downlink"]):
        assert not any(re.search(key, words) for words in started)


@pytest.mark.parametrize(("date", "due"), [("2020-01-01", "2020-01-02"),
                                           ("2106-02-06", "2106-02-07")])  # fmt: skip
def test_the_tracker_takes_the_first_and_the_last_date_of_a_calibration(date, due, tmp_path):
    path = tmp_path / "calibration.toml"
    text = CALIBRATION.replace("2026-05-04", date).replace("2027-05-04", due)
    path.write_text(text, encoding="utf-8")
    files = Bundle.load(provisioned(tmp_path, "CT-1", "--calibration", path)).files
    assert len(firmware_calibration.load(files["calibration.cbor"])) == 1
