"""Endpoints, options, and what the security profiles make of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from stagetwin.ports import AddressDefaults, Credential, find_protocol
from stagetwin_bridges import ConnectionConfigError
from stagetwin_bridges.opcua import Endpoint, OpcUaProtocol
from stagetwin_bridges.opcua._security import Security
from tests.bridges.conftest import channel, connection
from tests.bridges.opcua.certificates import RsaAuthority

FAR = "opc.tcp://plc.hall7:4840/UA"


def test_the_scheme_leads_here() -> None:
    assert isinstance(find_protocol(FAR), OpcUaProtocol)


def test_an_endpoint_is_parsed() -> None:
    endpoint = Endpoint.parse("opc.tcp://[::1]/UA/Server?queue=20&sampling=0&address=ns=2;s=a#b")
    assert endpoint.url == "opc.tcp://[::1]:4840/UA/Server"
    assert endpoint.loopback
    assert (endpoint.options.queue, endpoint.options.sampling) == (20, 0.0)
    assert endpoint.options.address == "ns=2;s=a#b"
    assert not Endpoint.parse(FAR).loopback
    assert Endpoint.parse("opc.tcp://localhost").loopback


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("opc.tcp://", "expected a host"),
        ("opc.https://host", "expected the scheme opc.tcp"),
        ("opc.tcp://host:0", "greater than or equal to 1"),
        ("opc.tcp://host:99999", "Port out of range"),
        ("opc.tcp://host?queue=0", "queue: Input should be greater"),
        ("opc.tcp://host?publishing=nan", "publishing"),
        ("opc.tcp://host?speed=1", "unknown option 'speed'; allowed: address, field, keepalive"),
        ("opc.tcp://host?queue=1&queue=2", "'queue' is given twice"),
        ("opc.tcp://host?queue", "expected <name>=<value>"),
        ("opc.tcp://host?trust=none", "'ca_file' or 'any'"),
    ],
)
def test_a_wrong_endpoint_says_what_is_allowed(uri: str, said: str) -> None:
    (problem,) = OpcUaProtocol().check_connection(connection(uri))
    assert said in problem


def test_a_password_in_the_uri_is_not_repeated() -> None:
    (problem,) = OpcUaProtocol().check_connection(connection("opc.tcp://ada:hush@host"))
    assert "name a credential" in problem
    assert "hush" not in problem


@pytest.mark.parametrize(
    ("endpoint", "profile", "said"),
    [
        (FAR, "strict", None),
        (FAR, "none", None),
        (FAR, "Basic256Sha256", None),
        (f"{FAR}?trust=any", "strict", "the option trust says any"),
        (f"{FAR}?trust=any", "Aes256", None),
        ("opc.tcp://127.0.0.1?trust=any", "strict", None),
        (f"{FAR}?policy=Basic256Sha256", "Aes256", "demands the policy Aes256Sha256RsaPss"),
        (f"{FAR}?policy=Aes256Sha256RsaPss", "Aes256", None),
        (f"{FAR}?policy=Basic256Sha256", "none", "goes without encryption"),
        (FAR, "tls", "none of OPC UA's; allowed: strict, Basic256Sha256, Aes256, none"),
    ],
)
def test_profile_and_options_must_fit(endpoint: str, profile: str, said: str | None) -> None:
    problems = OpcUaProtocol().check_connection(connection(endpoint, security_profile=profile))
    if said is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert said in problems[0]


@pytest.mark.parametrize(
    ("endpoint", "profile", "ca", "policies"),
    [
        (FAR, "strict", True, 3),
        (FAR, "Basic256Sha256", True, 1),
        (FAR, "none", True, 0),
        ("opc.tcp://127.0.0.1", "strict", False, 0),
        ("opc.tcp://127.0.0.1", "strict", True, 3),
        ("opc.tcp://127.0.0.1?trust=any", "strict", False, 3),
        ("opc.tcp://127.0.0.1", "Aes256", True, 1),
    ],
)
def test_what_is_encrypted(
    endpoint: str, profile: str, ca: bool, policies: int, rsa_authority: RsaAuthority
) -> None:
    made = Security.of(
        connection(endpoint, security_profile=profile),
        Endpoint.parse(endpoint),
        Credential(ca_file=rsa_authority.ca_file if ca else ""),
    )
    assert len(made.policies) == policies
    assert (made.identity is not None) is bool(policies)


@pytest.mark.parametrize(
    ("endpoint", "profile", "credential", "said"),
    [
        (FAR, "strict", Credential(), "has no ca_file"),
        ("opc.tcp://127.0.0.1", "Aes256", Credential(), "has no ca_file"),
        (FAR, "none", Credential(username="ada"), "not sent to plc.hall7 without encryption"),
        (
            f"{FAR}?trust=any",
            "Aes256",
            Credential(username="ada"),
            "to a server that nobody vouches for",
        ),
        (FAR, "strict", Credential(ca_file="/nowhere.pem"), "cannot be used"),
        (FAR, "strict", None, "credential 'plc' is not known"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_connects(
    endpoint: str, profile: str, credential: Credential | None, said: str
) -> None:
    spec = connection(endpoint, security_profile=profile, credential="plc")
    with pytest.raises(ConnectionConfigError, match=said):
        OpcUaProtocol().bridge(spec, [], _Nobody(), credential)


def test_a_certificate_without_its_key_is_refused(
    rsa_authority: RsaAuthority, tmp_path: Path
) -> None:
    one, other = (rsa_authority.issue(f"urn:{n}") for n in ("one", "other"))
    credential = Credential(
        ca_file=rsa_authority.ca_file, cert_file=one.certificate, key_file=other.key
    )
    with pytest.raises(ConnectionConfigError, match="the key is not that of the certificate"):
        OpcUaProtocol().bridge(connection(FAR, credential="plc"), [], _Nobody(), credential)
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(ConnectionConfigError, match="ca_file, cert_file or key_file"):
        OpcUaProtocol().bridge(
            connection(FAR, credential="plc"), [], _Nobody(), Credential(ca_file=str(empty))
        )


def test_no_secret_shows(rsa_authority: RsaAuthority) -> None:
    credential = Credential(
        username="ada", password=SecretStr("hush"), ca_file=rsa_authority.ca_file
    )
    made = Security.of(connection(FAR), Endpoint.parse(FAR), credential)
    assert made.password == "hush"
    assert "hush" not in repr(made)


def test_templates_of_a_connection() -> None:
    spec = connection(FAR + "?address=nsu=http://p;s={twin:id}.{signal}&field=[0]")
    assert OpcUaProtocol().defaults(spec) == AddressDefaults(
        address="nsu=http://p;s={twin:id}.{signal}", field="[0]"
    )
    assert OpcUaProtocol().loss_class(spec) == "detectable"


@pytest.mark.parametrize(
    ("address", "field", "encoding", "said"),
    [
        ("nsu=http://p;s=a", "", "auto", None),
        ("i=2258", "[2]", "auto", None),
        ("pump/speed", "", "auto", "expected a NodeId"),
        ("i=1", "speed", "auto", "an index into an array"),
        ("i=1", "[", "auto", "field '['"),
        ("i=1", "", "json", "OPC UA says the type"),
    ],
)
def test_channels_are_checked(address: str, field: str, encoding: str, said: str | None) -> None:
    problems = OpcUaProtocol().check_channel(channel(0, address, field, encoding=encoding))
    if said is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert said in problems[0]


class _Nobody:
    """A sink for a bridge that is never made."""

    def samples(self, batch: object) -> None: ...

    def state(self, state: object, cause: str = "") -> None: ...

    def rejected(self, reason: object, count: int, example: str = "") -> None: ...

    def vouch(self, channels: object, alive: bool) -> None: ...
