"""Brokers and command clients for the tests of MQTT."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from stagetwin.actuation import CommandTarget
from stagetwin.ports import ConnectionState, Credential, Realm
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.mqtt import MqttProtocol
from stagetwin_bridges.mqtt._commander import MqttCommander
from tests.bridges.conftest import connection
from tests.bridges.mqtt.commanding import (
    ASSET,
    CommandRecorder,
    MakeCommander,
)
from tests.bridges.recording_sink import eventually


@pytest.fixture
def recorder() -> CommandRecorder:
    return CommandRecorder()


@pytest.fixture(scope="module")
def brokers() -> Iterator[dict[str, LocalBroker]]:
    """A broker of each kind, for the tests that leave it as it is."""
    with LocalBroker("mosquitto") as mosquitto, LocalBroker("nats") as nats:
        yield {"mosquitto": mosquitto, "nats": nats}


@pytest.fixture
def make_commander(recorder: CommandRecorder) -> Iterator[MakeCommander]:
    """Make a commander into `recorder`, online; all end with the test."""
    made: list[MqttCommander] = []

    def make(
        broker: LocalBroker,
        *targets: CommandTarget,
        query: str = "",
        port: int = 0,
        realm: Realm = "simulation",
        credential: Credential | None = None,
        wait: bool = True,
    ) -> MqttCommander:
        endpoint = broker.endpoint(query)
        if port:
            endpoint = endpoint.replace(f":{broker.port}", f":{port}")
        commander = MqttProtocol().commander(
            connection(endpoint, realm),
            targets,
            recorder,
            credential or broker.credential("commander"),
        )
        made.append(commander)
        commander.authorise({ASSET: "g"})
        commander.start()
        if wait:
            eventually(lambda: recorder.is_in(ConnectionState.ONLINE))
        return commander

    yield make
    for commander in made:
        commander.stop()
    assert not [t.name for t in threading.enumerate() if t.name.startswith("mqtt commands")]
