"""What changes between 2.1 and 3.0 besides names and words: one function for each kind of object.

`fold_...` goes down to 2.1, over an object in 3.0's names, and appends to the list what is lost;
`unfold_...` comes up from 2.1, over an object whose names are 3.0's already. Both change in place.
What comes up was checked by nobody, so an unfold looks before it takes hold.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = [
    "fold_action",
    "fold_edge",
    "fold_error",
    "fold_node_position",
    "fold_order",
    "fold_state",
    "fold_trajectory",
    "unfold_action",
    "unfold_edge",
    "unfold_feature",
    "unfold_node_position",
    "unfold_physical",
    "unfold_safety",
    "unfold_state",
    "unfold_visualization",
]

_ERRORS: Final = {
    "NO_ORDER_TO_CANCEL": "noOrderToCancel",
    "VALIDATION_FAILURE": "validationError",
    "OUTDATED_ORDER_UPDATE": "orderUpdateError",
    "SAME_ORDER_UPDATE_ID": "orderUpdateError",
    "ORDER_UPDATE_FOLLOWING_CANCEL": "orderUpdateError",
    "OTHER_ORDER_ACTIVE": "orderUpdateError",
    "INVALID_ORDER": "orderUpdateError",
    "INVALID_ORDER_ACTION": "orderError",
    "UNSUPPORTED_PARAMETER": "orderError",
    "NO_ROUTE_TO_TARGET": "noRouteError",
    "START_NODE_OUT_OF_RANGE": "noRouteError",
    "MOBILE_ROBOT_NOT_AVAILABLE": "orderError",
    "UNKNOWN_MAP_ID": "orderError",
    "INSUFFICIENT_MEMORY": "orderError",
}
"""Why an order was refused. 2.1 reports every refusal as a warning (6.6.2, figure 8, and 6.6.4)."""


def fold_error(error: dict[str, Any], path: str, lost: list[str]) -> None:
    """2.1 has its own types for refused orders, and they are warnings."""
    word = error.get("errorType")
    if word in _ERRORS:
        error["errorType"] = _ERRORS[word]
        if error.get("errorLevel") != "WARNING":
            lost.append(f"{path}errorLevel: {error.get('errorLevel')} of a refused order")
            error["errorLevel"] = "WARNING"


def fold_action(action: dict[str, Any], path: str, lost: list[str]) -> None:
    """A trigger's types are an array in 3.0 and one text in 2.1."""
    if action.get("actionType") != "waitForTrigger":
        return
    for at, parameter in enumerate(parameters := list(action.get("actionParameters", []))):
        value = parameter.get("value")
        if parameter.get("key") == "triggerType" and isinstance(value, list) and value:
            if len(value) > 1:
                lost.append(f"{path}actionParameters[{at}].value: all but the first type")
            parameters[at] = {**parameter, "value": value[0]}
    if parameters:
        action["actionParameters"] = parameters


def unfold_action(action: dict[str, Any]) -> None:
    """A trigger's type is an array in 3.0."""
    if action.get("actionType") != "waitForTrigger":
        return
    given = action.get("actionParameters")
    if isinstance(given, list):
        action["actionParameters"] = [
            {**each, "value": [each["value"]]} if _is_trigger(each) else each for each in given
        ]


def _is_trigger(parameter: Any) -> bool:
    return (
        isinstance(parameter, dict)
        and parameter.get("key") == "triggerType"
        and isinstance(parameter.get("value"), str)
    )


def fold_trajectory(trajectory: dict[str, Any], _path: str, _lost: list[str]) -> None:
    """2.1 demands what has a default in 3.0 (7.3): degree 1 and uniform, clamped knots."""
    degree = trajectory.setdefault("degree", 1)
    if "knotVector" in trajectory:
        return
    spans = len(trajectory["controlPoints"]) - degree
    if spans < 1:  # no curve (7.3); the schema says so
        return
    inner = [i / spans for i in range(1, spans)]
    trajectory["knotVector"] = [0.0] * (degree + 1) + inner + [1.0] * (degree + 1)


