"""What the service says besides values, on a mirror's stage: commands, alarms, topics and so on."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pxr import Gf, Sdf, Tf, Usd, UsdGeom

from stagetwin._authoring import OpinionLayer
from stagetwin.sync._values import maker

__all__ = ["Said", "commanded_attribute"]

_TYPES = Sdf.ValueTypeNames
_Problem = Callable[[str, str], None]

_IN_FORCE = frozenset(
    {"VALIDATED", "REHEARSED", "APPROVED", "ARMED", "SENT", "ACKNOWLEDGED", "VERIFIED"}
) | {"UNVERIFIED"}
"""States of a command whose value stands as `desired`."""

_NEVER = frozenset({"REJECTED", "DENIED", "CANCELLED", "SUPERSEDED", "EXPIRED", "FAILED"})
"""Ends after which `desired` is what it was before."""

_DISPLACED_KEPT = 64
_PRIORITIES = ("critical", "high", "medium", "low")
_ACTIVE = frozenset({"UNACK", "ACKED", "RTN_UNACK"})
_ALARM_NAMES = ("state", "since", "cause", "priority")
_ELEMENT = re.compile(r"\[(-?\d+)\]")
_WRONG = (LookupError, TypeError, ValueError, AttributeError, OverflowError, Tf.ErrorException)

_Standing = tuple[Any, str]
"""What stands as `desired`, as plain data (None for nothing), and the id of its request."""


def commanded_attribute(stage: Usd.Stage, command: str) -> str:
    """Return the path of the attribute that a command `/Prim.name` drives on a stage."""
    prim_path, _, name = command.rpartition(".")
    prim = stage.GetPrimAtPath(prim_path)
    rel = prim.GetRelationship(f"twin:command:{name}:target") if prim else None
    targets = rel.GetForwardedTargets() if rel else []
    if len(targets) == 1:
        return str(targets[0])
    return f"{prim_path}.twin:command:{name}:desired"


class Said:
    """Writes events to the sublayers `state`, `desired` and `review` of a mirror."""

    def __init__(
        self,
        stage: Usd.Stage,
        layers: Mapping[str, Sdf.Layer],
        ignored: frozenset[str],
        problem: _Problem,
    ) -> None:
        self._stage = stage
        self._ignored = ignored
        self._problem = problem
        self._layers = layers
        self._state = OpinionLayer(layers["state"])
        self._desired = OpinionLayer(layers["desired"])
        self._newest: dict[str, float] = {}
        self._revisions: dict[str, int] = {}
        self._standing: dict[str, _Standing] = {}
        self._displaced: dict[str, dict[str, _Standing]] = {}
        self._alarms: dict[str, tuple[str, str, bool]] = {}
        self._connections: dict[str, Sdf.Path] = {}
        self._known: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "command": lambda m: self._command(m["command"]),
            "alarm": lambda m: self._alarm(m["alarm"]),
            "connections": lambda m: self._connect(m["connections"]),
            "topic": lambda m: self._topic(m["topic"]),
        }

    def event(self, message: Mapping[str, Any]) -> None:
        """Put an event onto the stage; one that it cannot show is a problem."""
        operation = str(message.get("op"))
        if operation not in self._known:
            return
        try:
            self._known[operation](message)
        except _WRONG as error:
            row = message.get(operation)
            name = row.get("id", "") if isinstance(row, Mapping) else ""
            self._problem(f"{operation} {name}".rstrip(), f"{type(error).__name__}: {error}")

    def clear(self) -> None:
        """Take everything off the stage again but what stands as `desired`."""
        for name in ("state", "review"):
            self._layers[name].Clear()
        self._state = OpinionLayer(self._layers["state"])
        self._newest.clear()
        self._alarms.clear()

    # -- commands

    def targets(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take what can be commanded, with what stands as `desired` there."""
        for row in rows:
            try:
                self._target(row)
            except _WRONG as error:
                self._problem(str(row.get("path")), f"{type(error).__name__}: {error}")

    def _target(self, row: Mapping[str, Any]) -> None:
        path, revision = str(row["path"]), int(row["revision"])
        if path not in self._newest and row.get("status", "idle") != "idle":
            self._tell(path, str(row["status"]), str(row.get("cause", "")))
        if revision < self._revisions.get(path, 0):
            return
        self._revisions[path] = revision
        value, (shown, request) = row["desired"], self._standing.get(path, (None, ""))
        if value != shown or value is None:
            request = ""
        self._stand(path, (value, str(row.get("request", request)) if value is not None else ""))

    def _command(self, row: Mapping[str, Any]) -> None:
        if row.get("removed"):
            return
        path, state, identity = str(row["target"]), str(row["state"]), str(row["id"])
        created = float(row["created"])
        if created >= self._newest.get(path, -math.inf):
            self._newest[path] = created
            self._tell(path, state, str(row["cause"]))
        revision, standing = int(row.get("revision") or 0), self._standing.get(path, (None, ""))
        if state in _IN_FORCE and revision >= self._revisions.get(path, 0):
            self._revisions[path] = revision
            if standing[1] != identity:
                kept = self._displaced.setdefault(path, {})
                kept[identity] = standing
                while len(kept) > _DISPLACED_KEPT:
                    del kept[next(iter(kept))]
            self._stand(path, (row["value"], identity))
        elif state in _NEVER and standing[1] == identity:
            self._stand(path, self._displaced.get(path, {}).pop(identity, (None, "")))

    def _tell(self, command: str, status: str, cause: str) -> None:
        prefix = self._attribute(command)
        if prefix is not None:
            self._state.write(
                {
                    Sdf.Path(f"{prefix}status"): (_TYPES.Token, status),
                    Sdf.Path(f"{prefix}cause"): (_TYPES.String, cause),
                }
            )

    def _stand(self, command: str, standing: _Standing) -> None:
        """Show what stands as `desired`, and of which request it is."""
        if self._standing.get(command) == standing:
            return
        prefix = self._attribute(command)
        if prefix is None:
            return
        self._standing[command] = standing
        value, identity = standing
        attr = self._stage.GetAttributeAtPath(commanded_attribute(self._stage, command))
        request = Sdf.Path(f"{prefix}request")
        if not attr or not attr.IsDefined():
            self._problem(command, "this stage has no attribute for what is desired of it")
            return
        if value is None:
            self._desired.withdraw(attr.GetPath())
            self._desired.withdraw(request)
            return
        type_name = attr.GetTypeName()
        opinions = {attr.GetPath(): (type_name, maker(str(type_name))(value))}
        if identity:
            opinions[request] = (_TYPES.String, identity)
        else:
            self._desired.withdraw(request)
        self._desired.write(opinions)

    def _attribute(self, command: str) -> str | None:
        """Return the prefix of a command's attributes, None where this stage has no such prim."""
        prim, _, name = command.rpartition(".")
        return f"{prim}.twin:command:{name}:" if self._has(prim, command) else None

    def _has(self, prim: str, what: str) -> bool:
        found = self._stage.GetPrimAtPath(prim)
        if found and not found.IsInstanceProxy():
            return True
        self._problem(what, f"this stage has no prim {prim} that can be written")
        return False

    # -- alarms

    def _alarm(self, row: Mapping[str, Any]) -> None:
        identity = str(row["id"])
        if row.get("removed"):
            self._withdraw_alarm(identity, *identity.rpartition(".")[::2])
            return
        prim, name, state = str(row["prim"]), str(row["name"]), str(row["state"])
        if not self._has(prim, identity):
            return
        asset = str(row.get("asset", ""))
        if state == "NORMAL" and not row.get("authored"):
            self._withdraw_alarm(identity, prim, name)
        else:
            prefix = _alarm_prefix(prim, name)
            values: dict[Sdf.Path, tuple[Sdf.ValueTypeName, Any]] = {
                Sdf.Path(f"{prefix}state"): (_TYPES.Token, state),
                Sdf.Path(f"{prefix}cause"): (_TYPES.String, str(row["cause"])),
            }
            if row.get("changed") is not None:
                values[Sdf.Path(f"{prefix}since")] = (_TYPES.Double, float(row["changed"]))
            if not row.get("authored"):
                values[Sdf.Path(f"{prefix}priority")] = (_TYPES.Token, str(row["priority"]))
            self._state.write(values)
        self._alarms[identity] = asset, str(row["priority"]), state in _ACTIVE
        self._worst(asset)

    def _withdraw_alarm(self, identity: str, prim: str, name: str) -> None:
        for each in _ALARM_NAMES:
            self._state.withdraw(Sdf.Path(f"{_alarm_prefix(prim, name)}{each}"))
        asset, _, _ = self._alarms.pop(identity, ("", "", False))
        self._worst(asset)

    def _worst(self, asset: str) -> None:
        """Show the worst priority among an asset's active alarms."""
        prim = self._stage.GetPrimAtPath(asset) if asset else None
        if not prim or "TwinAssetAPI" not in prim.GetAppliedSchemas():
            return
        active = {
            p for where, p, is_active in self._alarms.values() if is_active and where == asset
        }
        worst = next((priority for priority in _PRIORITIES if priority in active), "none")
        self._state.write({Sdf.Path(f"{asset}.twin:alarmState"): (_TYPES.Token, worst)})

    # -- connections and topics

    def _connect(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        if any(not self._alive(name) for name in rows):
            self._connections = {
                prim.GetName(): prim.GetPath()
                for prim in self._stage.Traverse()
                if prim.GetTypeName() == "TwinConnection"
            }
        for name, row in rows.items():
            path = self._connections.get(name)
            if path is None:
                self._problem(f"connection {name}", "this stage has no TwinConnection of that name")
                continue
            values: dict[Sdf.Path, tuple[Sdf.ValueTypeName, Any]] = {
                path.AppendProperty("twin:state"): (_TYPES.Token, str(row["state"])),
                path.AppendProperty("twin:cause"): (_TYPES.String, str(row.get("cause", ""))),
            }
            if row.get("seen") is not None:
                seen = path.AppendProperty("twin:lastSeen")
                values[seen] = (_TYPES.Double, float(row["seen"]))
            self._state.write(values)

    def _alive(self, name: str) -> bool:
        path = self._connections.get(name)
        return path is not None and bool(self._stage.GetPrimAtPath(path))

    def _topic(self, row: Mapping[str, Any]) -> None:
        # Loaded on first use: most mirrors never see a review.
        from stagetwin.reviews._prims import author_topic, remove_topic, topic_path
        from stagetwin.reviews._topic import Topic

        layer = self._layers["review"]
        path = topic_path(str(row["id"]))
        if not row.get("removed"):
            topic = Topic.of_row(dict(row))
            # A comment may be another than that of the same number before: all anew.
            remove_topic(layer, path)
            author_topic(layer, topic, None, self._space)
        else:
            remove_topic(layer, path)

    def _space(self, prim: str) -> Gf.Matrix4d:
        found = self._stage.GetPrimAtPath(prim)
        if not found or prim == "/":
            return Gf.Matrix4d(1)
        return UsdGeom.XformCache().GetLocalToWorldTransform(found)


def _alarm_prefix(prim: str, name: str) -> str:
    # An attribute's name has no brackets.
    name = _ELEMENT.sub(r"_\1", name)
    return f"{prim}.twin:alarm:{name}:"
