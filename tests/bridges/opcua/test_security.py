"""Encryption, trust and users, against servers that insist on them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from stagetwin.ports import ConnectionState, Credential
from tests.bridges.conftest import channel
from tests.bridges.opcua.certificates import Files, RsaAuthority, self_signed
from tests.bridges.opcua.conftest import MakeOpcUaBridge, MakeServer
from tests.bridges.opcua.servers import FOREIGN, ServerProcess, node
from tests.bridges.recording_sink import RecordingSink, eventually
from tests.bridges.tcp_proxy import TcpProxy

PASSWORD = "correct-horse-battery"
POLICIES = ["Basic256Sha256_SignAndEncrypt", "Aes256Sha256RsaPss_SignAndEncrypt"]
SPEED = {"speed": ("Double", 4.5)}
URI = "urn:plant.example:server"


def secure(make: MakeServer, files: Files, **plan: Any) -> ServerProcess:
    """Return an asyncua server that only encrypts."""
    return make(SPEED, certificate=files.certificate, key=files.key, policies=POLICIES, **plan)


def login(password: str, **more: str) -> Credential:
    """Return a user's credential."""
    return Credential(username="ada", password=SecretStr(password), **more)


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("profile", ["strict", "Basic256Sha256", "Aes256"])
def test_values_arrive_encrypted(
    profile: str,
    foreign: bool,
    application: Files,
    sink: RecordingSink,
    make_server: MakeServer,
    make_foreign: MakeServer,
    make_opcua_bridge: MakeOpcUaBridge,
) -> None:
    if foreign:
        server = make_foreign(SPEED, secure=True, password=PASSWORD)
    else:
        server = secure(make_server, application, password=PASSWORD)
    with TcpProxy(server.port) as proxy:
        make_opcua_bridge(
            server.endpoint(port=proxy.port),
            channel(0, node("speed", FOREIGN) if foreign else node("speed")),
            credential=login(PASSWORD, ca_file=application.certificate),
            security_profile=profile,
        )
        eventually(lambda: sink.of(0) == [4.5])
        policy = b"Basic256Sha256" if profile == "Basic256Sha256" else b"Aes256_Sha256_RsaPss"
        assert b"SecurityPolicy#" + policy in proxy.sent("to_server", 1)
        assert PASSWORD.encode() not in proxy.sent("to_server")
        assert b"speed" not in proxy.sent("to_server")