def fold_node_position(position: dict[str, Any], path: str, lost: list[str]) -> None:
    """2.1 has a circle: the one inside the ellipse."""
    ellipse = position.get("allowedDeviationXY")
    if isinstance(ellipse, dict):
        if ellipse["a"] != ellipse["b"]:
            lost.append(f"{path}allowedDeviationXY: an ellipse becomes the circle inside it")
        position["allowedDeviationXY"] = min(ellipse["a"], ellipse["b"])


def unfold_node_position(position: dict[str, Any]) -> None:
    """A radius is an ellipse with equal axes."""
    radius = position.get("allowedDeviationXY")
    if isinstance(radius, (int, float)):
        position["allowedDeviationXY"] = {"a": radius, "b": radius, "theta": 0.0}


def fold_edge(edge: dict[str, Any], path: str, lost: list[str]) -> None:
    """2.1 says whether a vehicle may turn on an edge, and knows no corridor to be released."""
    if isinstance(corridor := edge.get("corridor"), dict) and corridor.get("releaseRequired"):
        # Nobody could release it: the vehicle stays on its trajectory.
        del edge["corridor"]
        lost.append(f"{path}corridor: left out, 2.1 cannot ask for its release")
    if "reachOrientationBeforeEntering" in edge:
        edge["rotationAllowed"] = not edge.pop("reachOrientationBeforeEntering")


def unfold_edge(edge: dict[str, Any]) -> None:
    """Turn 2.1's leave to rotate round."""
    if isinstance(allowed := edge.pop("rotationAllowed", None), bool):
        edge["reachOrientationBeforeEntering"] = not allowed


def fold_order(order: dict[str, Any], _path: str, _lost: list[str]) -> None:
    """2.1 repeats the nodes at the ends of every edge."""
    nodes = {node["sequenceId"]: node["nodeId"] for node in order["nodes"]}
    order["edges"] = [
        {
            **edge,
            "startNodeId": nodes.get(edge["sequenceId"] - 1, ""),
            "endNodeId": nodes.get(edge["sequenceId"] + 1, ""),
        }
        for edge in order["edges"]
    ]


def fold_state(state: dict[str, Any], _path: str, lost: list[str]) -> None:
    """2.1 has one list of action states, and one zone set."""
    for name in ("instantActionStates", "zoneActionStates"):
        state["actionStates"] = [*state["actionStates"], *state.pop(name, ())]
    zone_sets = state.pop("zoneSets", ())
    where = state.get("mobileRobotPosition", {}).get("mapId")
    for zone_set in zone_sets:
        if zone_set["zoneSetStatus"] == "ENABLED" and where in (None, zone_set["mapId"]):
            state["zoneSetId"] = zone_set["zoneSetId"]
    if len(zone_sets) > ("zoneSetId" in state):
        lost.append("zoneSets: all but the one in use")


def unfold_state(state: dict[str, Any]) -> None:
    """The one zone set of 2.1 is enabled on the map where the vehicle is."""
    state.setdefault("instantActionStates", [])
    used = state.pop("zoneSetId", None)
    if used:
        where = state.get("mobileRobotPosition")
        map_id = where.get("mapId", "") if isinstance(where, dict) else ""
        state["zoneSets"] = [{"zoneSetId": used, "mapId": map_id, "zoneSetStatus": "ENABLED"}]


def unfold_safety(safety: dict[str, Any]) -> None:
    """A stop that resets itself is, in 3.0, a protective field that is not free."""
    if safety.get("activeEmergencyStop") == "AUTOACK":
        safety["activeEmergencyStop"] = "NONE"
        safety["fieldViolation"] = True


def unfold_visualization(message: dict[str, Any]) -> None:
    """2.1 refers to no state."""
    message.setdefault("referenceStateHeaderId", 0)


def unfold_physical(parameters: dict[str, Any]) -> None:
    """A vehicle of one height need not say the lower one in 2.1."""
    if "maximumHeight" in parameters:
        parameters.setdefault("minimumHeight", parameters["maximumHeight"])


def unfold_feature(action: dict[str, Any]) -> None:
    """Who does not say that an action can be paused or cancelled has not promised it."""
    action.setdefault("pauseAllowed", False)
    action.setdefault("cancelAllowed", False)
