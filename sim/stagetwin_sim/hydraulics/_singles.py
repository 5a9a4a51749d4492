"""Kinds of single machines, which know no network: what a pump, pipe, valve or tank does by itself.

They share the networks' laws and are differentiable, so that observers and calibration have them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagetwin_sim.engine import Floats, Kind, Parameter, Port, StateVariable
from stagetwin_sim.hydraulics._elements import ELEMENTS
from stagetwin_sim.hydraulics._shapes import volume_share
from stagetwin_sim.hydraulics._single_kernels import (
    pipe_loss_observe,
    pump_curve_observe,
    tank_level_advance,
    tank_level_observe,
    valve_flow_observe,
)

__all__ = ["PIPE_LOSS", "PUMP_CURVE", "TANK_LEVEL", "VALVE_FLOW"]


def _shared(kind: str, *names: str) -> tuple[Parameter, ...]:
    known = {parameter.name: parameter for parameter in ELEMENTS[kind].parameters}
    return tuple(known[name] for name in names)


PUMP_CURVE = Kind(
    name="pump-curve",
    doc="head, power, efficiency and required suction head of a pump at a flow and speed",
    source=ELEMENTS["pump"].source,
    inputs=(Port("flow", "m3/s"), Port("speed", "rad/s")),
    outputs=(
        Port("head", "m"),
        Port("pressure_rise", "Pa"),
        Port("hydraulic_power", "W"),
        Port("shaft_power", "W"),
        Port("efficiency", "1"),
        Port("load_torque", "N.m"),
        Port("npsh_required", "m"),
    ),
    parameters=(
        *_shared("pump", "rated_flow", "rated_head", "shutoff_head", "rated_speed"),
        *_shared("pump", "rated_efficiency", "rated_npsh"),
        Parameter("wear", "1", 0.0, 0.0, 0.95, "share of head lost"),
        Parameter("leak", "1", 0.0, 0.0, 1.0, "flow back through the rings, share of rated flow"),
        Parameter("blockage", "1", 0.0, 0.0, 0.99, "closed share of the suction's area"),
        *_shared("pump", "density"),
    ),
    observe=pump_curve_observe,
    phase="monitor",
)

PIPE_LOSS = Kind(
    name="pipe-loss",
    doc="what a pipe loses at a flow",
    source=ELEMENTS["pipe"].source,
    inputs=(Port("flow", "m3/s"),),
    outputs=(Port("head_loss", "m"), Port("pressure_drop", "Pa"), Port("friction_factor", "1")),
    parameters=_shared(
        "pipe", "length", "diameter", "roughness", "minor_loss", "viscosity", "density"
    ),
    observe=pipe_loss_observe,
    phase="monitor",
)

VALVE_FLOW = Kind(
    name="valve-flow",
    doc="what a valve passes at an opening and a pressure drop",
    source=ELEMENTS["valve"].source,
    inputs=(Port("opening", "1", 1.0), Port("pressure_drop", "Pa")),
    outputs=(Port("flow", "m3/s"), Port("share", "1", doc="of its open Kv")),
    parameters=(
        *_shared("valve", "kv", "characteristic", "rangeability"),
        Parameter("leak", "1", 0.0, 0.0, 1.0, "share of Kv that passes when it is shut"),
        *_shared("valve", "density"),
    ),
    observe=valve_flow_observe,
    phase="monitor",
)


def _start(parameters: Mapping[str, Floats], inputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
    del inputs
    shares = [
        volume_share(float(level / height), float(shape))
        for level, height, shape in zip(
            parameters["start_level"], parameters["height"], parameters["shape"], strict=True
        )
    ]
    return {"volume": np.array(shares) * parameters["volume"]}


TANK_LEVEL = Kind(
    name="tank-level",
    doc="level of a tank by what flows in and out",
    source=ELEMENTS["tank"].source,
    inputs=(Port("flow", "m3/s", doc="in less out"),),
    outputs=(Port("level", "m"), Port("volume", "m3")),
    parameters=_shared("tank", "volume", "height", "shape", "start_level"),
    states=(StateVariable("volume", "m3", minimum=0.0, noise=1e-3),),
    advance=tank_level_advance,
    observe=tank_level_observe,
    start=_start,
    phase="monitor",
)
