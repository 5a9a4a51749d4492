"""Certificates as OPC UA wants them: RSA, with an application URI."""

from __future__ import annotations

import datetime
import ipaddress
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Files", "RsaAuthority", "self_signed"]

_numbers = itertools.count()
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Files:
    """A certificate and its key, as PEM files."""

    certificate: str
    key: str
    uri: str


class RsaAuthority:
    """A certificate authority of its own, in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = _sign(
            self._name, self._name, self._key, self._key, [], [], ca=True, server=False
        )
        path = folder / f"{name}-{next(_numbers)}.pem"
        path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        self.ca_file = str(path)

    def issue(
        self,
        uri: str,
        hosts: Sequence[str] = ("127.0.0.1",),
        *,
        server: bool = True,
        days: float = 1,
    ) -> Files:
        """Return certificate and key for an application."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri)])
        signed = _sign(
            name, self._name, key, self._key, [uri], hosts, ca=False, server=server, days=days
        )
        return _save(self._folder, signed, key, uri)


def self_signed(folder: Path, uri: str, hosts: Sequence[str] = ("127.0.0.1",)) -> Files:
    """Return a certificate that vouches for itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri)])
    signed = _sign(name, name, key, key, [uri], hosts, ca=False, server=True)
    return _save(folder, signed, key, uri)


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    signer: rsa.RSAPrivateKey,
    uris: Sequence[str],
    hosts: Sequence[str],
    *,
    ca: bool,
    server: bool,
    days: float = 1,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
    builder = x509.CertificateBuilder(
        issuer,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        now - 2 * _DAY,
        now + days * _DAY,
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    if not ca:
        kinds = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([kinds]), critical=False)
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
        for host in hosts:
            try:
                names.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    )
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
    )
    return builder.sign(signer, hashes.SHA256())


def _save(folder: Path, certificate: x509.Certificate, key: rsa.RSAPrivateKey, uri: str) -> Files:
    path = folder / f"application-{next(_numbers)}.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path = path.with_name(f"{path.stem}-key.pem")
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Files(str(path), str(key_path), uri)
