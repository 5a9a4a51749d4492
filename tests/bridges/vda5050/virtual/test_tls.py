"""Virtual vehicles over TLS: whom they trust, and as whom they come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from stagetwin.ports import ConnectionSpec, Credential
from stagetwin_bridges._errors import ConnectionConfigError
from stagetwin_bridges.broker import BrokerFiles, LocalBroker
from stagetwin_bridges.vda5050.virtual import Pace, VirtualFleet
from tests.bridges.conftest import Authority
from tests.bridges.recording_sink import eventually
from tests.bridges.vda5050.vehicle.straight_bodies import make
from tests.bridges.vda5050.virtual.fleet_control import FleetControl


@pytest.fixture(scope="module")
def secure_broker(authority: Authority) -> Iterator[LocalBroker]:
    """A broker that is encrypted, and asks for user and password."""
    cert, key = authority.issue("127.0.0.1")
    with LocalBroker("mosquitto", tls=BrokerFiles(authority.ca_file, cert, key)) as broker:
        yield broker


@pytest.fixture(scope="module")
def strict_broker(authority: Authority) -> Iterator[LocalBroker]:
    """A broker that asks for a certificate as well."""
    cert, key = authority.issue("127.0.0.1")
    files = BrokerFiles(authority.ca_file, cert, key, client_ca_file=authority.ca_file)
    with LocalBroker("mosquitto", tls=files) as broker:
        yield broker


def fleet(
    broker: LocalBroker, root: str, credential: Credential, host: str = "127.0.0.1"
) -> VirtualFleet:
    """Return two vehicles at a broker."""
    return VirtualFleet(
        ConnectionSpec(
            name="fleet",
            prim="/World/fleet",
            endpoint=f"vda5050+mqtts://{host}:{broker.port}/{root}?version=3.0",
            realm="simulation",
            credential="amr",
        ),
        ["KIT/0001", "KIT/0002"],
        np.array([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0]]),
        credential=credential,
        bodies=make,
        pace=Pace(step=0.05, slices=2, visualization_interval=0.1),
    )


def presenting(broker: LocalBroker, authority: Authority) -> Credential:
    """Return an account that comes with a certificate of its own."""
    cert, key = authority.issue("amr")
    return broker.credential("device").model_copy(update={"cert_file": cert, "key_file": key})


def refused(vehicles: VirtualFleet) -> str:
    """Return why a broker and the vehicles do not come together."""
    with vehicles:
        eventually(lambda: bool(vehicles.counts.refused))
        assert vehicles.online == 0
    assert vehicles.counts.connections == 0
    assert not vehicles.counts.sent
    return vehicles.counts.refused


def test_vehicles_speak_and_die_encrypted(secure_broker: LocalBroker, root: str) -> None:
    with (
        FleetControl(secure_broker, root, "3.0.0") as control,
        fleet(secure_broker, root, secure_broker.credential("device")) as vehicles,
    ):
        first, second = vehicles.names
        control.until(lambda: len(control.states) == 2, 30.0)
        control.until(lambda: control.heard.get("visualization", 0) > 3, 30.0)
        vehicles.kill(first)
        control.until(lambda: control.word(first) == "CONNECTION_BROKEN", 30.0)
        vehicles.revive(first)
        control.until(lambda: control.word(first) == "ONLINE", 30.0)
        vehicles.stop()
        control.until(lambda: control.word(second) == "OFFLINE", 30.0)
        assert control.words[second] == ["ONLINE", "OFFLINE"]
        assert control.faults == []
        assert vehicles.counts.losses == 0


def test_an_authority_that_is_not_known_is_not_trusted(
    secure_broker: LocalBroker, root: str, tmp_path: Path
) -> None:
    known = secure_broker.credential("device")
    stranger = Authority(tmp_path, "stranger").ca_file
    for ca_file in (stranger, ""):  # and the system's authorities do not know the broker
        other = known.model_copy(update={"ca_file": ca_file})
        assert "certificate verify failed" in refused(fleet(secure_broker, root, other))


def test_a_certificate_for_another_host_is_not_trusted(
    secure_broker: LocalBroker, root: str
) -> None:
    known = secure_broker.credential("device")
    assert "Hostname mismatch" in refused(fleet(secure_broker, root, known, host="localhost"))


def test_another_password_is_refused(secure_broker: LocalBroker, root: str) -> None:
    known = secure_broker.credential("device")
    wrong = known.model_copy(update={"password": SecretStr("hunter2")})
    vehicles = fleet(secure_broker, root, wrong)
    assert refused(vehicles) == "the broker refuses: not authorised"
    assert "hunter2" not in repr(vehicles.counts)


def test_a_broker_may_ask_for_a_certificate(
    strict_broker: LocalBroker, root: str, authority: Authority, tmp_path: Path
) -> None:
    known = presenting(strict_broker, authority)
    with (
        FleetControl(strict_broker, root, "3.0.0", known) as control,
        fleet(strict_broker, root, known) as vehicles,
    ):
        control.until(lambda: len(control.states) == 2, 30.0)
        assert vehicles.online == 2
    refused(fleet(strict_broker, root, strict_broker.credential("device")))
    cert, key = Authority(tmp_path, "stranger").issue("amr")
    forged = known.model_copy(update={"cert_file": cert, "key_file": key})
    refused(fleet(strict_broker, root, forged))


def test_a_plain_listener_is_no_encrypted_one(
    shared_broker: LocalBroker, root: str, authority: Authority
) -> None:
    known = shared_broker.credential("device").model_copy(update={"ca_file": authority.ca_file})
    refused(fleet(shared_broker, root, known))


def test_files_that_cannot_be_used_are_said_before_anything_starts(
    secure_broker: LocalBroker, root: str, tmp_path: Path
) -> None:
    known = secure_broker.credential("device")
    absent = known.model_copy(update={"cert_file": str(tmp_path / "none.pem")})
    with pytest.raises(ConnectionConfigError, match="cert_file"):
        fleet(secure_broker, root, absent)
