"""What was meant to be live and is not seen at all: misspelt names, and overs on nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from pxr import Usd

from stagetwin._schema import SCHEMA_TYPES
from stagetwin.bindings import Problem, Severity

__all__ = ["misspelt"]

_APIS = tuple(name for name in SCHEMA_TYPES if name.endswith("API"))
_MULTIPLE = {
    "twin:telemetry": "TwinTelemetryAPI",
    "twin:command": "TwinCommandAPI",
    "twin:rule": "TwinRuleAPI",
    "twin:alarm": "TwinAlarmAPI",
    "twin:model": "TwinModelAPI",
}
_NAMES = frozenset(
    "twin:" + name
    for name in [
        "id",
        "kind",
        "level",
        "modelVersion",
        "serial",
        "firmware",
        "roles",
        "remote",
        "connection",
        "frame",
        "cause",
        "alarmState",
        "endpoint",
        "realm",
        "securityProfile",
        "credential",
        "commandCredential",
        "state",
        "lastSeen",
        "map",
    ]
)
_OF_MAPS = {
    "twin:map:": "TwinMapAPI",
    "twin:node:": "TwinNodeAPI",
    "twin:lane:": "TwinLaneAPI",
    "twin:zone:": "TwinZoneAPI",
    "twin:station:": "TwinStationAPI",
    "twin:obstacle:": "TwinObstacleAPI",
}
_NAMESPACES = (
    "twin:telemetry:",
    "twin:command:",
    "twin:rule:",
    "twin:alarm:",
    "twin:model:",
    "twin:var:",
    "twin:health:",
)


def misspelt(stage: Usd.Stage) -> Iterator[Problem]:
    """Yield what bears our names without being ours."""
    for prim in Usd.PrimRange(stage.GetPseudoRoot(), Usd.PrimAllPrimsPredicate):
        if prim.IsAbstract() or prim.IsPseudoRoot():
            continue
        schemas = _applied(prim)
        properties = [p.GetName() for p in prim.GetAuthoredPropertiesInNamespace("twin")]
        ours = bool(properties) or any(name.lower().startswith("twin") for name in schemas)
        if ours and not prim.IsDefined():
            yield _over_nothing(stage, prim)
            continue
        yield from _unknown_types(prim)
        yield from _unknown_schemas(prim, schemas)
        yield from _not_applied(prim, schemas, properties)
        yield from _loose_map_parts(prim, schemas, properties)
        yield from _unknown_names(prim, properties)


def _applied(prim: Usd.Prim) -> list[str]:
    listed = prim.GetMetadata("apiSchemas")
    return [str(name) for name in listed.GetAddedOrExplicitItems()] if listed else []


def _meant(name: str, known: Iterable[str]) -> str:
    lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    return f"; did you mean {lower[near[0]]!r}?" if near else ""


def _over_nothing(stage: Usd.Stage, prim: Usd.Prim) -> Problem:
    parent = prim.GetParent()
    siblings = [child.GetName() for child in parent.GetChildren() if child.IsDefined()]
    return Problem(
        str(prim.GetPath()),
        "",
        "over-nothing",
        f"is only an over: no layer defines a prim here{_meant(prim.GetName(), siblings)}",
    )


def _unknown_types(prim: Usd.Prim) -> Iterator[Problem]:
    name = str(prim.GetTypeName())
    if name.lower().startswith("twin") and name != "TwinConnection":
        hint = _meant(name, ["TwinConnection"])
        yield Problem(str(prim.GetPath()), "", "unknown-type", f"no type is called {name!r}{hint}")


def _unknown_schemas(prim: Usd.Prim, schemas: list[str]) -> Iterator[Problem]:
    for schema in schemas:
        api = schema.partition(":")[0]
        if api.lower().startswith("twin") and api not in _APIS:
            message = f"no schema is called {api!r}{_meant(api, _APIS)}"
            yield Problem(str(prim.GetPath()), "", "unknown-schema", message)


def _not_applied(prim: Usd.Prim, schemas: list[str], properties: list[str]) -> Iterator[Problem]:
    listed = {*schemas, *prim.GetPrimTypeInfo().GetAppliedAPISchemas()}
    for namespace, api in _MULTIPLE.items():
        known = [f"{namespace}:{s[len(api) + 1 :]}:" for s in listed if s.startswith(f"{api}:")]
        loose = {
            name.split(":")[2]
            for name in properties
            if name.startswith(f"{namespace}:") and not name.startswith(tuple(known) or ("\0",))
        }
        for signal in sorted(loose):
            yield Problem(
                str(prim.GetPath()),
                signal,
                "not-applied",
                f"has attributes and is not applied: add {api}:{signal} to the prim's "
                "`prepend apiSchemas`",
            )


def _loose_map_parts(
    prim: Usd.Prim, schemas: list[str], properties: list[str]
) -> Iterator[Problem]:
    listed = {*schemas, *prim.GetPrimTypeInfo().GetAppliedAPISchemas()}
    for namespace, api in _OF_MAPS.items():
        if api not in listed and any(name.startswith(namespace) for name in properties):
            message = f"has attributes {namespace}* and is not applied: add {api} to the prim's "
            path = str(prim.GetPath())
            yield Problem(path, "", "not-applied", f"{message}`prepend apiSchemas`")


def _names_of(api: str) -> list[str]:
    definition = Usd.SchemaRegistry().FindAppliedAPIPrimDefinition(api)
    return list(definition.GetPropertyNames()) if definition else []


def _unknown_names(prim: Usd.Prim, properties: list[str]) -> Iterator[Problem]:
    for name in properties:
        of_map = next((api for start, api in _OF_MAPS.items() if name.startswith(start)), "")
        if of_map:
            known = _names_of(of_map)
            if known and name not in known:
                message = f"no attribute is called {name!r}{_meant(name, known)}"
                path = str(prim.GetPath())
                yield Problem(path, "", "unknown-attribute", message, Severity.WARNING)
        elif name not in _NAMES and not name.startswith(_NAMESPACES):
            yield Problem(
                str(prim.GetPath()),
                "",
                "unknown-attribute",
                f"no attribute is called {name!r}{_meant(name, _NAMES)}",
                Severity.WARNING,
            )
