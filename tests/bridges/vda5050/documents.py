"""Messages made up from the standard's own schemas, and a vehicle's state for the other tests."""

from __future__ import annotations

import importlib.resources
import json
from functools import cache
from typing import Any

from hypothesis import strategies as st

from stagetwin_bridges.vda5050.messages import (
    ActionState,
    ErrorEntry,
    MobileRobotPosition,
    NodeState,
    PowerSupply,
    SafetyState,
    State,
    Velocity,
)

__all__ = ["documents", "schema_of", "state"]

Schema = dict[str, Any]

_FOLDERS = {"2.1.0": "2.1", "3.0.0": "3.0"}
_TIME = "2026-03-18T11:40:03.123Z"


@cache
def schema_of(version: str, topic: str) -> Schema:
    """Return a vendored schema, with what the codec puts right in 2.1's put right."""
    folder = importlib.resources.files("stagetwin_bridges.vda5050") / "schemas"
    schema: Schema = json.loads((folder / _FOLDERS[version] / f"{topic}.schema").read_text())
    if version == "2.1.0" and topic == "order":
        edge = schema["properties"]["edges"]["items"]["properties"]
        edge["orientationType"]["enum"] = ["GLOBAL", "TANGENTIAL"]
    if version == "2.1.0" and topic == "factsheet":
        features = schema["properties"]["protocolFeatures"]["properties"]
        blocking = features["agvActions"]["items"]["properties"]["blockingTypes"]
        blocking["items"] = {"type": "string", "enum": blocking.pop("enum")}
        outlines = schema["properties"]["agvGeometry"]["properties"]["envelopes3d"]
        outlines["items"]["properties"]["description"]["type"] = "string"
    return schema


def documents(version: str, topic: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return messages that a schema allows, optional fields there or not."""
    schema = schema_of(version, topic)
    return _made(schema, schema)


def _made(part: Schema, root: Schema) -> st.SearchStrategy[Any]:
    if "$ref" in part:
        return _made(root["definitions"][part["$ref"].rpartition("/")[2]], root)
    if "enum" in part:
        return st.sampled_from(part["enum"])
    if part.get("format") == "date-time":
        return st.just(_TIME)
    if not part:
        return st.one_of(st.integers(), st.text(max_size=3))
    kind = part.get("type")
    if isinstance(kind, list):
        return st.one_of(*(_made({"type": each}, root) for each in kind))
    if kind == "object":
        return _object(part, root)
    if kind == "array":
        return st.lists(
            _made(part.get("items", {}), root), min_size=part.get("minItems", 0), max_size=3
        )
    if kind == "integer":
        return st.integers(max(0, int(part.get("minimum", 0))), 2**32 - 1)
    if kind == "number":
        return st.floats(part.get("minimum", -1e6), part.get("maximum", 1e6))
    if kind == "boolean":
        return st.booleans()
    if kind == "string":
        return st.text(max_size=8)
    raise AssertionError(f"no such type: {part}")


def _object(part: Schema, root: Schema) -> st.SearchStrategy[dict[str, Any]]:
    if "allOf" in part:
        return st.one_of(*(_object(each, root) for each in _cases(part)))
    known = {name: _made(below, root) for name, below in part.get("properties", {}).items()}
    required = set(part.get("required", ()))
    return st.fixed_dictionaries(
        {name: known[name] for name in known if name in required},
        optional={name: known[name] for name in known if name not in required},
    )


def _cases(part: Schema) -> list[Schema]:
    """Return the object once for each value that its conditions speak of."""
    out = []
    for case in part["allOf"]:
        (name, value), *_ = case["if"]["properties"].items()
        then = case["then"]
        properties = {**part["properties"], name: {"enum": [value["const"]]}}
        out.append(
            {
                "properties": {**properties, **then["properties"]},
                "required": [*part["required"], *then["required"]],
            }
        )
    return out


def state(**changes: Any) -> State:
    """Return the state of a vehicle on its way, without a header."""
    given: dict[str, Any] = {
        "order_id": "order-1",
        "order_update_id": 3,
        "last_node_id": "n1",
        "last_node_sequence_id": 2,
        "node_states": (
            NodeState(node_id="n2", sequence_id=4, released=True),
            NodeState(node_id="n3", sequence_id=6, released=False),
        ),
        "edge_states": (),
        "mobile_robot_position": MobileRobotPosition(
            x=4.0, y=-2.0, theta=0.5, map_id="hall", localized=True
        ),
        "velocity": Velocity(vx=1.25, vy=0.0, omega=0.1),
        "driving": True,
        "action_states": (
            ActionState(action_id="a1", action_type="pick", action_status="RUNNING"),
        ),
        "instant_action_states": (),
        "power_supply": PowerSupply(state_of_charge=81.5, charging=False),
        "operating_mode": "AUTOMATIC",
        "errors": (
            ErrorEntry(error_type="DIRTY", error_level="WARNING", error_description="lidar"),
        ),
        "safety_state": SafetyState(active_emergency_stop="NONE", field_violation=False),
    }
    return State(**{**given, **changes})
