"""Bundles with a network of one layer, made without torch."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from stagetwin_sim.policies import (
    ActionSpec,
    Bundle,
    Fallback,
    ModelSpec,
    Novelty,
    ObservationSpec,
    PolicySpec,
    Reading,
    RecurrentState,
    Term,
)

OBSERVATIONS = (
    ObservationSpec(
        term=Term(name="distance", unit="m", scale=10.0, low=0.0, high=10.0), max_age=0.3
    ),
    ObservationSpec(term=Term(name="rays", unit="m", shape=(4,), low=0.0, high=6.0), max_age=0.2),
    ObservationSpec(
        term=Term(name="last_action", shape=(2,), low=-1.0, high=1.0, source="action"), max_age=1.0
    ),
)
ACTIONS = (
    ActionSpec(
        term=Term(name="speed", unit="m/s", scale=1.5, low=-0.3, high=1.5, source="command")
    ),
    ActionSpec(
        term=Term(name="rotation", unit="rad/s", scale=2.0, low=-2.0, high=2.0, source="command")
    ),
)


def linear_model(weights: npt.NDArray[np.float32], *, opset: int = 18) -> bytes:
    """Return a network that multiplies its input by weights, shape (columns, actions)."""
    node = helper.make_node("MatMul", ["observation", "weights"], ["action"])
    rows, actions = weights.shape
    graph = helper.make_graph(
        [node],
        "linear",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", rows])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", actions])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return _bytes(graph, opset)


def counting_model(columns: int, actions: int) -> bytes:
    """Return a network with a state: it says how often it was asked, as tenths."""
    nodes = [
        helper.make_node("Add", ["h_in", "tenth"], ["h_out"]),
        helper.make_node("ReduceSum", ["observation", "axis"], ["summed"]),
        helper.make_node("Mul", ["summed", "zero"], ["nothing"]),
        helper.make_node("Reshape", ["h_out", "row"], ["flat"]),
        helper.make_node("Add", ["flat", "nothing"], ["action"]),
    ]
    graph = helper.make_graph(
        nodes,
        "counting",
        [
            helper.make_tensor_value_info("observation", TensorProto.FLOAT, [1, columns]),
            helper.make_tensor_value_info("h_in", TensorProto.FLOAT, [1, 1, actions]),
        ],
        [
            helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, actions]),
            helper.make_tensor_value_info("h_out", TensorProto.FLOAT, [1, 1, actions]),
        ],
        [
            numpy_helper.from_array(np.float32([0.1] * actions).reshape(1, 1, actions), "tenth"),
            numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
            numpy_helper.from_array(np.array([1, actions], np.int64), "row"),
        ],
    )
    return _bytes(graph, 18)


def _bytes(graph: Any, opset: int) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def spec_of(**changes: Any) -> PolicySpec:
    """Return a spec for `linear_model`, with some of its fields changed."""
    spec = PolicySpec(
        name="to the goal",
        version="3",
        task="navigation",
        rate=10.0,
        observations=OBSERVATIONS,
        actions=ACTIONS,
        model=ModelSpec(opset=18),
    )
    return msgspec.structs.replace(spec, **changes)


def bundle_of(weights: npt.NDArray[np.float32] | None = None, **changes: Any) -> Bundle:
    """Return a bundle, not signed; by default it says the number of the distance for both."""
    spec = spec_of(**changes)
    columns = spec.history * spec.observation_count
    if weights is None:
        weights = np.zeros((columns, spec.action_count), np.float32)
        weights[0] = 1.0
    return Bundle(spec=spec, model=linear_model(weights))


def counting_bundle() -> Bundle:
    """Return a bundle with a recurrent state."""
    spec = spec_of(
        model=ModelSpec(opset=18, batch=1),
        recurrent=(RecurrentState(input="h_in", output="h_out", shape=(1, 1, 2)),),
    )
    return Bundle(spec=spec, model=counting_model(spec.observation_count, spec.action_count))


def readings(
    distance: float = 5.0, rays: npt.ArrayLike = (6.0, 6.0, 6.0, 6.0), time: float = 0.0
) -> dict[str, Reading]:
    """Return what a policy of these bundles sees."""
    return {"distance": Reading(distance, time), "rays": Reading(rays, time)}


def novelty() -> Novelty:
    """Return statistics by which distances of 4 to 6 m, and rays of 5 to 6 m, are familiar."""
    low = (0.4, *[5.0] * 4, -1.0, -1.0)
    high = (0.6, *[6.0] * 4, 1.0, 1.0)
    return Novelty(low=low, high=high, samples=1000)


HOLD = Fallback(action="hold", hold_time=0.25)
