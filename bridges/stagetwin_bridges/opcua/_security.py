"""Who may be talked to, and how: policies, certificates, passwords.

The rules, from the connection's security profile:

- `strict`: encrypted, unless the endpoint is on the loopback interface. There it is encrypted where
  the credential says whom to trust.
- `Basic256Sha256`, `Aes256`: signed and encrypted by that policy, everywhere.
- `none`: without. A password then leaves for the loopback interface only.
"""

from __future__ import annotations

import datetime
import functools
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from asyncua.crypto import security_policies
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stagetwin.ports import ConnectionSpec, Credential
from stagetwin_bridges._errors import ConnectionConfigError, RefusedError
from stagetwin_bridges.opcua._options import Endpoint

__all__ = ["POLICIES", "Identity", "Security", "security_problems"]

POLICIES: Final[dict[str, Any]] = {
    "Aes256Sha256RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
    "Aes128Sha256RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
}
"""asyncua's policies by name, the strongest first."""

_DEMANDED: Final = {"Basic256Sha256": "Basic256Sha256", "Aes256": "Aes256Sha256RsaPss"}
_PROFILES: Final = ("strict", *_DEMANDED, "none")


def security_problems(connection: ConnectionSpec, endpoint: Endpoint) -> list[str]:
    """Return what an endpoint's options say against its connection's security profile."""
    profile, options = connection.security_profile, endpoint.options
    if profile not in _PROFILES:
        allowed = ", ".join(_PROFILES)
        return [f"security profile {profile!r} is none of OPC UA's; allowed: {allowed}"]
    problems: list[str] = []
    demanded = _DEMANDED.get(profile)
    if demanded and options.policy not in ("auto", demanded):
        problems.append(
            f"security profile {profile!r} demands the policy {demanded}, and the option policy "
            f"says {options.policy}"
        )
    if profile == "none" and options.policy != "auto":
        problems.append(
            f"security profile 'none' goes without encryption, and the option policy says "
            f"{options.policy}; allowed: strict, Basic256Sha256 or Aes256"
        )
    if profile == "strict" and options.trust == "any" and not endpoint.loopback:
        problems.append(
            f"security profile 'strict' demands that the certificate of {endpoint.host} is "
            f"verified, and the option trust says any; allowed: a credential with a ca_file"
        )
    return problems


@dataclass(frozen=True, slots=True)
class Identity:
    """The certificate of this side, and its key.

    Attributes:
        uri: application URI, as the certificate says it.
    """

    uri: str
    certificate: x509.Certificate = field(repr=False)
    key: rsa.RSAPrivateKey = field(repr=False)


@functools.cache
def _self_signed() -> Identity:
    """Return an identity that lives as long as this process."""
    host = socket.gethostname()
    uri = f"urn:{host}:stagetwin"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stagetwin")])
    now = datetime.datetime.now(datetime.UTC)
    known = [x509.UniformResourceIdentifier(uri), x509.DNSName(host)]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,  # of itself
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder(
            name,
            name,
            key.public_key(),
            x509.random_serial_number(),
            now - datetime.timedelta(hours=1),
            now + datetime.timedelta(days=3650),
        )
        .add_extension(x509.SubjectAlternativeName(known), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Identity(uri, certificate, key)


def _identity(cert_file: str, key_file: str) -> Identity:
    certificate = x509.load_pem_x509_certificate(Path(cert_file).read_bytes())
    # The key may lie in the same file.
    pem = Path(key_file or cert_file).read_bytes()
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("expected an RSA key")
    if key.public_key() != certificate.public_key():
        raise ValueError("the key is not that of the certificate")
    names = _names(certificate)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier) if names else []
    if not uris:
        raise ValueError("the certificate names no application URI")
    return Identity(uris[0], certificate, key)


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


