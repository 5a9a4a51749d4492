"""Connections, the site's overrides, and the root layer that stacks them."""

from dataclasses import replace

from pxr import Kind, Sdf, Usd, UsdGeom, UsdPhysics

from ._interfaces import attribute, author_limits, author_signal
from ._model_specs import ModelSpec, plain_fields
from ._models import author_parameters
from ._parameters import ConnectionSpec, InterfaceSpec, Parameters, signal_spec


def author_connection(layer: Sdf.Layer, connection: ConnectionSpec) -> None:
    """A TwinConnection prim; its name is the connection's name."""
    scope = Sdf.CreatePrimInLayer(layer, "/World/Connections")
    scope.specifier, scope.typeName = Sdf.SpecifierDef, "Scope"
    prim = Sdf.PrimSpec(scope, connection.name, Sdf.SpecifierDef, "TwinConnection")
    prim.SetInfo("displayName", connection.label)
    attribute(prim, "twin:endpoint", "string", connection.endpoint, uniform=True)
    attribute(prim, "twin:realm", "token", connection.realm, uniform=True)
    attribute(prim, "twin:securityProfile", "token", connection.security, uniform=True)
    if connection.credential:
        attribute(prim, "twin:credential", "string", connection.credential, uniform=True)
    if connection.command_credential:
        name = connection.command_credential
        attribute(prim, "twin:commandCredential", "string", name, uniform=True)
    if connection.map:
        attribute(prim, "twin:map", "token", connection.map, uniform=True)


def write_connections(layer: Sdf.Layer, parameters: Parameters) -> None:
    """All connections of the plant."""
    layer.comment = "Connections: which protocols reach the plant."
    for connection in parameters.connections:
        author_connection(layer, connection)


def _value_name(signal: str) -> str:
    return f"twin:telemetry:{signal}:value"


def write_site(layer: Sdf.Layer, parameters: Parameters) -> None:
    """What one site changes: endpoints, one machine's limit and models, and every pump."""
    site = parameters.site
    layer.comment = f"Overrides of {site['label']}: stronger than all other layers."
    for name, endpoint in site["endpoints"].items():
        prim = Sdf.CreatePrimInLayer(layer, f"/World/Connections/{name}")
        attribute(prim, "twin:endpoint", "string", endpoint, uniform=True)
    for path, change in site["limits"].items():
        prim = Sdf.CreatePrimInLayer(layer, f"/World/{path}")
        asset = _interface_of(parameters, path)
        _tighten(prim, asset, change["signal"], change)
    for path, models in site.get("parameters", {}).items():
        prim = Sdf.CreatePrimInLayer(layer, f"/World/{path}")
        for name, given in models.items():
            author_parameters(prim, ModelSpec(name=name, parameters=plain_fields(given)))
    for name, change in site["classes"].items():
        interface = parameters.interfaces[name]
        prim = Sdf.PrimSpec(layer, f"_{name}", Sdf.SpecifierClass)
        for signal, limits in change.get("limits", {}).items():
            _tighten(prim, interface, signal, limits)
        for signal, table in change.get("signals", {}).items():
            author_signal(prim, signal_spec(signal, table, interface.address, "auto"))


def _interface_of(parameters: Parameters, path: str) -> InterfaceSpec:
    """The interface of a machine of the first line, by its tag."""
    tag = path.rpartition("/")[2]
    for spec in parameters.line.machines:
        if spec.name.format(n=1) == tag:
            name = "".join(part.title() for part in spec.asset.split("_"))
            return parameters.interfaces[name]
    raise ValueError(f"site limit at {path!r}: no machine of line 1 has the tag {tag!r}")


def _tighten(
    prim: Sdf.PrimSpec, interface: InterfaceSpec, signal: str, change: dict[str, list[float]]
) -> None:
    base = {spec.name: spec for spec in interface.signals}[signal]
    low, high = change["hard"]
    soft_low, soft_high = change["soft"]
    spec = replace(base, hard=(low, high), soft=(soft_low, soft_high))
    author_limits(attribute(prim, _value_name(signal), base.type), spec)


def stage_metadata(layer: Sdf.Layer, parameters: Parameters) -> None:
    """Metres, kilograms, Z up, frames; default prim World."""
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    layer.timeCodesPerSecond = parameters.time_codes_per_second
    layer.defaultPrim = "World"


def write_root(layer: Sdf.Layer, parameters: Parameters) -> None:
    """The root layer: nothing but the stack, strongest first, and the stage's metadata."""
    layer.comment = "The example plant. Open this layer."
    for name in ("site", "connections", "map", "layout", "interfaces"):
        layer.subLayerPaths.append(f"./{name}.usda")
    world = Sdf.PrimSpec(layer, "World", Sdf.SpecifierDef, "Xform")
    world.kind = Kind.Tokens.assembly
    stage_metadata(layer, parameters)
