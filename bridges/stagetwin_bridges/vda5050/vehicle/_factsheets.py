"""The factsheet of a simulated vehicle: all that the vehicle's side here can do."""

from __future__ import annotations

from stagetwin.fleets import VehicleType
from stagetwin_bridges.vda5050.messages import (
    ActionParameterSpecification,
    ActionScope,
    Factsheet,
    LoadDimensions,
    LoadSet,
    LoadSpecification,
    MaximumArrayLengths,
    MaximumStringLengths,
    MobileRobotAction,
    MobileRobotGeometry,
    OptionalParameter,
    PhysicalParameters,
    ProtocolFeatures,
    ProtocolLimits,
    Timing,
    TypeSpecification,
    ValueDataType,
)

__all__ = ["make_factsheet"]

_FIELDS = {
    "nodes.nodePosition": "nodes.nodePosition",
    "nodes.nodePosition.theta": "nodes.nodePosition.theta",
    "nodes.nodePosition.allowedDeviationXY": "nodes.nodePosition.allowedDeviationXY",
    "nodes.nodePosition.allowedDeviationTheta": "nodes.nodePosition.allowedDeviationTheta",
    "edges.maximumSpeed": "edges.maxSpeed",
    "edges.maximumRotationSpeed": "edges.maxRotationSpeed",
    "edges.maximumMobileRobotHeight": "edges.maxHeight",
    "edges.orientation": "edges.orientation",
    "edges.orientationType": "edges.orientationType",
    "edges.reachOrientationBeforeEntering": "edges.rotationAllowed",
    "edges.trajectory": "edges.trajectory",
    "edges.length": "edges.length",
    "edges.corridor": "edges.corridor",
}

_Keys = dict[str, ValueDataType]
_MAP: _Keys = {"mapId": "STRING", "mapVersion": "STRING"}
_POSE: _Keys = {"x": "NUMBER", "y": "NUMBER", "theta": "NUMBER", "mapId": "STRING"}
_STATION: _Keys = {"stationType?": "STRING", "stationName?": "STRING"}
_LOAD: _Keys = {
    "lhd?": "STRING",
    **_STATION,
    "loadType?": "STRING",
    "loadId?": "STRING",
    "height?": "NUMBER",
    "depth?": "NUMBER",
    "side?": "STRING",
}
_INSTANT: tuple[ActionScope, ...] = ("INSTANT",)
_BOTH: tuple[ActionScope, ...] = ("INSTANT", "NODE")
_WAY: tuple[ActionScope, ...] = ("NODE", "EDGE")
_ANY: tuple[ActionScope, ...] = ("NODE", "EDGE", "ZONE")

# Scopes and parameters of table 4; a question mark makes a parameter optional.
_ACTIONS: dict[str, tuple[tuple[ActionScope, ...], _Keys]] = {
    "startPause": (_INSTANT, {}),
    "stopPause": (_INSTANT, {}),
    "startCharging": (_BOTH, {}),
    "stopCharging": (_BOTH, {}),
    "initializePosition": (_BOTH, {**_POSE, "lastNodeId": "STRING"}),
    "enableMap": (_BOTH, _MAP),
    "downloadMap": (_INSTANT, {**_MAP, "mapDownloadLink": "STRING", "mapHash?": "STRING"}),
    "deleteMap": (_INSTANT, _MAP),
    "stateRequest": (_INSTANT, {}),
    "logReport": (_INSTANT, {"reason": "STRING"}),
    "pick": (_WAY, _LOAD),
    "drop": (_WAY, _LOAD),
    "detectObject": (_ANY, {"objectType?": "STRING"}),
    "finePositioning": (_ANY, _STATION),
    "waitForTrigger": (("NODE", "ZONE"), {"triggerType?": "ARRAY"}),
    "cancelOrder": (_INSTANT, {"orderId?": "STRING"}),
    "factsheetRequest": (_INSTANT, {}),
}
_MODERN: dict[str, tuple[tuple[ActionScope, ...], _Keys]] = {
    "startHibernation": (_INSTANT, {"wakeUpTime?": "STRING"}),
    "stopHibernation": (_INSTANT, {}),
    "shutdown": (_INSTANT, {}),
    "downloadZoneSet": (
        _INSTANT,
        {"zoneSetId": "STRING", "zoneSetDownloadLink": "STRING", "zoneSetHash?": "STRING"},
    ),
    "enableZoneSet": (_BOTH, {"zoneSetId": "STRING"}),
    "deleteZoneSet": (_INSTANT, {"zoneSetId": "STRING"}),
    "clearInstantActions": (_BOTH, {}),
    "clearZoneActions": (_BOTH, {}),
    "trigger": (_INSTANT, {}),
    "retry": (_INSTANT, {"actionId": "STRING"}),
    "skipRetry": (_INSTANT, {"actionId": "STRING"}),
}
_PAUSED = frozenset({"pick", "drop", "finePositioning", "detectObject", "waitForTrigger"})
_UNSTOPPABLE = frozenset({"pick", "drop"})
"""A load half on a vehicle is nobody's friend: these are finished before an order ends."""


