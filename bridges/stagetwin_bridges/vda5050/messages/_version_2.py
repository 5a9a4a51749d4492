"""The words of 2.1 beside those of 3.0: every field and every word that differs.

Sources: VDA 5050 2.1.0, 6.6 to 6.15, and 3.0.0, 6.2.3.1 and 7.3 to 7.10, with their schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stagetwin_bridges.vda5050.messages._translation import Shape

__all__ = ["SHAPES"]

_ACTIONS: Final = {"initializePosition": "initPosition"}
_BACK_ACTIONS: Final = {"initPosition": "initializePosition"}
_BLOCKING: Final = {"SINGLE": "HARD"}

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


def _fold_error(error: dict[str, Any], path: str, lost: list[str]) -> None:
    word = error.get("errorType")
    if word in _ERRORS:
        error["errorType"] = _ERRORS[word]
        if error.get("errorLevel") != "WARNING":
            lost.append(f"{path}errorLevel: {error.get('errorLevel')} of a refused order")
            error["errorLevel"] = "WARNING"


def _fold_action(action: dict[str, Any], path: str, lost: list[str]) -> None:
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


def _unfold_action(action: dict[str, Any]) -> None:
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


def _fold_trajectory(trajectory: dict[str, Any], _path: str, _lost: list[str]) -> None:
    """2.1 demands what has a default in 3.0 (7.3): degree 1 and uniform, clamped knots."""
    degree = trajectory.setdefault("degree", 1)
    if "knotVector" in trajectory:
        return
    spans = len(trajectory["controlPoints"]) - degree
    if spans < 1:  # no curve (7.3); the schema says so
        return
    inner = [i / spans for i in range(1, spans)]
    trajectory["knotVector"] = [0.0] * (degree + 1) + inner + [1.0] * (degree + 1)


def _fold_node_position(position: dict[str, Any], path: str, lost: list[str]) -> None:
    """2.1 has a circle: the one inside the ellipse."""
    ellipse = position.get("allowedDeviationXY")
    if isinstance(ellipse, dict):
        if ellipse["a"] != ellipse["b"]:
            lost.append(f"{path}allowedDeviationXY: an ellipse becomes the circle inside it")
        position["allowedDeviationXY"] = min(ellipse["a"], ellipse["b"])


def _unfold_node_position(position: dict[str, Any]) -> None:
    radius = position.get("allowedDeviationXY")
    if isinstance(radius, (int, float)):
        position["allowedDeviationXY"] = {"a": radius, "b": radius, "theta": 0.0}


def _fold_edge(edge: dict[str, Any], path: str, lost: list[str]) -> None:
    if isinstance(corridor := edge.get("corridor"), dict) and corridor.get("releaseRequired"):
        # Nobody could release it: the vehicle stays on its trajectory.
        del edge["corridor"]
        lost.append(f"{path}corridor: left out, 2.1 cannot ask for its release")
    if "reachOrientationBeforeEntering" in edge:
        edge["rotationAllowed"] = not edge.pop("reachOrientationBeforeEntering")


def _unfold_edge(edge: dict[str, Any]) -> None:
    if isinstance(allowed := edge.pop("rotationAllowed", None), bool):
        edge["reachOrientationBeforeEntering"] = not allowed


def _fold_order(order: dict[str, Any], _path: str, _lost: list[str]) -> None:
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


def _fold_state(state: dict[str, Any], _path: str, lost: list[str]) -> None:
    for name in ("instantActionStates", "zoneActionStates"):
        state["actionStates"] = [*state["actionStates"], *state.pop(name, ())]
    zone_sets = state.pop("zoneSets", ())
    where = state.get("mobileRobotPosition", {}).get("mapId")
    for zone_set in zone_sets:
        if zone_set["zoneSetStatus"] == "ENABLED" and where in (None, zone_set["mapId"]):
            state["zoneSetId"] = zone_set["zoneSetId"]
    if len(zone_sets) > ("zoneSetId" in state):
        lost.append("zoneSets: all but the one in use")


def _unfold_state(state: dict[str, Any]) -> None:
    state.setdefault("instantActionStates", [])
    used = state.pop("zoneSetId", None)
    if used:
        where = state.get("mobileRobotPosition")
        map_id = where.get("mapId", "") if isinstance(where, dict) else ""
        state["zoneSets"] = [{"zoneSetId": used, "mapId": map_id, "zoneSetStatus": "ENABLED"}]


def _unfold_safety(safety: dict[str, Any]) -> None:
    """A stop that resets itself is, in 3.0, a protective field that is not free."""
    if safety.get("activeEmergencyStop") == "AUTOACK":
        safety["activeEmergencyStop"] = "NONE"
        safety["fieldViolation"] = True


def _unfold_visualization(message: dict[str, Any]) -> None:
    message.setdefault("referenceStateHeaderId", 0)


def _unfold_physical(parameters: dict[str, Any]) -> None:
    if "maximumHeight" in parameters:
        parameters.setdefault("minimumHeight", parameters["maximumHeight"])


def _unfold_feature(action: dict[str, Any]) -> None:
    """Who does not say that an action can be paused or cancelled has not promised it."""
    action.setdefault("pauseAllowed", False)
    action.setdefault("cancelAllowed", False)


def _renamed(*names: str, **others: str) -> Mapping[str, str]:
    """Return 2.1's names: `max...` and `min...` of those given in full, and others as they are."""
    short = {name: name.replace("maximum", "max", 1).replace("minimum", "min", 1) for name in names}
    return {**short, **others}


