"""Endpoints: what a message about a wrong one may repeat."""

from __future__ import annotations

import pytest

from stagetwin_bridges import ConnectionConfigError
from stagetwin_bridges._endpoints import masked
from stagetwin_bridges.mqtt._options import Endpoint as MqttEndpoint
from stagetwin_bridges.opcua._options import Endpoint as OpcUaEndpoint


@pytest.mark.parametrize(
    ("parse", "uri"),
    [
        (MqttEndpoint.parse, "mqtt://h:1883?password=hunter2"),
        (MqttEndpoint.parse, "mqtt://h:1883?keepalive=5&pass%77ord=hunter2"),
        (MqttEndpoint.parse, "mqtt://h:1883/path?password=hunter2"),
        (MqttEndpoint.parse, "ftp://h?password=hunter2"),
        (MqttEndpoint.parse, "mqtt://?password=hunter2"),
        (OpcUaEndpoint.parse, "opc.tcp://h:4840/x?password=hunter2"),
    ],
)
def test_no_message_repeats_what_may_be_a_secret(parse: object, uri: str) -> None:
    assert callable(parse)
    with pytest.raises(ConnectionConfigError) as caught:
        parse(uri)
    assert "hunter2" not in str(caught.value)
    assert "***" in str(caught.value)


def test_what_is_known_is_shown() -> None:
    uri = "mqtt://h:1?keepalive=5&token=abc&flag&empty="
    assert masked(uri, {"keepalive"}) == "mqtt://h:1?keepalive=5&token=***&flag&empty="
    assert masked("mqtt://h:1") == "mqtt://h:1"
