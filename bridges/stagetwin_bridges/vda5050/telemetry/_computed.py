"""What is worked out from a message: poses, counts of errors and actions, what is left of an order.

Each function takes the parts that it needs, read by a struct whose absent fields are UNSET, and
returns the value as it travels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from stagetwin.ports import Reject, ValueKind
from stagetwin_bridges.mqtt._values import RefusedError
from stagetwin_bridges.vda5050.telemetry._readers import Need

__all__ = ["PLACES", "PLACE_NEEDS", "VALUES", "ValueOf", "action_status"]

ValueOf = Callable[[Any], Any]
"""From the parts of a message to a value; None is no news, RefusedError a value that cannot be."""

_NUMBER, _TEXT, _LOGIC = ValueKind.NUMBER, ValueKind.TEXT, ValueKind.BOOLEAN
_LEVELS: Final = ("FATAL", "CRITICAL", "URGENT", "WARNING")

PLACE_NEEDS: Final[frozenset[Need]] = frozenset(
    {(("mobileRobotPosition", name), _NUMBER) for name in ("x", "y", "theta")}
    | {
        (("mobileRobotPosition", "mapId"), _TEXT),
        (("mobileRobotPosition", "localized"), _LOGIC),
    }
)


def _pose(place: Any) -> list[float]:
    """Return the pose in the map's frame: 16 numbers in rows, row vectors, z up."""
    sine, cosine = math.sin(place.theta), math.cos(place.theta)
    return [
        *(cosine, sine, 0.0, 0.0),
        *(-sine, cosine, 0.0, 0.0),
        *(0.0, 0.0, 1.0, 0.0),
        *(place.x, place.y, 0.0, 1.0),
    ]


def _orientation(place: Any) -> list[float]:
    """Return the heading as a quaternion x, y, z, w."""
    return [0.0, 0.0, math.sin(place.theta / 2), math.cos(place.theta / 2)]


PLACES: Final[Mapping[str, ValueOf]] = {
    "pose": _pose,
    "position": lambda place: [place.x, place.y, place.theta],
    "point": lambda place: [place.x, place.y, 0.0],
    "orientation": _orientation,
    "map": lambda place: place.mapId,
}
"""Worked out from a `mobileRobotPosition`."""


def _list(value: Any) -> Any:
    """Return an optional array; an absent one is empty."""
    return () if value is msgspec.UNSET else value


def _needed(value: Any, name: str) -> Any:
    if value is msgspec.UNSET:
        raise RefusedError(Reject.MISSING_FIELD, f"expected a value at {name!r}, got none")
    return value


def _online(message: Any) -> bool:
    return bool(_needed(message.connectionState, "connectionState") == "ONLINE")


def _errors(message: Any) -> Any:
    return _needed(message.errors, "errors")


def _fatal(message: Any) -> int:
    return sum(error.errorLevel == "FATAL" for error in _errors(message))


def _error_text(message: Any) -> str:
    """Return all errors, the gravest first."""

    def rank(error: Any) -> int:
        return _LEVELS.index(error.errorLevel) if error.errorLevel in _LEVELS else len(_LEVELS)

    lines = []
    for error in sorted(_errors(message), key=rank):
        said = error.errorDescription
        more = "" if said is msgspec.UNSET else f": {said}"
        lines.append(f"{error.errorLevel} {error.errorType}{more}")
    return "; ".join(lines)


def _action_states(message: Any) -> list[Any]:
    return [
        *_needed(message.actionStates, "actionStates"),
        *_list(message.instantActionStates),
        *_list(message.zoneActionStates),
    ]


def _with_status(status: str) -> ValueOf:
    return lambda message: sum(a.actionStatus == status for a in _action_states(message))


def action_status(action: str) -> ValueOf:
    """Return the function that tells the state of one action; empty where there is none."""

    def value(message: Any) -> str:
        # An id may come again: what was received last is said last.
        for state in reversed(_action_states(message)):
            if state.actionId == action:
                return str(_needed(state.actionStatus, "actionStatus"))
        return ""

    return value


def _loads(message: Any) -> int | None:
    """A vehicle that cannot tell its loads leaves them out."""
    return None if message.loads is msgspec.UNSET else len(message.loads)


def _load_mass(message: Any) -> float | None:
    if message.loads is msgspec.UNSET:
        return None
    return float(
        sum(_needed(load.weight, f"loads[{n}].weight") for n, load in enumerate(message.loads))
    )


def _remaining(message: Any) -> int:
    return len(_needed(message.nodeStates, "nodeStates"))


def _base(message: Any) -> int:
    return sum(node.released is True for node in _needed(message.nodeStates, "nodeStates"))


def _requests(message: Any) -> int:
    waiting = [*_list(message.zoneRequests), *_list(message.edgeRequests)]
    return sum(request.requestStatus == "REQUESTED" for request in waiting)


def _zone_set(message: Any) -> str:
    """Return the zone set that is enabled; empty where none is."""
    for each in _list(message.zoneSets):
        if _needed(each.zoneSetStatus, "zoneSets[].zoneSetStatus") == "ENABLED":
            return str(_needed(each.zoneSetId, "zoneSets[].zoneSetId"))
    return ""


def _needs(*paths: str) -> frozenset[Need]:
    """Return the needs that dotted paths to texts say, an array being `name[]`."""
    return frozenset((tuple(path.replace("[]", ".[]").split(".")), _TEXT) for path in paths)


_ERRORS = _needs("errors[].errorType", "errors[].errorLevel", "errors[].errorDescription")
_ACTIONS = _needs(
    *(
        f"{name}[].{part}"
        for name in ("actionStates", "instantActionStates", "zoneActionStates")
        for part in ("actionId", "actionStatus")
    )
)
_LOADS: frozenset[Need] = frozenset({(("loads", "[]", "weight"), _NUMBER)})
_NODES: frozenset[Need] = frozenset({(("nodeStates", "[]", "released"), _LOGIC)})
_ZONE_SETS = _needs("zoneSets[].zoneSetId", "zoneSets[].zoneSetStatus")
_REQUESTS = _needs("zoneRequests[].requestStatus", "edgeRequests[].requestStatus")

VALUES: Final[Mapping[str, tuple[frozenset[Need], ValueOf]]] = {
    "online": (_needs("connectionState"), _online),
    "errors.count": (_ERRORS, lambda message: len(_errors(message))),
    "errors.fatal": (_ERRORS, _fatal),
    "errors.text": (_ERRORS, _error_text),
    "actions.running": (_ACTIONS, _with_status("RUNNING")),
    "actions.failed": (_ACTIONS, _with_status("FAILED")),
    "action": (_ACTIONS, lambda message: ""),
    "loads.count": (_LOADS, _loads),
    "loads.mass": (_LOADS, _load_mass),
    "order.remaining": (_NODES, _remaining),
    "order.base": (_NODES, _base),
    "zones.enabled": (_ZONE_SETS, _zone_set),
    "zones.requests": (_REQUESTS, _requests),
}
"""By name: what must be read, and what is made of it; `action` is made by `action_status`."""