@pytest.mark.parametrize("foreign", [False, True])
def test_a_wrong_password_is_a_refusal(
    foreign: bool,
    application: Files,
    sink: RecordingSink,
    make_server: MakeServer,
    make_foreign: MakeServer,
    make_opcua_bridge: MakeOpcUaBridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if foreign:
        server = make_foreign(SPEED, secure=True, password=PASSWORD)
    else:
        server = secure(make_server, application, password=PASSWORD)
    with caplog.at_level(logging.DEBUG):
        make_opcua_bridge(
            server.endpoint(),
            channel(0, node("speed")),
            credential=login("wrong-horse", ca_file=application.certificate),
            wait=False,
        )
        eventually(lambda: sink.current[0] is ConnectionState.FAILED)
    assert "refuses: Bad" in sink.current[1]
    assert "wrong-horse" not in caplog.text


def test_nobody_is_let_in_without_a_user(
    sink: RecordingSink, make_server: MakeServer, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    server = make_server(SPEED, password=PASSWORD)
    make_opcua_bridge(server.endpoint(), channel(0, node("speed")), wait=False)
    eventually(lambda: sink.current[0] is ConnectionState.FAILED)
    assert "refuses: BadIdentityToken" in sink.current[1]


def test_a_user_is_let_in_on_this_host_without_encryption(
    sink: RecordingSink, make_server: MakeServer, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    server = make_server(SPEED, password=PASSWORD)
    make_opcua_bridge(server.endpoint(), channel(0, node("speed")), credential=login(PASSWORD))
    eventually(lambda: sink.of(0) == [4.5])


def test_an_untrusted_certificate_ends_it_before_anything_is_said(
    application: Files,
    rsa_authority: RsaAuthority,
    sink: RecordingSink,
    make_server: MakeServer,
    make_opcua_bridge: MakeOpcUaBridge,
) -> None:
    server = secure(make_server, application, password=PASSWORD)
    with TcpProxy(server.port) as proxy:
        make_opcua_bridge(
            server.endpoint(port=proxy.port),
            channel(0, node("speed")),
            credential=login(PASSWORD, ca_file=rsa_authority.ca_file),
            wait=False,
        )
        eventually(lambda: sink.current[0] is ConnectionState.FAILED)
        assert "is not trusted" in sink.current[1]
        assert "SHA-256 fingerprint is " in sink.current[1]
        assert b"SecurityPolicy#Basic256Sha256" not in proxy.sent("to_server")
        assert b"SecurityPolicy#Aes" not in proxy.sent("to_server")


def test_any_certificate_is_trusted_where_the_endpoint_says_so(
    application: Files,
    sink: RecordingSink,
    make_server: MakeServer,
    make_opcua_bridge: MakeOpcUaBridge,
) -> None:
    server = secure(make_server, application)
    make_opcua_bridge(server.endpoint("trust=any"), channel(0, node("speed")))
    eventually(lambda: sink.of(0) == [4.5])


def test_an_authority_vouches_for_servers_and_clients(
    rsa_authority: RsaAuthority,
    sink: RecordingSink,
    make_server: MakeServer,
    make_opcua_bridge: MakeOpcUaBridge,
) -> None:
    server = secure(make_server, rsa_authority.issue(URI))
    mine = rsa_authority.issue("urn:plant.example:twin", server=False)
    make_opcua_bridge(
        server.endpoint(),
        channel(0, node("speed")),
        credential=Credential(
            ca_file=rsa_authority.ca_file, cert_file=mine.certificate, key_file=mine.key
        ),
        security_profile="Aes256",
    )
    eventually(lambda: sink.of(0) == [4.5])


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"hosts": ("10.0.0.7",)}, "is one for 10.0.0.7"),
        ({"server": False}, "is not one of a server"),
        ({"days": -1}, "valid from"),
        ({"uri": "urn:somebody:else"}, "is that of urn:somebody:else"),
    ],
)
def test_an_authority_does_not_vouch_for_everything(
    what: dict[str, Any],
    said: str,
    rsa_authority: RsaAuthority,
    sink: RecordingSink,
    make_server: MakeServer,
    make_opcua_bridge: MakeOpcUaBridge,
) -> None:
    server = secure(make_server, rsa_authority.issue(**{"uri": URI, **what}))
    make_opcua_bridge(
        server.endpoint(),
        channel(0, node("speed")),
        credential=Credential(ca_file=rsa_authority.ca_file),
        wait=False,
    )
    eventually(lambda: sink.current[0] is ConnectionState.FAILED)
    assert said in sink.current[1]


def test_a_server_that_does_not_encrypt_is_refused(
    application: Files,
    sink: RecordingSink,
    make_server: MakeServer,
    make_opcua_bridge: MakeOpcUaBridge,
) -> None:
    server = make_server(SPEED)
    make_opcua_bridge(
        server.endpoint(),
        channel(0, node("speed")),
        credential=Credential(ca_file=application.certificate),
        security_profile="Basic256Sha256",
        wait=False,
    )
    eventually(lambda: sink.current[0] is ConnectionState.FAILED)
    assert "offers no endpoint that signs and encrypts by Basic256Sha256" in sink.current[1]


def test_a_server_that_only_encrypts_says_so_to_who_does_not(
    application: Files,
    sink: RecordingSink,
    make_server: MakeServer,
    make_opcua_bridge: MakeOpcUaBridge,
) -> None:
    server = secure(make_server, application)
    make_opcua_bridge(
        server.endpoint(), channel(0, node("speed")), security_profile="none", wait=False
    )
    eventually(lambda: sink.current[0] is ConnectionState.FAILED)
    assert sink.current[1]


def test_a_swapped_certificate_is_noticed(
    application: Files,
    tmp_path: Path,
    sink: RecordingSink,
    make_server: MakeServer,
    make_opcua_bridge: MakeOpcUaBridge,
) -> None:
    real = secure(make_server, application)
    fake = secure(make_server, self_signed(tmp_path, application.uri))
    with TcpProxy(real.port) as proxy:
        make_opcua_bridge(
            real.endpoint(port=proxy.port),
            channel(0, node("speed")),
            credential=Credential(ca_file=application.certificate),
        )
        eventually(lambda: sink.of(0) == [4.5])
        proxy.target = ("127.0.0.1", fake.port)
        proxy.cut()
        eventually(lambda: sink.current[0] is ConnectionState.FAILED)
        assert "is not trusted" in sink.current[1]
