"""Servers and bridges for the tests of OPC UA."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stagetwin.ports import ChannelSpec, Credential
from stagetwin_bridges.opcua import OpcUaBridge, OpcUaProtocol
from tests.bridges.conftest import connection
from tests.bridges.opcua.certificates import Files, RsaAuthority, self_signed
from tests.bridges.opcua.servers import ServerProcess, foreign_server
from tests.bridges.recording_sink import RecordingSink, eventually

MakeOpcUaBridge = Callable[..., OpcUaBridge]
MakeServer = Callable[..., ServerProcess]

_MODULES = Path(__file__).parent / "foreign" / "node_modules"


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """Make a running asyncua server; all end with the test."""
    made: list[ServerProcess] = []

    def make(variables: dict[str, tuple[str, Any]], **plan: Any) -> ServerProcess:
        made.append(ServerProcess(variables, **plan))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def make_foreign(tmp_path: Path, application: Files) -> Iterator[MakeServer]:
    """Make a running foreign server; all end with the test."""
    if not _MODULES.is_dir() or shutil.which("node") is None:
        text = "no foreign OPC UA server: .ci/system-parts opcua installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    made: list[ServerProcess] = []

    def make(variables: dict[str, tuple[str, Any]], **plan: Any) -> ServerProcess:
        files = {
            "certificate": application.certificate,
            "key": application.key,
            "applicationUri": application.uri,
        }
        made.append(foreign_server(variables, tmp_path, **files, **plan))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A server's certificate that vouches for itself."""
    return self_signed(tmp_path_factory.mktemp("application"), "urn:plant.example:server")


@pytest.fixture(scope="session")
def rsa_authority(tmp_path_factory: pytest.TempPathFactory) -> RsaAuthority:
    """The authority of a plant."""
    return RsaAuthority(tmp_path_factory.mktemp("rsa"), "plant")


@pytest.fixture
def make_opcua_bridge(sink: RecordingSink) -> Iterator[MakeOpcUaBridge]:
    """Make a running bridge into `sink`; all end with the test."""
    made: list[OpcUaBridge] = []

    def make(
        endpoint: str,
        *channels: ChannelSpec,
        credential: Credential | None = None,
        wait: bool = True,
        **more: Any,
    ) -> OpcUaBridge:
        bridge = OpcUaProtocol().bridge(connection(endpoint, **more), channels, sink, credential)
        made.append(bridge)
        bridge.start()
        if wait:
            eventually(sink.online)
        return bridge

    yield make
    for bridge in made:
        bridge.stop()
