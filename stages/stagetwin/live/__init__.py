"""The live layer: where telemetry meets the stage."""

from stagetwin.live._layers import LAYER_NAMES, Owner, SessionLayers
from stagetwin.live._watch import FileWatcher, LayerWatcher
from stagetwin.live._writer import BLOCK_SIZE, LiveLayer, write_specs

__all__ = [
    "BLOCK_SIZE",
    "LAYER_NAMES",
    "FileWatcher",
    "LayerWatcher",
    "LiveLayer",
    "Owner",
    "SessionLayers",
    "write_specs",
]
