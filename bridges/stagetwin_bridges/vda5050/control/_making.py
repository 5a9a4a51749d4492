"""What a command becomes for a vehicle: the first message, and what is followed afterwards."""

from __future__ import annotations

from typing import Any

from stagetwin.actuation import Transmission
from stagetwin.maps import RoadMap
from stagetwin_bridges._errors import OrderError
from stagetwin_bridges.vda5050.control._control import Control
from stagetwin_bridges.vda5050.control._fields import (
    INITIALIZE,
    PROVEN,
    SWITCHES,
    ZONE_SET,
    action_of,
    is_order,
)
from stagetwin_bridges.vda5050.control._followed import Followed, shows_of
from stagetwin_bridges.vda5050.control._mirror import is_idle
from stagetwin_bridges.vda5050.control._order import Phase
from stagetwin_bridges.vda5050.control._places import Pose, pose_of
from stagetwin_bridges.vda5050.control._zone_sets import zones_of
from stagetwin_bridges.vda5050.messages import Action, ActionParameter, Message

__all__ = ["made_of", "sent_words"]

_LOADING = {"pick": 1, "drop": -1}
"""How many loads an action puts onto a vehicle."""


def made_of(
    transmission: Transmission, control: Control, road_map: RoadMap | None
) -> tuple[str, Followed | None, Message | None]:
    """Return why a command must not be written, and what is written and followed for it.

    Args:
        transmission: the command.
        control: of its vehicle.
        road_map: the connection's.

    Raises:
        OrderError: the vehicle cannot be given it.
    """
    target, value = transmission.target, transmission.value
    wire_id = control.mirror.limits.id_of(transmission.id)
    kind = action_of(target.field, value)
    if is_order(target.field):
        goal: Any = pose_of(value) or value
        actions = {-1: [_node_action(control, kind, wire_id, transmission)]} if kind else {}
        message: Message = control.begin(wire_id, goal, actions)
        return "", Followed(transmission, control, wire_id, is_order=True), message
    if kind == INITIALIZE:
        pose = pose_of(value)
        if pose is None or road_map is None:
            return "the connection names no map to be placed on", None, None
        state, order = control.mirror.state, control.order
        drives = state is not None and not is_idle(state)
        # What was sent a moment ago, no state can show yet.
        if drives or (order is not None and order.phase is not Phase.OVER and not order.given_up):
            return "it has an order; a vehicle is told where it stands when it stands", None, None
        parameters = _placed(road_map, pose)
        return (
            "",
            Followed(transmission, control, wire_id),
            control.instant(kind, wire_id, parameters),
        )
    if value is not True and target.field not in SWITCHES:
        return f"only true is sent to {target.field}, got {value!r}", None, None
    if target.field == ZONE_SET:
        return _zone_set(transmission, control, wire_id, road_map)
    message = control.instant(kind, wire_id, transmission.parameters)
    return "", Followed(transmission, control, wire_id), message


def _node_action(control: Control, kind: str, wire_id: str, sent: Transmission) -> Action:
    """Return what is to be done at the goal's node; its id is the order's."""
    parameters = tuple(ActionParameter(key=k, value=v) for k, v in sent.parameters.items())
    return Action(
        action_type=kind,
        action_id=wire_id,
        blocking_type=control.mirror.limits.blocking_of(kind),
        action_parameters=parameters or None,
    )


def _placed(road_map: RoadMap, pose: Pose) -> dict[str, object]:
    """Return where a vehicle is told that it stands (3.0, 6.2.3); no node where it is on none."""
    x, y, theta = pose
    node = road_map.nearest(x, y)
    on_it = node is not None and (node.x - x) ** 2 + (node.y - y) ** 2 <= node.deviation**2
    return {
        "x": x,
        "y": y,
        "theta": theta,
        "mapId": road_map.id,
        "lastNodeId": node.id if node is not None and on_it else "",
    }


def _zone_set(
    transmission: Transmission, control: Control, wire_id: str, road_map: RoadMap | None
) -> tuple[str, Followed | None, Message | None]:
    if road_map is None:
        return "the connection names no map, so there are no zones", None, None
    if why := control.mirror.absent():
        raise OrderError(f"vehicle {control.identity.name}: {why}")
    contents = zones_of(road_map)
    if not contents.zones:
        return f"map {road_map.id!r} has no zone of a type that vehicles know", None, None
    transfer = control.transfer(contents)
    due = control.transfers()
    if not due:
        return f"zone set {contents.zone_set_id!r} is enabled already", None, None
    return "", Followed(transmission, control, wire_id, transfer=transfer), due[0]


def sent_words(followed: Followed) -> tuple[str, tuple[Any, ...]]:
    """Return what left, in words, and what a read-back shows once it came true."""
    kind = action_of(followed.transmission.target.field, followed.transmission.value)
    if followed.transfer is not None:
        name = followed.transfer.contents.zone_set_id
        return f"zone set {name}, {len(followed.transfer.contents.zones)} zones", (name,)
    if not followed.is_order:
        pose = pose_of(followed.transmission.value) if kind == INITIALIZE else None
        return f"instant action {kind}", ([*pose],) if pose else PROVEN.get(kind, (True,))
    order = followed.control.order
    assert order is not None
    plan, at = order.plan, order.plan.stops[order.released].id
    words = (
        f"order {order.id} to {plan.stops[-1].id}: {plan.last} edges, {plan.length:.1f} m, "
        f"released to {at}"
    )
    if not kind:
        return words, shows_of(plan)
    # To have come there is not to have done it.
    shows = _loaded(followed, kind) if kind in _LOADING else shows_of(plan)
    return f"{words}, then {kind}", shows


def _loaded(followed: Followed, kind: str) -> tuple[Any, ...]:
    """Return what a count of loads shows once one more is on the vehicle, or one less.

    That there is a load proves nothing where there was one before, and that there is none likewise.
    """
    state = followed.control.mirror.state
    loads = len(state.loads) if state is not None and state.loads is not None else None
    if loads is None:
        return (kind == "pick",)
    after = loads + _LOADING[kind]
    first, last = (kind, loads) == ("pick", 0), (kind, loads) == ("drop", 1)
    return (first, after) if first or last else (after,)