@dataclass(frozen=True, slots=True)
class Security:
    """How a connection is secured.

    Attributes:
        endpoint: where it leads.
        policies: allowed policies by name, the preferred one first; empty goes without.
        trusted: certificates that the credential's `ca_file` holds; None accepts any.
        identity: this side's certificate; None where none is needed.
        username: user, empty for anonymous.
        password: its password.
    """

    endpoint: Endpoint
    policies: tuple[str, ...]
    trusted: tuple[x509.Certificate, ...] | None = field(repr=False, default=())
    identity: Identity | None = None
    username: str = ""
    password: str = field(repr=False, default="")

    @classmethod
    def of(
        cls, connection: ConnectionSpec, endpoint: Endpoint, credential: Credential | None
    ) -> Security:
        """Settle the security of a connection, and read the credential's files.

        Raises:
            ConnectionConfigError: profile, options and credential do not fit together, or a file
                cannot be used.
        """
        if problems := security_problems(connection, endpoint):
            raise ConnectionConfigError(f"{connection.prim}: {'; '.join(problems)}")
        if connection.credential and credential is None:
            raise ConnectionConfigError(
                f"{connection.prim}: credential {connection.credential!r} is not known on this host"
            )
        known = credential or Credential()
        profile, options = connection.security_profile, endpoint.options
        said = options.policy != "auto" or options.trust == "any" or bool(known.ca_file)
        encrypted = profile in _DEMANDED or (
            profile == "strict" and (said or not endpoint.loopback)
        )
        verified = encrypted and options.trust != "any"
        if known.username and not endpoint.loopback and not verified:
            why = "without encryption" if not encrypted else "to a server that nobody vouches for"
            raise ConnectionConfigError(
                f"{connection.prim}: a password is not sent to {endpoint.host} {why}; allowed: an "
                f"encrypting security profile and a ca_file, or a loopback address"
            )
        login = (known.username, known.password.get_secret_value())
        if not encrypted:
            return cls(endpoint, (), (), None, *login)
        if verified and not known.ca_file:
            raise ConnectionConfigError(
                f"{connection.prim}: the credential has no ca_file, so no certificate of "
                f"{endpoint.host} can be trusted; expected a PEM file of the server's certificate "
                f"or its authority"
            )
        policy = _DEMANDED.get(profile, options.policy)
        try:
            trusted = _trusted(known.ca_file) if verified else None
            identity = (
                _identity(known.cert_file, known.key_file) if known.cert_file else _self_signed()
            )
        except (OSError, ValueError, TypeError) as error:
            raise ConnectionConfigError(
                f"credential {connection.credential!r} of {connection.prim}: ca_file, cert_file or "
                f"key_file cannot be used: {error}"
            ) from None
        policies = tuple(POLICIES) if policy == "auto" else (policy,)
        return cls(endpoint, policies, trusted, identity, *login)

    def verify(self, chain: Sequence[x509.Certificate], application_uri: str) -> None:
        """Verify a server's certificate.

        Args:
            chain: the certificate, and those that signed it.
            application_uri: what the server says it is.

        Raises:
            RefusedError: nobody vouches for it; says why.
        """
        if self.trusted is None:
            return
        where, certificate = self.endpoint.where, chain[0]
        now = datetime.datetime.now(datetime.UTC)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise RefusedError(
                f"certificate of {where}: valid from {certificate.not_valid_before_utc} to "
                f"{certificate.not_valid_after_utc}, and it is {now:%Y-%m-%d %H:%M}"
            )
        if certificate in self.trusted:
            return
        authorities = [known for known in self.trusted if _is_authority(known)]
        finger = certificate.fingerprint(hashes.SHA256()).hex()
        try:
            if not authorities:
                raise verification.VerificationError("no authority")
            _chains.store(verification.Store(authorities)).build_client_verifier().verify(
                certificate, list(chain[1:])
            )
        except verification.VerificationError:
            raise RefusedError(
                f"certificate of {where} is not trusted: the credential's ca_file holds neither it "
                f"nor the authority that signed it; its SHA-256 fingerprint is {finger}"
            ) from None
        # An authority vouches for many; this one must be a server, and the one that was asked for.
        self._must_be(certificate, application_uri)

    def _must_be(self, certificate: x509.Certificate, application_uri: str) -> None:
        where, names = self.endpoint.where, _names(certificate)
        try:
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            usage = None
        if usage is not None and ExtendedKeyUsageOID.SERVER_AUTH not in usage:
            raise RefusedError(f"certificate of {where} is not one of a server")
        uris = names.get_values_for_type(x509.UniformResourceIdentifier) if names else []
        if application_uri not in uris:
            raise RefusedError(
                f"certificate of {where} is that of {', '.join(uris) or 'nobody'}, and the server "
                f"says it is {application_uri}"
            )
        host = self.endpoint.host
        known = [name.lower() for name in names.get_values_for_type(x509.DNSName)] if names else []
        addresses = names.get_values_for_type(x509.IPAddress) if names else []
        try:
            fits = ipaddress.ip_address(host) in addresses
        except ValueError:
            fits = host.lower() in known
        if not fits:
            hosts = ", ".join([*known, *(str(address) for address in addresses)]) or "no host"
            raise RefusedError(f"certificate of {where} is one for {hosts}")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _must_sign(
    _policy: verification.Policy, _certificate: x509.Certificate, basic: x509.BasicConstraints
) -> None:
    if not basic.ca:
        raise ValueError("not an authority")


_chains: Final = verification.PolicyBuilder().extension_policies(
    ca_policy=verification.ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, _must_sign
    ),
    ee_policy=verification.ExtensionPolicy.permit_all(),
)


def _trusted(ca_file: str) -> tuple[x509.Certificate, ...]:
    found = tuple(x509.load_pem_x509_certificates(Path(ca_file).read_bytes()))
    if not found:
        raise ValueError(f"{ca_file} holds no certificate")
    return found
