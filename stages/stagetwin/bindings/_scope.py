"""What bindings refer to: connections, assets, and the properties they may drive."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

import msgspec
from pxr import Sdf, Usd, UsdGeom

from stagetwin._authoring import declaring_spec
from stagetwin._errors import ProtocolNotFoundError
from stagetwin.bindings._attributes import SignalSchema, property_at
from stagetwin.bindings._model import Asset, Problem, Severity, TelemetryBinding
from stagetwin.bindings._table import BindingTable
from stagetwin.maps import MapReading
from stagetwin.ports import AddressDefaults, ConnectionSpec, Protocol, find_protocol

__all__ = ["Scope", "Skip", "element_names", "instance_root"]

_WARNINGS = frozenset({"unknown-attribute", "not-seeded", "rehearsal-horizon"})
_REALMS = ("plant", "simulation", "replay")
_OWN_VALUES = {
    "value": re.compile(r"twin:telemetry:.+:value"),
    "desired": re.compile(r"twin:command:.+:desired"),
}
_LEVELS = ("model", "shadow", "twin")


class Skip(Exception):
    """A binding cannot run; its problem has been reported."""


class Scope:
    """One reading of a stage: what was found so far, and how wrong things are reported.

    Attributes:
        stage: the stage.
        ignored: identifiers of layers whose word does not count.
        table: what was found.
        defaults: address presets by connection.
        commanded: commands by the path of the property that they set.
        driven: signals by the path of the property that they drive.
    """

    def __init__(self, stage: Usd.Stage, ignored: Container[str]) -> None:
        self.stage = stage
        self.ignored = ignored
        self.table = BindingTable()
        self.defaults: dict[str, AddressDefaults] = {}
        self.commanded: dict[str, str] = {}
        self.driven: dict[str, list[TelemetryBinding]] = {}
        self._maps_of: dict[str, str] = {}
        self._protocols: dict[str, Protocol | None] = {}
        self._unusable: dict[str, str] = {}
        # What prims inherit, asked once per ancestor and not once per signal.
        self._assets: dict[Sdf.Path, Usd.Prim | None] = {}
        self._inherited: dict[Sdf.Path, str] = {}

    def report(self, prim: Usd.Prim, signal: str, code: str, message: str) -> None:
        severity = Severity.WARNING if code in _WARNINGS else Severity.ERROR
        self.table.problems.append(Problem(str(prim.GetPath()), signal, code, message, severity))

    def fail(self, prim: Usd.Prim, signal: str, code: str, message: str) -> Skip:
        self.report(prim, signal, code, message)
        return Skip()

    def read_connection(self, prim: Usd.Prim) -> None:
        def get(name: str, default: str) -> str:
            value = prim.GetAttribute(f"twin:{name}").Get()
            return str(value) if value is not None else default

        name, realm = prim.GetName(), get("realm", "simulation")
        if name in self.table.connections:
            other = self.table.connections[name].prim
            self.report(prim, "", "connection-duplicate", f"{other} has the name {name!r} already")
            return
        if realm not in _REALMS:
            allowed = ", ".join(_REALMS)
            self.report(prim, "", "token", f"twin:realm must be one of {allowed}, got {realm!r}")
            self._protocols[name] = None
            self._unusable[name] = str(prim.GetPath())
            return
        spec = ConnectionSpec(
            name=name,
            prim=str(prim.GetPath()),
            endpoint=get("endpoint", ""),
            realm=realm,  # type: ignore[arg-type]
            security_profile=get("securityProfile", "strict"),
            credential=get("credential", ""),
            command_credential=get("commandCredential", ""),
        )
        self.table.connections[name] = spec
        if of := get("map", ""):
            self._maps_of[name] = of
        self._protocols[name] = None
        try:
            protocol = find_protocol(spec.endpoint)
        except ProtocolNotFoundError as error:
            self.report(prim, "", "connection-scheme", str(error))
            return
        wrong = protocol.check_connection(spec)
        for message in wrong:
            self.report(prim, "", "connection", message)
        if not wrong:
            self.defaults[name] = protocol.defaults(spec)
            self._protocols[name] = protocol

    def use_maps(self, reading: MapReading) -> None:
        """Give connections their maps, and report what is wrong with the stage's maps."""
        for fault in reading.problems:
            severity = Severity(fault.severity)
            code = f"map-{fault.code}"
            self.table.problems.append(Problem(fault.prim, "", code, fault.message, severity))
        grave = {fault.map: fault.prim for fault in reversed(reading.problems) if fault.grave}
        for name, of in self._maps_of.items():
            spec = self.table.connections[name]
            prim = self.stage.GetPrimAtPath(spec.prim)
            if of not in reading.maps:
                known = ", ".join(map(repr, sorted(reading.maps))) or "none"
                message = f"twin:map is {of!r}, which is no map of the stage; maps: {known}"
                self.report(prim, "", "map-unknown", message)
            elif of in grave:
                # What forbids is missing from it: nobody may drive by such a map.
                message = f"map {of!r} cannot be driven by, see {grave[of]}"
                self.report(prim, "", "map-unusable", message)
            else:
                # Numbers that cannot be encoded are a grave fault as well.
                text = reading.maps[of].encode().decode()
                self.table.connections[name] = msgspec.structs.replace(spec, map=text)

    def read_asset(self, prim: Usd.Prim) -> None:
        def get(name: str, default: Any) -> Any:
            value = prim.GetAttribute(f"twin:{name}").Get()
            return default if value is None else value

        level = get("level", "shadow")
        if level not in _LEVELS:
            allowed = ", ".join(_LEVELS)
            self.report(prim, "", "token", f"twin:level must be one of {allowed}, got {level!r}")
            level = "shadow"
        path = str(prim.GetPath())
        self.table.assets[path] = Asset(
            prim=path,
            id=str(get("id", "")),
            kind=str(get("kind", "asset")),
            level=level,
            roles=tuple(get("roles", ())),
            remote=self._remote(prim),
        )

    def _remote(self, prim: Usd.Prim) -> str:
        rel = prim.GetRelationship("twin:remote")
        paths = rel.GetForwardedTargets() if rel else []
        if len(paths) > 1:
            self.report(
                prim, "", "remote", f"twin:remote must be one property at most, got {len(paths)}"
            )
        # Several together are the path of nothing: unknown, and that refuses.
        return " ".join(map(str, paths))

    def asset_of(self, prim: Usd.Prim) -> Usd.Prim:
        """Return the asset around a prim; the prim itself where no ancestor is one."""
        return self._nearest_asset(prim) or prim

    def _nearest_asset(self, prim: Usd.Prim) -> Usd.Prim | None:
        if prim.IsPseudoRoot():
            return None
        path = prim.GetPath()
        if path not in self._assets:
            own = str(path) in self.table.assets
            self._assets[path] = prim if own else self._nearest_asset(prim.GetParent())
        return self._assets[path]

    def _inherited_connection(self, prim: Usd.Prim) -> str:
        if prim.IsPseudoRoot():
            return ""
        path = prim.GetPath()
        if path not in self._inherited:
            attr = prim.GetAttribute("twin:connection")
            own = str(attr.Get() or "") if attr else ""
            self._inherited[path] = own or self._inherited_connection(prim.GetParent())
        return self._inherited[path]

    def connection_of(self, prim: Usd.Prim, own: str, signal: str) -> tuple[str, Protocol]:
        """Return name and protocol of the connection that a binding uses, or fail."""
        name = own or self._inherited_connection(prim)
        if self._protocols.get(name) is not None:
            return name, self._protocols[name]  # type: ignore[return-value]
        known = ", ".join(sorted(self.table.connections)) or "none"
        if not name:
            raise self.fail(
                prim,
                signal,
                "connection-missing",
                "no connection: author twin:connection here or on an ancestor; "
                f"connections on the stage: {known}",
            )
        if name not in self._protocols:
            raise self.fail(
                prim,
                signal,
                "connection-unknown",
                f"connection {name!r} is not on the stage; connections: {known}",
            )
        where = self._unusable.get(name) or self.table.connections[name].prim
        raise self.fail(
            prim, signal, "connection-unusable", f"connection {name!r} is not usable, see {where}"
        )

    def target_of(
        self, prim: Usd.Prim, signal: str, schema: SignalSchema, value_name: str
    ) -> Usd.Attribute:
        rel = prim.GetRelationship(f"{schema.prefix}:{signal}:target")
        targets = rel.GetForwardedTargets() if rel else []
        own = f"{schema.prefix}:{signal}:{value_name}"
        if not targets:
            attr = prim.GetAttribute(own)
            if not attr or declaring_spec(attr, self.ignored) is None:
                raise self.fail(
                    prim,
                    signal,
                    "no-value",
                    f"author {own} with its type (and limits), or a target relationship",
                )
            return attr
        if len(targets) != 1:
            raise self.fail(
                prim, signal, "target", f"target must be exactly one property, got {len(targets)}"
            )
        name = targets[0].name
        if name.startswith("twin:") and not _OWN_VALUES[value_name].fullmatch(name):
            # Telemetry that wrote a set-point, a level or an address would rewire the plant.
            raise self.fail(
                prim,
                signal,
                "target-forbidden",
                f"target {targets[0]} belongs to the twin; of its attributes only a signal's "
                f"{value_name} may be a target",
            )
        return self.checked_target(prim, signal, targets[0])

    def checked_target(self, prim: Usd.Prim, signal: str, path: Sdf.Path) -> Usd.Attribute:
        asset = self.asset_of(prim)
        if not path.HasPrefix(asset.GetPath()):
            raise self.fail(
                prim,
                signal,
                "target-outside",
                f"target {path} is outside the asset {asset.GetPath()}; a binding drives "
                "properties of its own asset only",
            )
        attr = property_at(self.stage, path)
        if attr is None or declaring_spec(attr, self.ignored) is None:
            raise self.fail(prim, signal, "target-missing", f"target {path} is no attribute here")
        if attr.GetPrim().IsInstanceProxy():
            raise self.fail(
                prim,
                signal,
                "below-instance",
                f"target {path} lies below the instance {instance_root(attr.GetPrim()).GetPath()} "
                "and cannot be driven",
            )
        return attr


def instance_root(prim: Usd.Prim) -> Usd.Prim:
    while prim and not prim.IsInstance():
        prim = prim.GetParent()
    return prim


def element_names(attr: Usd.Attribute, length: int) -> list[str]:
    """Return the names of an array's elements: a PointInstancer's ids, else the indices."""
    prim = attr.GetPrim()
    if prim.IsA("PointInstancer"):
        instancer = UsdGeom.PointInstancer(prim)
        ids = instancer.GetIdsAttr().Get()
        if ids is not None and len(ids):
            return [str(i) for i in ids]
        return [str(i) for i in range(len(instancer.GetProtoIndicesAttr().Get() or ()))]
    return [str(i) for i in range(length)]
