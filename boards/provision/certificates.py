"""Certificates: a small certificate authority, and checks of the files for a tracker.

RSA of 2048 bits in PKCS#1 files, as the modem's manual shows for TLS.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from coldtrail_boards import files
from coldtrail_boards.errors import BoardError

CA, CERTIFICATE, KEY = "ca.pem", "client.pem", "client.key"
"""File names on the tracker."""
AUTHORITY_DAYS, DAYS = 3650, 1095
_BACK = timedelta(minutes=5)  # tolerance between the clocks of brokers and packing stations


class Authority:
    """A certificate authority in a folder: `ca.pem` is public, `ca.key` is secret."""

    def __init__(self, certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def create(cls, folder: Path, name: str, since: datetime | None = None) -> Authority:
        """Create an authority that is valid from ``since`` or now on.

        Raises:
            BoardError: the folder already has an authority, or cannot be written.
        """
        key = _new_key()
        subject = _name(name)
        builder = _builder(subject, subject, key.public_key(), AUTHORITY_DAYS, since)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        builder = builder.add_extension(_usage(sign_certificates=True), critical=True)
        certificate = builder.sign(key, hashes.SHA256())
        files.write(folder / "ca.key", private_pem(key))
        files.write(folder / "ca.pem", public_pem(certificate), mode=0o644)
        return cls(certificate, key)

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """Read an authority.

        Raises:
            BoardError: there is none, it has expired, or its two files do not match.
        """
        certificate = _certificate(folder / "ca.pem")
        key = _private_key(folder / "ca.key", files.read(folder / "ca.key", secret=True))
        _check_dates(folder / "ca.pem", certificate)
        _check_pair(folder / "ca.pem", certificate, key)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise BoardError(f"{folder} is no authority that 'provision ca' made: make one.")
        return cls(certificate, key)

    def issue(
        self, name: str, *, server: bool = False, since: datetime | None = None
    ) -> tuple[bytes, bytes]:
        """Return certificate and private key, PEM, for a tracker or for the host of a broker.

        The certificate is valid from ``since`` or now on.
        """
        key = _new_key()
        issuer = self.certificate.subject
        builder = _builder(_name(name), issuer, key.public_key(), DAYS, since)
        role = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        )
        builder = builder.add_extension(_usage(sign_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([role]), critical=False)
        if server:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(name)]), critical=False
            )
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        return public_pem(builder.sign(self._key, hashes.SHA256())), private_pem(key)


def check(found: dict[str, bytes], tracker: str, source: Path) -> None:
    """Check the three files that a tracker needs for TLS.

    Raises:
        BoardError: a file is missing, expired or not yet valid, or the files do not match.
    """
    missing = [name for name in (CA, CERTIFICATE, KEY) if name not in found]
    if missing:
        raise BoardError(
            f"{source} says TLS and has no {missing[0]}: provision the tracker again."
        )
    authority = _parse(source / CA, found[CA])
    certificate = _parse(source / CERTIFICATE, found[CERTIFICATE])
    _check_dates(source / CA, authority)
    _check_dates(source / CERTIFICATE, certificate)
    _check_pair(source / CERTIFICATE, certificate, _private_key(source / KEY, found[KEY]))
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names or names[0].value != tracker:
        given = names[0].value if names else "nobody"
        raise BoardError(
            f"{source / CERTIFICATE} is for {given!s} and not for {tracker}: "
            f"issue one for {tracker}."
        )
    if certificate.issuer == authority.subject:
        try:
            certificate.verify_directly_issued_by(authority)
        except (InvalidSignature, TypeError, ValueError) as error:
            raise BoardError(
                f"{source / CERTIFICATE} names the authority in {CA} and is not signed by it: "
                "name the authority that issued it."
            ) from error


def public_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(key: rsa.RSAPrivateKey) -> bytes:
    """Return a private key as unencrypted PEM (PKCS#1), because a tracker has no password."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPublicKey,
    days: int,
    since: datetime | None,
) -> x509.CertificateBuilder:
    now = since or datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates, content_commitment=False,
        key_encipherment=not sign_certificates, data_encipherment=False, key_agreement=False,
        key_cert_sign=sign_certificates, crl_sign=sign_certificates,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _certificate(path: Path) -> x509.Certificate:
    return _parse(path, files.read(path))


def _parse(path: Path, data: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(data)
    except ValueError as error:
        raise BoardError(f"{path} is no certificate in PEM: name one.") from error


def _private_key(path: Path, data: bytes) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise BoardError(
            f"{path} is no private key in PEM without a password: name one."
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise BoardError(f"{path} is neither an RSA nor an EC key, which is what the modem takes.")
    return key


def _check_dates(path: Path, certificate: x509.Certificate) -> None:
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        when = certificate.not_valid_after_utc.date()
        raise BoardError(f"The certificate {path} expired on {when}: issue a new one.")
    if now < certificate.not_valid_before_utc:
        when = certificate.not_valid_before_utc.date()
        raise BoardError(
            f"The certificate {path} is valid from {when} on: check this machine's clock."
        )


def _check_pair(
    path: Path,
    certificate: x509.Certificate,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
) -> None:
    if certificate.public_key() != key.public_key():
        raise BoardError(
            f"The certificate {path} does not belong to its private key: "
            "name the pair that was issued."
        )
