"""What each predefined action does to the vehicle itself (3.0, tables 4 and 5).

An effect has up to three steps: `check` says why an action cannot begin, the device does it where
`device` is set, `finish` says why it failed in the end, or does what it is for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from stagetwin_bridges.vda5050.messages import Load, LoadDimensions, LoadSet
from stagetwin_bridges.vda5050.vehicle._device import Progress
from stagetwin_bridges.vda5050.vehicle._parts import Parts
from stagetwin_bridges.vda5050.vehicle._rules import Cause
from stagetwin_bridges.vda5050.vehicle._runs import Run

__all__ = ["EFFECTS", "Effect", "take_zone_set"]

Check = Callable[[Parts, Run, float], str]
Finish = Callable[[Parts, Run, Progress, float], str]


def _nothing(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del parts, run, progress, now
    return ""


def _fine(parts: Parts, run: Run, now: float) -> str:
    del parts, run, now
    return ""


@dataclass(frozen=True, slots=True)
class Effect:
    """What an action does; each step returns why it failed, or an empty text.

    Attributes:
        check: before it begins.
        finish: when its device is done.
        device: whether a device does it.
        waits: whether it waits for a trigger.
        maps: whether it is about maps (table 9, DUPLICATE_MAP).
    """

    check: Check = _fine
    finish: Finish = _nothing
    device: bool = False
    waits: bool = False
    maps: bool = False


def _text(run: Run, key: str) -> str:
    value = run.action.parameter(key)
    return "" if value is None else str(value)


# -- power and position ----------------------------------------------------------------------------


def _charge(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del progress, now
    on = run.kind == "startCharging"
    if on and parts.chassis.moving:
        return "it does not charge while driving"
    parts.chassis.plug(on)
    parts.charging = on
    return ""


def _place(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del progress, now
    values = [run.action.parameter(key) for key in ("x", "y", "theta")]
    numbers = [float(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)]
    if len(numbers) < 3:
        return f"x, y and theta must be finite numbers, got {values}"
    if parts.chassis.moving:
        return "the pose cannot be set while driving"
    map_id = _text(run, "mapId")
    versions = parts.maps.versions(map_id)
    if not versions:
        return f"there is no map {map_id!r} on the vehicle"
    if not parts.maps.enabled(map_id):
        if len(versions) > 1:
            return f"map {map_id!r} has the versions {', '.join(versions)}; none is enabled"
        parts.maps.enable(map_id, versions[0])
    parts.driver.forget()
    parts.chassis.place(*numbers)
    parts.map_id, parts.localized = map_id, True
    if parts.held is None or parts.held.done:
        # With an order, the node passed last is one of its nodes (6.6.2).
        parts.last_node_id, parts.last_sequence_id = _text(run, "lastNodeId"), 0
    return ""


# -- maps and zone sets ----------------------------------------------------------------------------


def _check_map(parts: Parts, run: Run, now: float) -> str:
    map_id, version = _text(run, "mapId"), _text(run, "mapVersion")
    if parts.maps.has(map_id, version):
        why = f"map {map_id!r} of version {version!r} is on the vehicle already"
        parts.faults.report(Cause.DUPLICATE_MAP, now, why, {"mapId": map_id, "mapVersion": version})
        return why
    return ""


def _store_map(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del progress, now
    parts.maps.add(_text(run, "mapId"), _text(run, "mapVersion"))
    return ""


def _enable_map(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del progress, now
    map_id, version = _text(run, "mapId"), _text(run, "mapVersion")
    if not parts.maps.has(map_id, version):
        return f"there is no map {map_id!r} of version {version!r}"
    parts.maps.enable(map_id, version)
    return ""


def _delete_map(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del progress, now
    map_id, version = _text(run, "mapId"), _text(run, "mapVersion")
    if not parts.maps.has(map_id, version):
        return f"there is no map {map_id!r} of version {version!r}"
    if parts.maps.is_enabled(map_id, version):
        return f"map {map_id!r} of version {version!r} is in use"
    parts.maps.delete(map_id, version)
    return ""


def _check_zone_set(parts: Parts, run: Run, now: float) -> str:
    name = _text(run, "zoneSetId")
    if name not in parts.zone_sets:
        return ""
    why = f"zone set {name!r} is on the vehicle already"
    references = {"zoneSetId": name, "actionId": run.action.action_id}
    parts.faults.report(Cause.DUPLICATE_ZONE_SET, now, why, references)
    return why


def _store_zone_set(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    if progress.zones is None:
        return "the download brought no zone set"
    if progress.zones.zone_set_id != _text(run, "zoneSetId"):
        return f"the download brought the zone set {progress.zones.zone_set_id!r}"
    return take_zone_set(parts, progress, {"actionId": run.action.action_id}, now)


def take_zone_set(
    parts: Parts, progress: Progress, references: Mapping[str, str], now: float
) -> str:
    """Store a zone set, disabled; return why not, which is reported as well (6.4.2)."""
    zones = progress.zones
    if zones is None:
        return "there is no zone set"
    told = {"zoneSetId": zones.zone_set_id, **references}
    if zones.zone_set_id in parts.zone_sets:
        why = f"zone set {zones.zone_set_id!r} is on the vehicle already"
        parts.faults.report(Cause.DUPLICATE_ZONE_SET, now, why, told)
        return why
    why = ""
    known = parts.sheet.type_specification.supported_zones or ()
    ids = [zone.zone_id for zone in zones.zones]
    most = parts.sheet.protocol_limits.maximum_array_lengths.zone_set_zones
    for zone in zones.zones:
        if len(zone.vertices) < 3:
            why = f"zone {zone.zone_id!r} has {len(zone.vertices)} vertices; 3 are the least"
        elif not all(math.isfinite(v.x) and math.isfinite(v.y) for v in zone.vertices):
            why = f"zone {zone.zone_id!r} has a vertex that is not finite"
        elif zone.zone_type not in known:
            why = f"zone {zone.zone_id!r}: supported are {', '.join(known) or 'none'}"
        elif zone.zone_type == "SPEED_LIMIT" and not (zone.maximum_speed or 0.0) > 0.0:
            why = f"zone {zone.zone_id!r}: maximumSpeed must be above 0, got {zone.maximum_speed}"
        elif zone.zone_type in ("DIRECTED", "BIDIRECTED") and zone.direction is None:
            why = f"zone {zone.zone_id!r} has no direction"
    if len(set(ids)) < len(ids):
        why = "zone ids must be unique in their set"
    elif most and len(ids) > most:
        why = f"at most {most} zones, got {len(ids)}"
    if why:
        parts.faults.report(Cause.BAD_ZONE_SET, now, why, told)
        return why
    parts.zone_sets.add(zones)
    parts.dirty = True
    return ""


def _enable_zone_set(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del progress, now
    name = _text(run, "zoneSetId")
    if name not in parts.zone_sets:
        return f"there is no zone set {name!r}"
    parts.zone_sets.enable(name)
    return ""


def _delete_zone_set(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del progress, now
    name = _text(run, "zoneSetId")
    if name not in parts.zone_sets:
        return f"there is no zone set {name!r}"
    if parts.zone_sets.is_enabled(name):
        return f"zone set {name!r} is in use"
    parts.zone_sets.delete(name)
    return ""


# -- loads -----------------------------------------------------------------------------------------


def _load_set(parts: Parts, kind: str) -> LoadSet | None:
    sets = parts.sheet.load_specification.load_sets or ()
    named = [each for each in sets if each.load_type == kind]
    return next(iter((*named, *sets)), None)


def _check_pick(parts: Parts, run: Run, now: float) -> str:
    del now
    places = len(parts.sheet.load_specification.load_positions or ()) or 1
    place = _text(run, "lhd")
    if len(parts.loads) >= places or (
        place and place in [load.load_position for load in parts.loads]
    ):
        return "there is a load on the vehicle already"
    return ""


def _check_drop(parts: Parts, run: Run, now: float) -> str:
    del now
    return "" if _carried(parts, run) is not None else "there is no such load on the vehicle"


def _carried(parts: Parts, run: Run) -> Load | None:
    place, name = _text(run, "lhd"), _text(run, "loadId")
    for load in parts.loads:
        if (not place or load.load_position == place) and (not name or load.load_id == name):
            return load
    return None


def _pick(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del progress, now
    kind = _text(run, "loadType")
    size = _load_set(parts, kind)
    dimensions = size.load_dimensions if size is not None else None
    parts.loads.append(
        Load(
            load_id=_text(run, "loadId") or None,
            load_type=kind or (size.load_type if size is not None else None),
            load_position=_text(run, "lhd") or None,
            load_dimensions=dimensions,
            weight=size.maximum_weight if size is not None else None,
        )
    )
    _carry(parts)
    return ""


def _drop(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del progress, now
    load = _carried(parts, run)
    if load is None:
        return "there is no such load on the vehicle"
    parts.loads.remove(load)
    _carry(parts)
    return ""


def _carry(parts: Parts) -> None:
    none = LoadDimensions(length=0.0, width=0.0)
    sizes = [load.load_dimensions or none for load in parts.loads]
    mass = sum(load.weight or 1.0 for load in parts.loads)
    length = max((each.length for each in sizes), default=0.0)
    width = max((each.width for each in sizes), default=0.0)
    parts.chassis.carry(mass, length, width)


# -- words -----------------------------------------------------------------------------------------


def _clear_instant(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del run, progress, now
    gone = [name for name, each in parts.instant_runs.items() if each.ended]
    for name in gone:
        del parts.instant_runs[name]
    parts.faults.withdraw(Cause.INSTANT_FULL)
    return ""


def _clear_zone(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del run, progress, now
    gone = [name for name, each in parts.zone_runs.items() if each.ended]
    for name in gone:
        del parts.zone_runs[name]
    parts.faults.withdraw(Cause.ZONE_FULL)
    return ""


def _ask_state(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del run, progress, now
    parts.state_asked = True
    return ""


def _ask_factsheet(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del run, progress, now
    parts.factsheet_asked = True
    return ""


def _log(parts: Parts, run: Run, progress: Progress, now: float) -> str:
    del progress, now
    parts.reports += 1
    run.result = f"log-{parts.reports}"
    return ""


EFFECTS: Final[Mapping[str, Effect]] = {
    "startCharging": Effect(finish=_charge),
    "stopCharging": Effect(finish=_charge),
    "initializePosition": Effect(finish=_place),
    "downloadMap": Effect(check=_check_map, finish=_store_map, device=True, maps=True),
    "enableMap": Effect(finish=_enable_map, maps=True),
    "deleteMap": Effect(finish=_delete_map, maps=True),
    "downloadZoneSet": Effect(check=_check_zone_set, finish=_store_zone_set, device=True),
    "enableZoneSet": Effect(finish=_enable_zone_set),
    "deleteZoneSet": Effect(finish=_delete_zone_set),
    "clearInstantActions": Effect(finish=_clear_instant),
    "clearZoneActions": Effect(finish=_clear_zone),
    "stateRequest": Effect(finish=_ask_state),
    "factsheetRequest": Effect(finish=_ask_factsheet),
    "logReport": Effect(finish=_log, device=True),
    "pick": Effect(check=_check_pick, finish=_pick, device=True),
    "drop": Effect(check=_check_drop, finish=_drop, device=True),
    "waitForTrigger": Effect(waits=True),
    # The vehicle as a whole does these.
    **dict.fromkeys(
        (
            "cancelOrder",
            "startPause",
            "stopPause",
            "trigger",
            "retry",
            "skipRetry",
            "startHibernation",
            "stopHibernation",
            "shutdown",
        ),
        Effect(),
    ),
}
"""By type of action; all others are the device's alone."""