_ACTION = Shape(
    names={"actionDescriptor": "actionDescription"},
    words={"actionType": _ACTIONS, "blockingType": _BLOCKING},
    back={"actionType": _BACK_ACTIONS},
    absent=frozenset({"retriable"}),
    fold=_fold_action,
    unfold=_unfold_action,
    made=frozenset({"actionParameters"}),
)
_NODE_POSITION = Shape(
    fold=_fold_node_position,
    unfold=_unfold_node_position,
    made=frozenset({"allowedDeviationXY"}),
)
_TRAJECTORY = Shape(fold=_fold_trajectory)
_NODE = Shape(
    names={"nodeDescriptor": "nodeDescription"},
    parts={"nodePosition": _NODE_POSITION, "actions": _ACTION},
)
_CORRIDOR = Shape(
    names={"corridorReferencePoint": "corridorRefPoint"},
    words={"corridorReferencePoint": {"KINEMATIC_CENTER": "KINEMATICCENTER"}},
    back={"corridorReferencePoint": {"KINEMATICCENTER": "KINEMATIC_CENTER"}},
    absent=frozenset({"releaseRequired", "releaseLossBehavior"}),
)
_EDGE = Shape(
    names={
        "edgeDescriptor": "edgeDescription",
        "maximumSpeed": "maxSpeed",
        "maximumMobileRobotHeight": "maxHeight",
        "minimumLoadHandlingDeviceHeight": "minHeight",
        "maximumRotationSpeed": "maxRotationSpeed",
    },
    parts={"trajectory": _TRAJECTORY, "corridor": _CORRIDOR, "actions": _ACTION},
    fold=_fold_edge,
    unfold=_unfold_edge,
    made=frozenset({"reachOrientationBeforeEntering"}),
)
_ORDER = Shape(
    parts={"nodes": _NODE, "edges": _EDGE},
    absent=frozenset({"orderDescription"}),
    fold=_fold_order,
)

_POSITION = Shape(names={"localized": "positionInitialized"})
_ACTION_STATE = Shape(
    names={"actionDescriptor": "actionDescription", "actionResult": "resultDescription"},
    words={"actionType": _ACTIONS, "actionStatus": {"RETRIABLE": "FAILED"}},
    back={"actionType": _BACK_ACTIONS},
)
_ERROR = Shape(
    words={"errorLevel": {"URGENT": "WARNING", "CRITICAL": "FATAL"}},
    back={
        "errorType": {
            "noOrderToCancel": "NO_ORDER_TO_CANCEL",
            "validationError": "VALIDATION_FAILURE",
        }
    },
    absent=frozenset({"errorDescriptionTranslations", "errorHintTranslations"}),
    fold=_fold_error,
)
_STATE = Shape(
    names={"mobileRobotPosition": "agvPosition", "powerSupply": "batteryState"},
    parts={
        "maps": Shape(names={"mapDescriptor": "mapDescription"}),
        "nodeStates": Shape(
            names={"nodeDescriptor": "nodeDescription"}, parts={"nodePosition": _NODE_POSITION}
        ),
        "edgeStates": Shape(
            names={"edgeDescriptor": "edgeDescription"}, parts={"trajectory": _TRAJECTORY}
        ),
        "mobileRobotPosition": _POSITION,
        "actionStates": _ACTION_STATE,
        "powerSupply": Shape(
            names={"stateOfCharge": "batteryCharge", "range": "reach"},
            absent=frozenset({"batteryCurrent"}),
        ),
        "errors": _ERROR,
        "information": Shape(names={"infoDescriptor": "infoDescription"}),
        "safetyState": Shape(
            names={"activeEmergencyStop": "eStop"},
            unfold=_unfold_safety,
            made=frozenset({"activeEmergencyStop", "fieldViolation"}),
        ),
    },
    words={"operatingMode": {"TEACH_IN": "TEACHIN", "STARTUP": "SERVICE", "INTERVENED": "MANUAL"}},
    back={"operatingMode": {"TEACHIN": "TEACH_IN"}},
    absent=frozenset({"plannedPath", "intermediatePath", "zoneRequests", "edgeRequests"}),
    fold=_fold_state,
    unfold=_unfold_state,
    made=frozenset({"instantActionStates", "zoneSets"}),
)
_VISUALIZATION = Shape(
    names={"mobileRobotPosition": "agvPosition"},
    parts={"mobileRobotPosition": _POSITION},
    absent=frozenset({"referenceStateHeaderId", "plannedPath", "intermediatePath"}),
    unfold=_unfold_visualization,
    made=frozenset({"referenceStateHeaderId"}),
)

