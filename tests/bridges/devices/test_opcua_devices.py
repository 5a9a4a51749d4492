"""Devices that host an OPC UA server, asked by an asyncua client."""

from __future__ import annotations

import asyncio
import datetime
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.uaerrors import UaStatusCodeError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from stagetwin_bridges.devices import DevicePark, ServerOptions, ServerUser
from tests.bridges.devices.plant_text import OPC_PLANT, WT1
from tests.bridges.recording_sink import eventually

WRITER = ServerUser.model_validate({"username": "boss", "password": "b-secret", "commands": True})
READER = ServerUser.model_validate({"username": "eye", "password": "e-secret"})


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Plc:
    """A running device and where it listens."""

    def __init__(self, park: DevicePark, url: str) -> None:
        self.park, self.url = park, url

    def run(self, what: Callable[[Client], Awaitable[Any]], user: ServerUser | None = None) -> Any:
        """Do something as a client, with a connection of its own."""

        async def session() -> Any:
            client = Client(self.url, timeout=10)
            if user is not None:
                client.set_user(user.username)
                client.set_password(user.password.get_secret_value())
            async with client:
                return await what(client)

        return asyncio.run(session())

    def read(self, name: str) -> Any:
        async def value(client: Client) -> Any:
            return await (await node(client, name)).read_value()

        return self.run(value)

    def write(self, name: str, value: Any, kind: ua.VariantType = ua.VariantType.Double) -> str:
        return str(self.run(lambda client: written(client, name, value, kind)))


async def node(client: Client, name: str) -> Any:
    index = await client.get_namespace_index("urn:plant")
    return client.get_node(ua.NodeId(f"wt1.{name}", index))


async def status_of(doing: Awaitable[Any]) -> str:
    """Return the name of the status that a request ends with."""
    try:
        await doing
    except UaStatusCodeError as error:
        return type(error).__name__
    return "Good"


async def written(client: Client, name: str, value: Any, kind: ua.VariantType) -> str:
    variant = ua.DataValue(ua.Variant(value, kind))
    return await status_of((await node(client, name)).write_value(variant))


async def called(client: Client, *arguments: ua.Variant) -> str:
    method = await node(client, "run")
    owner = client.get_node(ua.NodeId("wt1", method.nodeid.NamespaceIndex))
    return await status_of(owner.call_method(method, *arguments))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plant") / "plant.usda"
    path.write_text(OPC_PLANT)
    return path


def park_of(stage: Path, folder: Path, url: str, server: ServerOptions | None = None) -> DevicePark:
    servers = {} if server is None else {"plc": server}
    return DevicePark(stage, folder, endpoints={"plc": url}, servers=servers, rate=20.0)


@pytest.fixture(scope="module")
def running(stage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plc]:
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    with park_of(stage, tmp_path_factory.mktemp("d") / "dev", url) as park:
        yield Plc(park, url)


@pytest.fixture
def plc(running: Plc) -> Iterator[Plc]:
    yield running
    running.park.misbehave("wt1", "none")


def executed(plc: Plc) -> list[tuple[str, Any]]:
    return [(entry.command, entry.value) for entry in plc.park.executed()]


def test_every_signal_is_a_node_of_its_own_type_that_clients_cannot_write(plc: Plc) -> None:
    async def look(client: Client) -> dict[str, Any]:
        found = {}
        for name in ("power", "wind_speed", "state", "running"):
            data = await (await node(client, name)).read_data_value()
            age = datetime.datetime.now(datetime.UTC) - data.SourceTimestamp.replace(
                tzinfo=datetime.UTC
            )
            value, refused = (
                data.Value,
                await written(client, name, data.Value.Value, data.Value.VariantType),
            )
            found[name] = (value.VariantType.name, abs(age.total_seconds()) < 10, refused)
        return found

    kinds = {"power": "Double", "wind_speed": "Float", "state": "String", "running": "Boolean"}
    assert plc.run(look) == {k: (v, True, "BadUserAccessDenied") for k, v in kinds.items()}


def test_a_subscription_sees_values_change(plc: Plc) -> None:
    async def follow(client: Client) -> list[float]:
        seen: list[float] = []
        enough = asyncio.Event()

        class Handler:
            def datachange_notification(self, _node: Any, value: float, _data: Any) -> None:
                seen.append(value)
                if len(seen) >= 4:
                    enough.set()

        subscription = await client.create_subscription(50, Handler())
        await subscription.subscribe_data_change(await node(client, "wind_speed"))
        await asyncio.wait_for(enough.wait(), 15)
        await subscription.delete()
        return seen

    assert len(set(plc.run(follow))) >= 4


def test_a_written_limit_is_obeyed_and_the_power_follows(plc: Plc) -> None:
    before = len(executed(plc))
    assert plc.write("power_limit", 60.0) == "Good"
    assert plc.read("power_limit") == 60.0
    eventually(lambda: abs(plc.read("power") - 60) < 1.5, 30)
    assert executed(plc)[before:] == [("power_limit", 60.0)]