def make_factsheet(
    kind: VehicleType,
    version: str = "3.0.0",
    *,
    state_interval: float = 30.0,
    visualization_interval: float = 0.0,
    navigation: str = "VIRTUAL_LINE_GUIDED",
    height: float = 0.3,
) -> Factsheet:
    """Return what a simulated vehicle of a type is and can do.

    Args:
        kind: type of vehicle.
        version: of the standard; 2.1 has fewer actions and no zones.
        state_interval: longest time between two states [s].
        visualization_interval: between two visualizations [s]; 0 sends none.
        navigation: VIRTUAL_LINE_GUIDED, PHYSICAL_LINE_GUIDED or FREELY_NAVIGATING.
        height: of the vehicle [m].
    """
    modern = not version.startswith("2.")
    actions = {**_ACTIONS, **(_MODERN if modern else {})}
    size = LoadDimensions(length=kind.loaded_length, width=kind.loaded_width)
    return Factsheet(
        type_specification=TypeSpecification(
            series_name=kind.name,
            mobile_robot_kinematics="DIFFERENTIAL",
            mobile_robot_class="CARRIER",
            maximum_load_mass=kind.payload,
            localization_types=("NATURAL",),
            navigation_types=(navigation,),
            supported_zones=(
                (
                    "BLOCKED",
                    "LINE_GUIDED",
                    "RELEASE",
                    "COORDINATED_REPLANNING",
                    "SPEED_LIMIT",
                    "ACTION",
                    "PRIORITY",
                    "PENALTY",
                    "DIRECTED",
                    "BIDIRECTED",
                )
                if modern
                else None
            ),
        ),
        physical_parameters=PhysicalParameters(
            minimum_speed=0.0,
            maximum_speed=kind.speed,
            maximum_angular_speed=kind.rotation_speed,
            maximum_acceleration=kind.acceleration,
            maximum_deceleration=kind.deceleration,
            minimum_height=height,
            maximum_height=height,
            width=kind.width,
            length=kind.length,
        ),
        protocol_limits=ProtocolLimits(
            maximum_string_lengths=MaximumStringLengths(),
            maximum_array_lengths=MaximumArrayLengths(),
            timing=Timing(
                minimum_order_interval=0.0,
                minimum_state_interval=0.0,
                default_state_interval=state_interval,
                visualization_interval=visualization_interval,
            ),
        ),
        protocol_features=ProtocolFeatures(
            optional_parameters=tuple(
                OptionalParameter(parameter=f"order.{new if modern else old}", support="SUPPORTED")
                for new, old in _FIELDS.items()
            ),
            mobile_robot_actions=tuple(
                _action(name, scopes, keys, modern) for name, (scopes, keys) in actions.items()
            ),
        ),
        mobile_robot_geometry=MobileRobotGeometry(),
        load_specification=LoadSpecification(
            load_positions=("LHD1",),
            load_sets=(
                LoadSet(
                    set_name="DEFAULT",
                    load_type="EPAL",
                    load_dimensions=size,
                    maximum_weight=kind.payload,
                    maximum_loadhandling_height=1.0,
                ),
            ),
        ),
    )


def _action(
    name: str, scopes: tuple[ActionScope, ...], keys: _Keys, modern: bool
) -> MobileRobotAction:
    if not modern:
        scopes = tuple(scope for scope in scopes if scope != "ZONE")
    return MobileRobotAction(
        action_type=name,
        action_scopes=scopes,
        action_parameters=tuple(
            ActionParameterSpecification(
                key=key.rstrip("?"),
                value_data_type=kind,
                is_optional=key.endswith("?"),
            )
            for key, kind in keys.items()
        ),
        pause_allowed=name in _PAUSED,
        cancel_allowed=name not in _UNSTOPPABLE,
    )
