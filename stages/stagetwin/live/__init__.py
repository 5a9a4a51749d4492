"""The live layer: where telemetry meets the stage."""

from stagetwin._authoring import BLOCK_SIZE, Owner, write_specs
from stagetwin.live._instances import INSTANCED
from stagetwin.live._layers import LAYER_NAMES, SessionLayers
from stagetwin.live._predicted import POSE_OP, Expected, Placed, PredictedLayer
from stagetwin.live._watch import FileWatcher, LayerWatcher
from stagetwin.live._writer import LiveLayer

__all__ = [
    "BLOCK_SIZE",
    "INSTANCED",
    "LAYER_NAMES",
    "POSE_OP",
    "Expected",
    "FileWatcher",
    "LayerWatcher",
    "LiveLayer",
    "Owner",
    "Placed",
    "PredictedLayer",
    "SessionLayers",
    "write_specs",
]
