"""MQTT 5 and 3.1.1: a bridge, a publisher, and how both are configured by an endpoint's URI."""

from stagetwin_bridges.mqtt._bridge import MqttBridge
from stagetwin_bridges.mqtt._options import Endpoint, LossClass, MqttOptions
from stagetwin_bridges.mqtt._protocol import MqttProtocol
from stagetwin_bridges.mqtt._publisher import MqttPublisher

__all__ = [
    "Endpoint",
    "LossClass",
    "MqttBridge",
    "MqttOptions",
    "MqttProtocol",
    "MqttPublisher",
]
