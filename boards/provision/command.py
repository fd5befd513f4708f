"""`coldtrail provision`: identities of trackers, and a small certificate authority."""

from __future__ import annotations

import secrets
import tomllib
from codecs import BOM_UTF8
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import cbor2
import click

from coldtrail_boards import files
from coldtrail_boards.errors import BoardError
from coldtrail_boards.profiles.profile import load as load_profile
from coldtrail_boards.provision import bundle as bundles
from coldtrail_boards.provision import calibration, certificates, registration
from coldtrail_boards.provision.bundle import Bundle
from coldtrail_boards.provision.certificates import Authority
from coldtrail_boards.provision.fields import Key, checked

_SECRETS = {"apn-password": Key.APN_PASSWORD, "sim-pin": Key.PIN, "console-code": Key.CODE}
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group("provision")
def command() -> None:
    """Make identities for trackers, and a certificate authority."""


@command.command("ca")
@click.argument("folder", type=_FOLDER)
@click.option("--broker", metavar="HOST", help="Also issue a broker's certificate for this host.")
@click.option("--tracker", metavar="ID", help="Also issue a certificate for this tracker.")
@click.option(
    "--from",
    "since",
    metavar="DATE",
    help="The first day of validity, such as 2026-12-01.  [default: now]",
)
def ca(folder: Path, broker: str | None, tracker: str | None, since: str | None) -> None:
    """Make a small certificate authority in FOLDER, for a first try.

    It writes ca.pem and ca.key. --broker adds broker.pem and broker.key, --tracker adds client.pem
    and client.key; an authority that FOLDER already holds then issues them.
    """
    begin = _date("--from", since) if since else None
    if broker:
        checked(Key.HOST, broker, "--broker")
    if tracker:
        checked(Key.TRACKER, tracker, "--tracker")
    made = not (broker or tracker) or not (folder / "ca.key").exists()
    if made:
        authority = Authority.create(folder, "Coldtrail CA", begin)
        click.echo(f"{folder / 'ca.pem'}: for brokers and trackers; ca.key beside it is secret")
    else:
        authority = Authority.load(folder)
    for name, file, server in ((broker, "broker", True), (tracker, "client", False)):
        if name:
            certificate, key = authority.issue(name, server=server, since=begin)
            files.write(folder / f"{file}.key", key)
            files.write(folder / f"{file}.pem", certificate, mode=0o644)
            click.echo(f"{folder / file}.pem: for {name}; {file}.key beside it is secret")


