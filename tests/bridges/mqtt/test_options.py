"""Endpoints, their options, and what the protocol says of them."""

from __future__ import annotations

import pytest

from stagetwin import ConnectionConfigError
from stagetwin.ports import Credential, ValueKind, find_protocol
from stagetwin_bridges.fields import FieldPath
from stagetwin_bridges.mqtt import Endpoint, MqttProtocol
from stagetwin_bridges.mqtt._client import back_off, settings_of
from tests.bridges.conftest import channel, connection

PROTOCOL = MqttProtocol()


def test_an_endpoint_is_parsed_with_its_options() -> None:
    endpoint = Endpoint.parse(
        "mqtts://broker.plant?version=3.1.1&qos=0&subscribe=p/+/x&subscribe=q/#&subscribe=r/%23&time=meta.ts"
        "&time_unit=ms&sequence=n&client_id=twin&clean=false&keepalive=30"
    )
    assert (endpoint.host, endpoint.port, endpoint.tls) == ("broker.plant", 8883, True)
    options = endpoint.options
    assert options.subscribe == ("p/+/x", "q/#", "r/#")
    assert options.time == FieldPath(("meta", "ts"))
    assert (options.version, options.qos, options.clean, options.keepalive) == (
        "3.1.1",
        0,
        False,
        30,
    )


def test_defaults_are_safe_ones() -> None:
    endpoint = Endpoint.parse("mqtt://[::1]")
    assert (endpoint.host, endpoint.port, endpoint.loopback) == ("::1", 1883, True)
    options = endpoint.options
    assert (options.version, options.qos, options.clean) == ("5", 1, True)


@pytest.mark.parametrize(
    ("query", "loss"),
    [
        ("", "unaccountable"),
        ("qos=0", "unaccountable"),
        ("clean=false&client_id=a", "detectable"),
        ("clean=false&client_id=a&qos=0", "unaccountable"),
        ("sequence=n", "countable"),
    ],
)
def test_the_loss_class_follows_from_the_options(query: str, loss: str) -> None:
    assert PROTOCOL.loss_class(connection(f"mqtt://localhost?{query}")) == loss


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ("mqtt://user:secret@localhost", "user information is not allowed"),
        ("http://localhost", "scheme mqtt or mqtts"),
        ("mqtt://", "expected a host"),
        ("mqtt://localhost:70000", "endpoint"),
        ("mqtt://localhost/topic", "between the port and the query"),
        ("mqtt://localhost#a", "between the port and the query"),
        ("mqtt://localhost?qoss=1", "unknown option 'qoss'; allowed: address, .*qos"),
        ("mqtt://localhost?qos=2", "qos: .*less than or equal to 1, got '2'"),
        ("mqtt://localhost?version=4", "version: .*'5' or '3.1.1'"),
        ("mqtt://localhost?qos=1&qos=0", "given twice"),
        ("mqtt://localhost?time", "<name>=<value>"),
        ("mqtt://localhost?time=a..b", "position 2"),
        ("mqtt://localhost?subscribe=a/b%23", "'#' stands alone"),
        ("mqtt://localhost?clean=false", "needs a client_id"),
        ("mqtt://localhost?preset=other", "preset: .*iot-samples"),
        ("mqtt://[bad", "endpoint"),
    ],
)
def test_a_wrong_endpoint_is_explained(endpoint: str, problem: str) -> None:
    (found,) = PROTOCOL.check_connection(connection(endpoint))
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(found)
    assert "secret" not in found


@pytest.mark.parametrize(
    ("endpoint", "profile", "fine"),
    [
        ("mqtt://127.0.0.1", "strict", True),
        ("mqtt://localhost", "strict", True),
        ("mqtt://broker.plant", "strict", False),
        ("mqtt://10.0.0.1", "strict", False),
        ("mqtts://broker.plant", "strict", True),
        ("mqtt://broker.plant", "none", True),
        ("mqtt://127.0.0.1", "Basic256Sha256", False),
    ],
)
def test_the_security_profile_is_held(endpoint: str, profile: str, fine: bool) -> None:
    spec = connection(endpoint, security_profile=profile)
    assert (PROTOCOL.check_connection(spec) == []) is fine
    if not fine:
        with pytest.raises(ConnectionConfigError):
            PROTOCOL.publisher(spec, None)


def test_the_preset_supplies_templates_and_time() -> None:
    spec = connection("mqtt://localhost?preset=iot-samples")
    defaults = PROTOCOL.defaults(spec)
    assert (defaults.address, defaults.field) == ("iot/{prim.name}", "{signal}")
    options = Endpoint.parse(spec.endpoint).options
    assert (options.time, options.time_unit) == (FieldPath(("_ts",)), "relative")
    own = Endpoint.parse("mqtt://localhost?preset=iot-samples&address=line1/{prim.name}").options
    assert (own.address, own.field) == ("line1/{prim.name}", "{signal}")


@pytest.mark.parametrize(
    ("field", "kind", "encoding", "problem"),
    [
        ("a..b", ValueKind.NUMBER, "auto", "position 2"),
        ("a", ValueKind.NUMBER, "number", "expected no field"),
        ("", ValueKind.COMPOSITE, "number", "holds no array"),
        ("", ValueKind.TEXT, "number", "text signal"),
        ("", ValueKind.NUMBER, "cbor", "allowed are auto, json"),
        ("<ff", ValueKind.NUMBER, "struct", "expected one item"),
        ("<4s", ValueKind.NUMBER, "struct", "does not hold a number"),
        ("<f", ValueKind.TEXT, "struct", "does not hold a text"),
        ("f", ValueKind.NUMBER, "struct", "byte order"),
    ],
)
def test_a_wrong_channel_is_explained(
    field: str, kind: ValueKind, encoding: str, problem: str
) -> None:
    (found,) = PROTOCOL.check_channel(channel(0, "a", field, kind, encoding))
    assert problem in found


def test_a_good_channel_has_no_problem() -> None:
    assert PROTOCOL.check_channel(channel(0, "a/+", "m.x[1]", availability="a/lwt")) == []
    assert len(PROTOCOL.check_channel(channel(0, "a#", "m..x", availability="+b"))) == 3


def test_the_core_finds_the_protocol_by_scheme() -> None:
    for scheme in MqttProtocol.schemes:
        assert isinstance(find_protocol(f"{scheme}://localhost"), MqttProtocol)


def test_a_password_is_masked_and_a_credential_must_be_known() -> None:
    endpoint = Endpoint.parse("mqtt://localhost")
    spec = connection("mqtt://localhost", credential="reader")
    known = Credential.model_validate({"username": "u", "password": "hunter2"})
    assert "hunter2" not in repr(settings_of(spec, endpoint, known))
    with pytest.raises(ConnectionConfigError, match="'reader' is not known"):
        settings_of(spec, endpoint, None)
    secure = Endpoint.parse("mqtts://localhost")
    wrong = Credential(ca_file="/nowhere/ca.pem")
    with pytest.raises(ConnectionConfigError, match="ca_file"):
        settings_of(spec, secure, wrong)


def test_waiting_times_double_up_to_their_limit() -> None:
    waits = back_off()
    drawn = [next(waits) for _ in range(12)]
    for wait, whole in zip(drawn, [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30], strict=True):
        assert whole / 2 <= wait <= whole
