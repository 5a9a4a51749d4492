"""The words of 2.1 beside those of 3.0: every field and every word that differs.

Sources: VDA 5050 2.1.0, 6.6 to 6.15, and 3.0.0, 6.2.3.1 and 7.3 to 7.10, with their schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stagetwin_bridges.vda5050.messages._folds import (
    fold_action,
    fold_edge,
    fold_error,
    fold_node_position,
    fold_order,
    fold_state,
    fold_trajectory,
    unfold_action,
    unfold_edge,
    unfold_feature,
    unfold_node_position,
    unfold_physical,
    unfold_safety,
    unfold_state,
    unfold_visualization,
)
from stagetwin_bridges.vda5050.messages._translation import Shape

__all__ = ["SHAPES"]

_ACTIONS: Final = {"initializePosition": "initPosition"}
_BACK_ACTIONS: Final = {"initPosition": "initializePosition"}
_BLOCKING: Final = {"SINGLE": "HARD"}


def _renamed(*names: str, **others: str) -> Mapping[str, str]:
    """Return 2.1's names: `max...` and `min...` of those given in full, and others as they are."""
    short = {name: name.replace("maximum", "max", 1).replace("minimum", "min", 1) for name in names}
    return {**short, **others}


_ACTION = Shape(
    names={"actionDescriptor": "actionDescription"},
    words={"actionType": _ACTIONS, "blockingType": _BLOCKING},
    back={"actionType": _BACK_ACTIONS},
    absent=frozenset({"retriable"}),
    fold=fold_action,
    unfold=unfold_action,
    made=frozenset({"actionParameters"}),
)
_NODE_POSITION = Shape(
    fold=fold_node_position,
    unfold=unfold_node_position,
    made=frozenset({"allowedDeviationXY"}),
)
_TRAJECTORY = Shape(fold=fold_trajectory)
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
    fold=fold_edge,
    unfold=unfold_edge,
    made=frozenset({"reachOrientationBeforeEntering"}),
)
_ORDER = Shape(
    parts={"nodes": _NODE, "edges": _EDGE},
    absent=frozenset({"orderDescription"}),
    fold=fold_order,
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
    fold=fold_error,
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
            unfold=unfold_safety,
            made=frozenset({"activeEmergencyStop", "fieldViolation"}),
        ),
    },
    words={"operatingMode": {"TEACH_IN": "TEACHIN", "STARTUP": "SERVICE", "INTERVENED": "MANUAL"}},
    back={"operatingMode": {"TEACHIN": "TEACH_IN"}},
    absent=frozenset({"plannedPath", "intermediatePath", "zoneRequests", "edgeRequests"}),
    fold=fold_state,
    unfold=unfold_state,
    made=frozenset({"instantActionStates", "zoneSets"}),
)
_VISUALIZATION = Shape(
    names={"mobileRobotPosition": "agvPosition"},
    parts={"mobileRobotPosition": _POSITION},
    absent=frozenset({"referenceStateHeaderId", "plannedPath", "intermediatePath"}),
    unfold=unfold_visualization,
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
    unfold=unfold_physical,
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
    unfold=unfold_feature,
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