_KINEMATICS: Final = {
    "DIFFERENTIAL": "DIFF",
    "OMNIDIRECTIONAL": "OMNI",
    "THREE_WHEEL": "THREEWHEEL",
}
_TYPE = Shape(
    names={
        "mobileRobotKinematics": "agvKinematic",
        "mobileRobotClass": "agvClass",
        "maximumLoadMass": "maxLoadMass",
    },
    words={
        "mobileRobotKinematics": _KINEMATICS,
        "navigationTypes": {"FREELY_NAVIGATING": "AUTONOMOUS"},
    },
    back={
        "mobileRobotKinematics": {old: new for new, old in _KINEMATICS.items()},
        "navigationTypes": {"AUTONOMOUS": "FREELY_NAVIGATING"},
    },
    absent=frozenset({"supportedZones"}),
)
_PHYSICAL = Shape(
    names={
        "minimumSpeed": "speedMin",
        "maximumSpeed": "speedMax",
        "minimumAngularSpeed": "angularSpeedMin",
        "maximumAngularSpeed": "angularSpeedMax",
        "maximumAcceleration": "accelerationMax",
        "maximumDeceleration": "decelerationMax",
        "minimumHeight": "heightMin",
        "maximumHeight": "heightMax",
    },
    unfold=_unfold_physical,
    made=frozenset({"minimumHeight"}),
)
_LIMITS = Shape(
    names={"maximumStringLengths": "maxStringLens", "maximumArrayLengths": "maxArrayLens"},
    parts={
        "maximumStringLengths": Shape(
            names={
                "maximumMessageLength": "msgLen",
                "maximumTopicSerialLength": "topicSerialLen",
                "maximumTopicElementLength": "topicElemLen",
                "maximumIdLength": "idLen",
                "maximumLoadIdLength": "loadIdLen",
            }
        ),
        "maximumArrayLengths": Shape(
            absent=frozenset(
                {"zoneSet.zones", "state.instantActionStates", "state.zoneActionStates"}
            )
        ),
        "timing": Shape(names=_renamed("minimumOrderInterval", "minimumStateInterval")),
    },
)
_FEATURE = Shape(
    names={"actionResult": "resultDescription"},
    parts={"actionParameters": Shape(back={"valueDataType": {"FLOAT": "NUMBER"}})},
    words={"actionType": _ACTIONS, "blockingTypes": _BLOCKING},
    back={"actionType": _BACK_ACTIONS},
    absent=frozenset({"pauseAllowed", "cancelAllowed"}),
    unfold=_unfold_feature,
    made=frozenset({"pauseAllowed", "cancelAllowed"}),
)
_LOAD_SET = Shape(
    names=_renamed(
        "maximumWeight",
        "minimumLoadhandlingHeight",
        "maximumLoadhandlingHeight",
        "minimumLoadhandlingDepth",
        "maximumLoadhandlingDepth",
        "minimumLoadhandlingTilt",
        "maximumLoadhandlingTilt",
        maximumSpeed="agvSpeedLimit",
        maximumAcceleration="agvAccelerationLimit",
        maximumDeceleration="agvDecelerationLimit",
    )
)
_FACTSHEET = Shape(
    names={"mobileRobotGeometry": "agvGeometry", "mobileRobotConfiguration": "vehicleConfig"},
    parts={
        "typeSpecification": _TYPE,
        "physicalParameters": _PHYSICAL,
        "protocolLimits": _LIMITS,
        "protocolFeatures": Shape(
            names={"mobileRobotActions": "agvActions"}, parts={"mobileRobotActions": _FEATURE}
        ),
        "mobileRobotGeometry": Shape(
            parts={
                "envelopes2d": Shape(names={"envelope2dId": "set", "vertices": "polygonPoints"}),
                "envelopes3d": Shape(names={"envelope3dId": "set"}),
            }
        ),
        "loadSpecification": Shape(parts={"loadSets": _LOAD_SET}),
        "mobileRobotConfiguration": Shape(absent=frozenset({"batteryCharging"})),
    },
)

SHAPES: Final[Mapping[str, Shape]] = {
    "order": _ORDER,
    "instantActions": Shape(parts={"actions": _ACTION}),
    "state": _STATE,
    "visualization": _VISUALIZATION,
    "connection": Shape(
        words={
            "connectionState": {"CONNECTION_BROKEN": "CONNECTIONBROKEN", "HIBERNATING": "OFFLINE"}
        },
        back={"connectionState": {"CONNECTIONBROKEN": "CONNECTION_BROKEN"}},
    ),
    "factsheet": _FACTSHEET,
}
"""By topic: what 2.1 has of it."""
