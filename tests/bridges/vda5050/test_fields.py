"""What a signal of a vehicle may name, and what is said where it may not."""

from __future__ import annotations

import pytest

from stagetwin.ports import AddressDefaults, ConnectionSpec, ValueKind
from stagetwin_bridges._errors import ConnectionConfigError, FieldError
from stagetwin_bridges.vda5050 import Vda5050Protocol
from stagetwin_bridges.vda5050.telemetry import COMPUTED, FleetEndpoint, field_of
from tests.bridges.vda5050.fleet import bound

PROTOCOL = Vda5050Protocol()
NUMBER, TEXT = ValueKind.NUMBER, ValueKind.TEXT
LOGIC, ARRAY = ValueKind.BOOLEAN, ValueKind.COMPOSITE


def spec(endpoint: str, **more: str) -> ConnectionSpec:
    return ConnectionSpec(name="fleet", prim="/World/fleet", endpoint=endpoint, **more)


@pytest.mark.parametrize(
    ("field", "kind", "topics"),
    [
        ("state.powerSupply.stateOfCharge", NUMBER, ("state",)),
        ("state.orderId", TEXT, ("state",)),
        ("state.driving", LOGIC, ("state",)),
        ("state.errors[0].errorLevel", TEXT, ("state",)),
        ("state.nodeStates", ARRAY, ("state",)),
        ("visualization.velocity.vx", NUMBER, ("visualization",)),
        ("connection.connectionState", TEXT, ("connection",)),
        ("factsheet.physicalParameters.maximumSpeed", NUMBER, ("factsheet",)),
        ('factsheet.protocolLimits.maximumArrayLengths["order.nodes"]', NUMBER, ("factsheet",)),
        ('state["vendorSpeed"]', NUMBER, ("state",)),
        ('state.velocity["slip"]', ARRAY, ("state",)),
        ("pose", ARRAY, ("visualization", "state")),
        ("online", LOGIC, ("connection",)),
        ("errors.count", ValueKind.INTEGER, ("state",)),
        ("errors.fatal", LOGIC, ("state",)),
        ("action.a.b-1", TEXT, ("state",)),
    ],
)
def test_what_may_be_bound(field: str, kind: ValueKind, topics: tuple[str, ...]) -> None:
    assert field_of(field).topics == topics
    assert PROTOCOL.check_channel(bound(0, field, kind)) == []


@pytest.mark.parametrize(
    ("field", "kind", "said"),
    [
        ("", NUMBER, "expected TOPIC.path with TOPIC one of state, visualization"),
        ("speed", NUMBER, "or one of pose, position"),
        ("order.orderId", TEXT, "expected TOPIC.path"),
        ("state", ARRAY, "expected TOPIC.path"),
        ("state.agvPosition.x", NUMBER, "state has no 'agvPosition'; it has headerId"),
        ("state.powerSupply.charge", NUMBER, "state.powerSupply has no 'charge'; it has stateOf"),
        ("state.orderId.x", NUMBER, "state.orderId is no object, nothing lies at 'x'"),
        ("state.errors.count", NUMBER, "state.errors is an array, nothing lies at 'count'"),
        ("state.orderId", NUMBER, "it is a text, the signal takes a number"),
        ("state.driving", NUMBER, "it is a boolean, the signal takes a number"),
        ("state.powerSupply", NUMBER, "it is a composite, the signal takes a number"),
        ("pose", NUMBER, "it is a composite, the signal takes a number"),
        ("errors.count", TEXT, "it is a boolean or integer or number, the signal takes a text"),
        ("state.[", NUMBER, "position 6: expected a key"),
    ],
)
def test_what_may_not_be_bound(field: str, kind: ValueKind, said: str) -> None:
    (problem,) = PROTOCOL.check_channel(bound(0, field, kind))
    assert said in problem
    assert repr(field) in problem


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "expected MANUFACTURER/SERIAL"),
        ("0001", "expected MANUFACTURER/SERIAL"),
        ("KIT/", "serial number '': expected one or more of A-Z a-z 0-9 _ . : -"),
        ("KIT/a/b", "serial number 'a/b': expected"),
        ("KIT/+", "serial number '+': expected"),
        ("/0001", "manufacturer '': expected one or more characters other than / + # $"),
        ("$SYS/0001", "manufacturer '$SYS': expected"),
    ],
)
def test_addresses(address: str, said: str) -> None:
    (problem,) = PROTOCOL.check_channel(bound(0, "state.orderId", TEXT, address=address))
    assert said in problem