def _date(option: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise BoardError(f"{option} {text}: a date, as in 2026-12-01.") from None


@command.command("tracker", short_help="Make the identity of TRACKER.")
@click.argument("tracker")
@click.option(
    "--broker",
    required=True,
    metavar="URL",
    help="The broker: mqtt://HOST[:PORT] or mqtts://HOST[:PORT].",
)
@click.option("--profile", required=True, help="The name of a shipped profile, or its file.")
@click.option("--apn", required=True, help="The access point name (APN) of the SIM.")
@click.option("--apn-user", help="The user name that the access point asks for.")
@click.option("--ask", multiple=True, type=click.Choice(list(_SECRETS)),
              help="Ask for this secret at the terminal; may be repeated.")  # fmt: skip
@click.option("--secrets", "secret_file", type=_FILE,
              help='A TOML file (mode 0600) with secrets, such as sim-pin = "1234".')  # fmt: skip
@click.option("--shipment", help="The id of the shipment that it will travel with.")
@click.option(
    "--calibration",
    "calibration_file",
    type=_FILE,
    help="The certificates of the sensors, as TOML.",
)
@click.option("--flight", "flights", multiple=True, metavar="FROM/UNTIL",
              help="A planned flight, such as 2026-12-01T10:00Z/2026-12-01T22:30Z; may be "
              "repeated.")  # fmt: skip
@click.option(
    "--ca",
    "authority",
    type=_FOLDER,
    help="With mqtts: issue the tracker's certificate by the authority in this folder, which "
    "'coldtrail provision ca' made.",
)
@click.option(
    "--broker-ca",
    type=_FILE,
    help="With mqtts and a certificate issued elsewhere: the broker's authority.",
)
@click.option("--certificate", type=_FILE, help="With --broker-ca: the tracker's certificate.")
@click.option("--key", type=_FILE, help="With --broker-ca: the tracker's private key.")
@click.option("--service", is_flag=True, help="Allow the MicroPython prompt (service mode).")
@click.option(
    "-o", "--output", type=_FILE, help="The identity's file.  [default: TRACKER.identity]"
)
@click.option("--registration", "registration_file", type=_FILE,
              help="Also write this file for 'coldtrail gateway register'.")  # fmt: skip
@click.option("--register", is_flag=True, help="Register the tracker at this machine's gateway.")
def tracker_(
    tracker: str, broker: str, profile: str, apn: str, apn_user: str | None, ask: tuple[str, ...],
    secret_file: Path | None, shipment: str | None, calibration_file: Path | None,
    flights: tuple[str, ...], authority: Path | None, broker_ca: Path | None,
    certificate: Path | None, key: Path | None, service: bool, output: Path | None,
    registration_file: Path | None, register: bool,
) -> None:  # fmt: skip
    """Make the identity of TRACKER: its keys, its broker and access point, its profile.

    The keys come from the system's random source. They are stored only in the identity file, which
    'coldtrail flash --identity' writes to the tracker, and in the registration.
    """
    checked(Key.TRACKER, tracker, f"The tracker's id '{tracker}'")
    output = output or Path(f"{tracker}.identity")
    if output.exists():
        raise BoardError(
            f"{output} is there already and holds keys: name another, or move it away."
        )
    identity = _identity(tracker, broker, apn, apn_user, shipment, flights, service=service)
    tls = Key.TLS in identity
    found = {bundles.PROFILE: load_profile(profile).encode()}
    if calibration_file:
        found[bundles.CALIBRATION] = calibration.load(calibration_file).encode()
    found |= _tls_files(tracker, tls, authority, broker_ca, certificate, key)
    identity |= _secrets(ask, secret_file)
    found[bundles.IDENTITY] = cbor2.dumps(identity, canonical=True)
    made = Bundle(found)
    made.check(output)
    made.save(output)
    try:
        if registration_file:
            registration.write(registration_file, made.registration)
        if register:
            registration.register(made.registration)
    except BoardError:
        # The gateway would reject every block of a tracker with this identity.
        output.unlink()
        raise
    click.echo(f"{output}: tracker {tracker}, {', '.join(sorted(found))}")
    if registration_file:
        click.echo(f"{registration_file}: for 'coldtrail gateway register'")
    if register:
        click.echo("registered")


def _identity(
    tracker: str, broker: str, apn: str, apn_user: str | None, shipment: str | None,
    flights: tuple[str, ...], *, service: bool,
) -> dict[int, object]:  # fmt: skip
    host, port, tls = _broker(broker)
    identity: dict[int, object] = {
        Key.VERSION: 1,
        Key.TRACKER: tracker,
        Key.KEY_VERSION: 1,
        Key.UPLINK_KEY: secrets.token_bytes(32),
        Key.DOWNLINK_KEY: secrets.token_bytes(32),
        Key.HOST: host,
        Key.PORT: port,
        Key.APN: checked(Key.APN, apn, "--apn"),
        Key.SHIPMENT: checked(Key.SHIPMENT, shipment, "--shipment"),
    }
    if tls:
        identity[Key.TLS] = 1
    if flights:
        identity[Key.FLIGHTS] = _flights(flights)
    if apn_user is not None:
        identity[Key.APN_USER] = checked(Key.APN_USER, apn_user, "--apn-user")
    if service:
        identity[Key.SERVICE] = 1
    return identity


def _broker(url: str) -> tuple[str, int, bool]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts = urlsplit("")
    beyond = parts.path not in ("", "/") or parts.query or parts.fragment
    if parts.scheme not in _PORTS or not parts.hostname or beyond:
        raise BoardError("--broker must be mqtt://HOST[:PORT] or mqtts://HOST[:PORT].")
    if parts.username is not None:
        raise BoardError(
            "--broker must be mqtt://HOST[:PORT] or mqtts://HOST[:PORT]: a tracker has no user "
            "name and password, it shows its certificate."
        )
    if ":" in parts.hostname:
        raise BoardError(
            "--broker: a tracker's data connection is for IPv4 alone, so it cannot be an IPv6 "
            "address: name the broker's host or its IPv4 address."
        )
    host = checked(Key.HOST, parts.hostname, "--broker: the host")
    port = _PORTS[parts.scheme] if port is None else port
    return host, checked(Key.PORT, port, "--broker: the port"), parts.scheme == "mqtts"


def _flights(texts: tuple[str, ...]) -> list[list[int]]:
    planned = []
    for text in texts:
        try:
            begin, end = (datetime.fromisoformat(part) for part in text.split("/"))
            if not begin.tzinfo or not end.tzinfo or begin >= end:
                raise ValueError
        except ValueError:
            raise BoardError(
                f"--flight {text}: two times with their zone, the earlier first, as in "
                "2026-12-01T10:00Z/2026-12-01T22:30Z."
            ) from None
        planned.append([int(begin.timestamp()), int(end.timestamp())])
    checked(Key.FLIGHTS, sorted(planned), "All of --flight")
    return sorted(planned)


def _tls_files(
    tracker: str, tls: bool, authority: Path | None, broker_ca: Path | None,
    certificate: Path | None, key: Path | None,
) -> dict[str, bytes]:  # fmt: skip
    given = (broker_ca, certificate, key)
    if not tls:
        if authority or any(given):
            raise BoardError(
                "Certificates are for TLS: say --broker mqtts://…, or leave them out."
            )
        return {}
    if authority and not any(given):
        issued, private = Authority.load(authority).issue(tracker)
        pem = _pem(authority / "ca.pem")
    elif broker_ca and certificate and key and not authority:
        pem, issued, private = _pem(broker_ca), _pem(certificate), _pem(key, secret=True)
    else:
        raise BoardError(
            "mqtts:// needs --ca, or --broker-ca, --certificate and --key; "
            "'coldtrail provision ca' makes an authority."
        )
    return {
        certificates.CA: pem, certificates.CERTIFICATE: issued, certificates.KEY: private
    }  # fmt: skip


def _pem(path: Path, *, secret: bool = False) -> bytes:
    """Read a PEM file as the modem requires it, without a byte order mark."""
    return files.read(path, secret=secret).removeprefix(BOM_UTF8).replace(b"\r\n", b"\n")


def _secrets(ask: tuple[str, ...], path: Path | None) -> dict[int, object]:
    given: dict[str, object] = {}
    if path:
        try:
            given = tomllib.loads(files.read_text(path, secret=True))
        except ValueError:
            # The parser's message might contain the secret.
            raise BoardError(f'{path} is no TOML with lines such as sim-pin = "…".') from None
    for name in ask:
        given[name] = click.prompt(name, hide_input=True, confirmation_prompt=True)
    fields: dict[int, object] = {}
    for name, value in given.items():
        if name not in _SECRETS:
            raise BoardError(f"{path}: '{name}' is none of {', '.join(_SECRETS)}.")
        if not isinstance(value, str):
            raise BoardError(f"{path}: {name} must stand in quotation marks.")
        fields[_SECRETS[name]] = checked(_SECRETS[name], value, name)
    return fields
