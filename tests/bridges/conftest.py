"""Brokers, certificates and sinks for the tests of the bridges."""

from __future__ import annotations

import datetime
import ipaddress
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import stagetwin_bridges.mqtt._paho as adapter
from stagetwin.ports import ChannelSpec, ConnectionSpec, Credential, Realm, ValueKind
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.mqtt import MqttBridge, MqttProtocol, MqttPublisher
from tests.bridges.recording_sink import RecordingSink, eventually

_names = itertools.count()


class Authority:
    """A certificate authority of its own, in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        key = self._key.public_key()
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=True, path_length=None), True)
        ]
        self.ca_file = self._save(self._sign(self._name, key, extensions), f"{name}.pem")

    def issue(self, host: str) -> tuple[str, str]:
        """Return certificate file and key file for a host name or address."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            known: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            known = x509.DNSName(host)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.SubjectAlternativeName([known]), False)
        ]
        signed = self._sign(name, key.public_key(), extensions)
        key_file = self._folder / f"{host}-{next(_names)}.key"
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return self._save(signed, f"{key_file.stem}.pem"), str(key_file)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        extensions: list[tuple[x509.ExtensionType, bool]],
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        builder = x509.CertificateBuilder(
            self._name, subject, key, x509.random_serial_number(), now - day, now + day
        )
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key), critical=False
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
            critical=False,
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())

    def _save(self, certificate: x509.Certificate, name: str) -> str:
        path = self._folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)


MakeBridge = Callable[..., MqttBridge]
MakePublisher = Callable[..., MqttPublisher]


@pytest.fixture(scope="session")
def shared_broker() -> Iterator[LocalBroker]:
    """One mosquitto for all tests that leave it as it is."""
    with LocalBroker("mosquitto") as broker:
        yield broker


@pytest.fixture
def root(request: pytest.FixtureRequest) -> str:
    """A topic level that no other test uses."""
    return f"t{next(_names)}"


@pytest.fixture
def sink() -> RecordingSink:
    """A sink that keeps everything."""
    return RecordingSink()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the tests' clients trust."""
    return Authority(tmp_path_factory.mktemp("authority"), "plant")


def connection(endpoint: str, realm: Realm = "simulation", **more: str) -> ConnectionSpec:
    """Return a connection of a stage."""
    return ConnectionSpec(name="field", prim="/World/field", endpoint=endpoint, realm=realm, **more)


def channel(
    index: int,
    address: str,
    field: str = "",
    kind: ValueKind = ValueKind.NUMBER,
    encoding: str = "auto",
    availability: str = "",
) -> ChannelSpec:
    """Return a channel of a pump."""
    return ChannelSpec(
        index=index,
        prim=f"/World/Pump_{index}",
        signal="flow",
        address=address,
        field=field,
        kind=kind,
        encoding=encoding,
        availability=availability,
    )


@pytest.fixture
def quick_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections over MQTT give their signs of life ten times a second."""
    monkeypatch.setattr(adapter, "_TICK", 0.1)


@pytest.fixture
def make_bridge(sink: RecordingSink) -> Iterator[MakeBridge]:
    """Make a running bridge into `sink`; all end with the test."""
    made: list[MqttBridge] = []

    def make(
        broker: LocalBroker,
        *channels: ChannelSpec,
        query: str = "",
        realm: Realm = "simulation",
        credential: Credential | None = None,
        wait: bool = True,
    ) -> MqttBridge:
        bridge = MqttProtocol().bridge(
            connection(broker.endpoint(query), realm),
            channels,
            sink,
            credential or broker.credential("subscriber"),
        )
        made.append(bridge)
        bridge.start()
        if wait:
            eventually(sink.online)
        return bridge

    yield make
    for bridge in made:
        bridge.stop()


@pytest.fixture
def make_publisher() -> Iterator[MakePublisher]:
    """Make a connected publisher; all end with the test."""
    made: list[MqttPublisher] = []

    def make(broker: LocalBroker, query: str = "", realm: Realm = "simulation") -> MqttPublisher:
        made.append(
            MqttProtocol().publisher(
                connection(broker.endpoint(query), realm), broker.credential("publisher")
            )
        )
        return made[-1]

    yield make
    for publisher in made:
        publisher.close()
