"""Parts of a device without a network: payloads, memory of ids, misbehaviour, configuration."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin.bindings import CommandBinding
from stagetwin.ports import Credential
from stagetwin_bridges import BridgeError
from stagetwin_bridges.devices import (
    DeviceConfig,
    Entry,
    Misbehaviour,
    Mode,
    ServerOptions,
    chosen,
    read_log,
)
from stagetwin_bridges.devices._config import load_config
from stagetwin_bridges.devices._controller import Controller, Order
from stagetwin_bridges.devices._log import Answer, ExecutionLog
from stagetwin_bridges.devices._orders import Envelope, orders_of
from tests.bridges.devices.plant_text import MQTT_PLANT, P1
from tests.stages.plants import HEADER, asset, command, connection, prim, table_of

REALM = "stagetwin-realm"


def command_of(type_name: str = "double", **fields: Any) -> CommandBinding:
    body = prim("P", asset("p", connection="line"), command("speed", type_name, "p/cmd", **fields))
    (binding,) = table_of(HEADER + connection() + body).commands
    return binding


SPEED = command_of()
STATE = command_of("token")


# -- payloads


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"1500", 1500),
        (b" 15.5e2 ", 1550.0),
        (b'{"value": 7}', 7),
        (b'{"value": 7, "id": "a", "expires_in": 3, "reply_to": "r"}', 7),
        (b"true", True),
    ],
)
def test_a_payload_is_an_object_or_one_value(payload: bytes, value: Any) -> None:
    (order,), _ = orders_of([SPEED], payload, Envelope(), REALM)
    assert (order.value, order.unreadable) == (value, "")
    assert type(order.value) is type(value)


def test_an_object_tells_id_expiry_and_reply() -> None:
    document = {"value": 7, "id": "a", "expires_in": 3, "reply_to": "r", "time": 5}
    (order,), reply_to = orders_of([SPEED], json.dumps(document).encode(), Envelope(), REALM)
    assert (order.id, order.expires_in, order.sent, reply_to) == ("a", 3.0, 5.0, "r")


def test_properties_tell_what_a_plain_value_cannot() -> None:
    said = {"stagetwin-expires-in": "2.5", REALM: "simulation"}
    envelope = Envelope("answers", b"id-7", said)
    (order,), reply_to = orders_of([SPEED], b"1500", envelope, REALM)
    assert (order.id, order.expires_in, order.realm) == ("id-7", 2.5, "simulation")
    assert reply_to == "answers"


def test_a_field_of_its_own_goes_before_value_and_may_be_deep() -> None:
    node = command_of("token", field="order.node")
    for document in ({"order": {"node": "A"}}, {"value": "A"}):
        (order,), _ = orders_of([node], json.dumps(document).encode(), Envelope(), REALM)
        assert order.value == "A"


def test_one_message_may_command_several_fields() -> None:
    both = [command_of(field="x"), command_of(field="y")]
    orders, _ = orders_of(both, b'{"x": 1, "y": 2}', Envelope(), REALM)
    assert [order.value for order in orders] == [1, 2]
    orders, _ = orders_of(both, b'{"y": 2}', Envelope(), REALM)
    assert [order.command.field for order in orders] == ["y"]


def test_a_struct_is_unpacked_and_text_need_not_be_json() -> None:
    (order,), _ = orders_of([command_of(field="<f@2")], b"\0\0\0\0\x20\x41", Envelope(), REALM)
    assert order.value == 10.0
    (order,), _ = orders_of([STATE], b"weld 7", Envelope(), REALM)
    assert order.value == "weld 7"


@given(st.binary(max_size=60))
def test_any_bytes_are_an_order_or_a_reason_why_not(payload: bytes) -> None:
    for binding in (SPEED, STATE):
        orders, reply_to = orders_of([binding], payload, Envelope(), REALM)
        assert len(orders) == 1
        assert isinstance(orders[0].id, str)
        assert isinstance(reply_to, str)


# -- memory


def entry(order_id: str, outcome: Any = "executed") -> Entry:
    return Entry(
        time=1.0, asset="/P", command="run", address="a", value=True, outcome=outcome, id=order_id
    )


def test_ten_thousand_ids_are_remembered(tmp_path: Path) -> None:
    log = ExecutionLog(tmp_path / "log")
    for i in range(10_001):
        log.remember(str(i), Answer(True))
    assert log.answer_to("0") is None
    assert log.answer_to("1") == log.answer_to("10000") == Answer(True)
    log.close()


def test_a_log_is_in_its_file_at_once_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = ExecutionLog(path)
    log.add(entry("a"))
    log.add(entry("b", "refused"))
    assert [e.id for e in read_log(path)] == ["a", "b"]
    assert (log.count("/P", "executed"), log.count("/P", "refused")) == (1, 1)
    assert [row["id"] for row in log.newest()] == ["a", "b"]
    log.close()
    path.write_bytes(path.read_bytes() + b'{"time": 1')
    assert read_log(path) == [entry("a"), entry("b", "refused")]
    assert read_log(tmp_path / "none") == []


# -- misbehaviour and names


@pytest.mark.parametrize("mode", [m for m in Mode if m is not Mode.DELAY])
def test_a_mode_is_its_name(mode: Mode) -> None:
    assert Misbehaviour.parse(str(mode)) == Misbehaviour(mode)
    assert mode.meaning


@given(st.floats(0.001, 1e6))
def test_a_delay_has_seconds(seconds: float) -> None:
    assert Misbehaviour.parse(f"delay:{seconds!r}") == Misbehaviour(Mode.DELAY, seconds)


@pytest.mark.parametrize("text", ["", "delay", "delay:", "delay:0", "delay:inf", "lie:3", "Lie"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BridgeError, match="misbehaviour"):
        Misbehaviour.parse(text)


def test_a_name_that_two_devices_have_needs_the_path() -> None:
    rows = [{"asset": "/A/P1", "id": "a1"}, {"asset": "/B/P1", "id": "b1"}]
    assert chosen(rows, "B1")["asset"] == "/B/P1"
    assert chosen(rows, "/A/P1")["asset"] == "/A/P1"
    with pytest.raises(BridgeError, match="may be /A/P1, /B/P1"):
        chosen(rows, "P1")


# -- configuration


def config_of(folder: Path, **more: Any) -> DeviceConfig:
    stage = folder / "plant.usda"
    stage.write_text(MQTT_PLANT)
    return DeviceConfig(
        stage=stage, connection="line", control=folder / "c.sock", log=folder / "log", **more
    )


def test_a_configuration_survives_its_file_and_is_masked_elsewhere(tmp_path: Path) -> None:
    users = [{"username": "u", "password": "hidden-1", "commands": True}]
    credential = Credential.model_validate({"username": "d", "password": "hidden-2"})
    server = ServerOptions.model_validate({"users": users})
    config = config_of(tmp_path, credential=credential, server=server, assets=("/World/Line1",))
    path = tmp_path / "config.json"
    path.write_text(config.to_json())
    assert load_config(path) == config
    assert "hidden" not in repr(config)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"rate": 0}, "rate: Input should be greater than 0"), ({"raet": 1}, "raet: Extra inputs")],
)
def test_a_wrong_configuration_is_told_without_its_secrets(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    credential = Credential.model_validate({"username": "d", "password": "hidden"})
    document = json.loads(config_of(tmp_path, credential=credential).to_json())
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**document, **change}))
    with pytest.raises(BridgeError, match=said) as caught:
        load_config(path)
    assert "hidden" not in str(caught.value)


# -- a controller alone


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    each = Controller(config_of(tmp_path, assets=(P1,)))
    yield each
    each.log.close()


def speed_of(controller: Controller) -> CommandBinding:
    return next(c for c in controller.table.commands if c.signal == "speed")


def test_it_serves_its_assets_alone(controller: Controller) -> None:
    assert {b.asset for b in controller.bindings} == {P1}
    assert [row["kind"] for row in controller.describe()] == ["pump"]


def test_commands_of_one_id_at_one_time_are_executed_once(controller: Controller) -> None:
    async def several() -> list[Answer]:
        order = Order(command=speed_of(controller), value=2000, id="one")
        controller.misbehave(P1, Misbehaviour.parse("delay:0.05"))
        return await asyncio.gather(*(controller.obey(order) for _ in range(4)))

    assert asyncio.run(several()) == [Answer(True)] * 4
    assert controller.log.count(P1, "executed") == 1
    assert controller.log.count(P1, "duplicate") == 3


def test_an_order_without_id_is_executed_each_time(controller: Controller) -> None:
    order = Order(command=speed_of(controller), value=2000)
    for _ in range(2):
        assert asyncio.run(controller.obey(order)).ok
    assert controller.log.count(P1, "executed") == 2


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_nothing_outside_its_limits_reaches_the_machine(
    controller: Controller, value: float
) -> None:
    order = Order(command=speed_of(controller), value=value)
    answer = asyncio.run(controller.obey(order))
    assert answer.ok == (600 <= value <= 3600)
    assert bool(answer.cause) != answer.ok
