"""Bindings: what on a stage is live, read once into a table of channels."""

from stagetwin.bindings._model import (
    AlarmBinding,
    Asset,
    BindingTable,
    ChannelIndex,
    CommandBinding,
    Limits,
    ModelBinding,
    ModelParameter,
    Problem,
    RuleBinding,
    Severity,
    TelemetryBinding,
    is_below,
)
from stagetwin.bindings._read import BindingReading, read_bindings
from stagetwin.bindings._templates import placeholders, resolve

__all__ = [
    "AlarmBinding",
    "Asset",
    "BindingReading",
    "BindingTable",
    "ChannelIndex",
    "CommandBinding",
    "Limits",
    "ModelBinding",
    "ModelParameter",
    "Problem",
    "RuleBinding",
    "Severity",
    "TelemetryBinding",
    "is_below",
    "placeholders",
    "read_bindings",
    "resolve",
]