@pytest.mark.parametrize(
    ("value", "kind", "status"),
    [
        (101.0, ua.VariantType.Double, "BadOutOfRange"),
        (float("nan"), ua.VariantType.Double, "BadOutOfRange"),
        (50.0, ua.VariantType.Float, "BadTypeMismatch"),
        (50, ua.VariantType.Int32, "BadTypeMismatch"),
        ("50", ua.VariantType.String, "BadTypeMismatch"),
    ],
)
def test_a_write_that_is_wrong_is_refused_on_the_wire(
    plc: Plc, value: Any, kind: ua.VariantType, status: str
) -> None:
    before, held = len(executed(plc)), plc.read("power_limit")
    assert plc.write("power_limit", value, kind) == status
    assert plc.read("power_limit") == held
    assert len(executed(plc)) == before


def test_a_method_takes_one_argument_of_its_type(plc: Plc) -> None:
    async def call(client: Client) -> list[str]:
        return [
            await called(client, ua.Variant(False, ua.VariantType.Boolean)),
            await called(client, ua.Variant(1, ua.VariantType.Int32)),
            await called(client),
            str(await (await node(client, "running")).read_value()),
            await called(client, ua.Variant(True, ua.VariantType.Boolean)),
        ]

    assert plc.run(call) == ["Good", "BadTypeMismatch", "BadArgumentsMissing", "False", "Good"]


# -- misbehaviour


def test_refuse_and_freeze_and_lie(plc: Plc) -> None:
    plc.park.misbehave("wt1", "refuse")
    assert plc.write("power_limit", 40.0) == "BadInvalidState"
    plc.park.misbehave("wt1", "freeze")
    power, before = plc.read("power"), len(executed(plc))
    assert plc.write("power_limit", 30.0) == "Good"
    assert [plc.read("power") for _ in range(3)] == [power] * 3
    plc.park.misbehave("wt1", "lie")
    assert plc.write("power_limit", 20.0) == "Good"
    assert plc.read("power") == 20.0
    assert len(executed(plc)) == before


def test_mute_executes_and_holds_its_answer_back(plc: Plc) -> None:
    plc.park.misbehave("wt1", "mute")
    before = len(executed(plc))

    async def write(client: Client) -> str:
        doing = asyncio.ensure_future(written(client, "power_limit", 72.0, ua.VariantType.Double))
        while len(executed(plc)) == before:
            await asyncio.sleep(0.05)
        assert not doing.done()
        await asyncio.to_thread(plc.park.misbehave, "wt1", "none")
        return await doing

    assert plc.run(write) == "Good"
    assert executed(plc)[before:] == [("power_limit", 72.0)]


def test_offline_closes_the_server_and_none_opens_it_again(plc: Plc) -> None:
    plc.park.misbehave(WT1, "offline")
    eventually(lambda: not listens(plc.url), 20)
    plc.park.misbehave(WT1, "none")
    eventually(lambda: listens(plc.url), 20)
    assert isinstance(plc.read("power"), float)


def listens(url: str) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) == 0


# -- who may do what


def test_users_come_in_by_password_and_readers_only_read(stage: Path, tmp_path: Path) -> None:
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    with park_of(stage, tmp_path / "d", url, ServerOptions(users=(WRITER, READER))) as park:
        plc = Plc(park, url)

        async def attempt(client: Client) -> tuple[bool, str, str]:
            power = await (await node(client, "power")).read_value()
            return (
                isinstance(power, float),
                await written(client, "power_limit", 70.0, ua.VariantType.Double),
                await called(client, ua.Variant(True, ua.VariantType.Boolean)),
            )

        assert plc.run(attempt, READER) == (True, "BadUserAccessDenied", "BadUserAccessDenied")
        assert plc.run(attempt, WRITER) == (True, "Good", "Good")
        assert len(park.executed()) == 2
        wrong = WRITER.model_copy(update={"username": "eye"})
        for user in (None, wrong):
            with pytest.raises(UaStatusCodeError):
                plc.run(attempt, user)


def certificate(folder: Path, uri: str) -> tuple[str, str]:
    """Return a certificate file and a key file of an application, signed by itself."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - day, now + day
    ).add_extension(
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False
    )
    pem = serialization.Encoding.PEM
    cert_file, key_file = folder / "device.pem", folder / "device.key"
    cert_file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return str(cert_file), str(key_file)


def test_with_a_certificate_only_encrypted_channels_are_offered(
    stage: Path, tmp_path: Path
) -> None:
    cert_file, key_file = certificate(tmp_path, "urn:plant:plc")
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    options = ServerOptions(cert_file=cert_file, key_file=key_file, application_uri="urn:plant:plc")
    with park_of(stage, tmp_path / "d", url, options) as park:
        assert park.pids

        async def offered() -> set[str]:
            async with asyncio.timeout(20):
                endpoints = await Client(url).connect_and_get_server_endpoints()
            return {str(endpoint.SecurityMode.name) for endpoint in endpoints}

        assert asyncio.run(offered()) == {"SignAndEncrypt"}