def test_encodings() -> None:
    (problem,) = PROTOCOL.check_channel(bound(0, "state.orderId", TEXT, encoding="struct"))
    assert "allowed are auto and json" in problem
    assert PROTOCOL.check_channel(bound(0, "state.orderId", TEXT, encoding="json")) == []


def test_every_computed_field_is_a_field() -> None:
    for name in COMPUTED:
        assert field_of(name).path is None
    with pytest.raises(FieldError):
        field_of("action.")


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("vda5050+mqtt://127.0.0.1/vda5050?version=3.0", ""),
        ("vda5050+mqtt://127.0.0.1:1883/uagv?version=2.1.0&sample=0&mqtt=3.1.1", ""),
        ("vda5050+mqtts://broker:8883/vda5050", ""),
        (
            "vda5050+mqtt://127.0.0.1",
            "expected the interface name after the port, such as /vda5050",
        ),
        ("vda5050+mqtt://127.0.0.1/a/b", "expected the interface name"),
        ("vda5050+mqtt://127.0.0.1/v?version=1.1", "version '1.1': allowed are 2.1.0, 3.0.0"),
        ("vda5050+mqtt://127.0.0.1/v?qos=1", "unknown option 'qos'; allowed: address,"),
        ("vda5050+mqtt://127.0.0.1/v?sample=-1", "sample: Input should be greater than or equal"),
        ("vda5050+mqtt://127.0.0.1/v?subscribe=a/%23/b", "'#' stands alone, as the last level"),
        ("vda5050+mqtt://a:b@127.0.0.1/v", "name a credential instead"),
        ("vda5050+mqtt://broker/v", "demands vda5050+mqtts to broker"),
    ],
)
def test_endpoints(endpoint: str, said: str) -> None:
    found = PROTOCOL.check_connection(spec(endpoint))
    assert (found == []) is (said == "")
    assert said in "; ".join(found)


def test_profiles_and_defaults() -> None:
    assert PROTOCOL.check_connection(spec("vda5050+mqtt://broker/v", security_profile="none")) == []
    (problem,) = PROTOCOL.check_connection(
        spec("vda5050+mqtt://127.0.0.1/v", security_profile="mild")
    )
    assert "allowed: strict, none" in problem
    given = "vda5050+mqtt://127.0.0.1/v?address=KIT/{twin:id}&field=state.orderId"
    assert PROTOCOL.defaults(spec(given)) == AddressDefaults(
        address="KIT/{twin:id}", field="state.orderId"
    )
    assert PROTOCOL.loss_class(spec(given)) == "countable"
    with pytest.raises(ConnectionConfigError, match="demands vda5050"):
        PROTOCOL.publisher(spec("vda5050+mqtt://broker/v"), None)


def test_the_broker_is_spoken_to_as_the_standard_asks() -> None:
    endpoint = FleetEndpoint.parse("vda5050+mqtt://127.0.0.1:77/fleet?client_id=me&keepalive=3")
    broker = endpoint.broker
    assert (endpoint.interface, broker.host, broker.port, broker.tls) == (
        *("fleet", "127.0.0.1"),
        *(77, False),
    )
    assert (broker.options.qos, broker.options.client_id, broker.options.keepalive) == (1, "me", 3)
