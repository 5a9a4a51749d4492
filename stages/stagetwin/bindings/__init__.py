"""Bindings: what on a stage is live, read once into a table of channels."""

from stagetwin.bindings._model import (
    AlarmBinding,
    Asset,
    CommandBinding,
    CommandParameter,
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
from stagetwin.bindings._read_fmus import fmu_name
from stagetwin.bindings._read_models import MODEL_OUTPUT
from stagetwin.bindings._table import BindingTable, ChannelIndex
from stagetwin.bindings._templates import placeholders, resolve

__all__ = [
    "MODEL_OUTPUT",
    "AlarmBinding",
    "Asset",
    "BindingReading",
    "BindingTable",
    "ChannelIndex",
    "CommandBinding",
    "CommandParameter",
    "Limits",
    "ModelBinding",
    "ModelParameter",
    "Problem",
    "RuleBinding",
    "Severity",
    "TelemetryBinding",
    "fmu_name",
    "is_below",
    "placeholders",
    "read_bindings",
    "resolve",
]
