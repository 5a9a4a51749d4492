"""OPC UA: a bridge, a publisher and a commander, configured by an endpoint's URI."""

from stagetwin_bridges.opcua._bridge import OpcUaBridge
from stagetwin_bridges.opcua._commander import OpcUaCommander
from stagetwin_bridges.opcua._options import Endpoint, LossClass, OpcUaOptions
from stagetwin_bridges.opcua._protocol import OpcUaProtocol
from stagetwin_bridges.opcua._publisher import OpcUaPublisher

__all__ = [
    "Endpoint",
    "LossClass",
    "OpcUaBridge",
    "OpcUaCommander",
    "OpcUaOptions",
    "OpcUaProtocol",
    "OpcUaPublisher",
]
