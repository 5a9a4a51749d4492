"""Behaviour models as applied schemas: on class prims, on pipes, and what couples machines."""

from pxr import Sdf

from ._interfaces import apply_schemas, attribute, relationship, target_path
from ._model_specs import LinkSpec, ModelSpec
from ._parameters import InterfaceSpec, LineSpec, Parameters


def author_parameters(prim: Sdf.PrimSpec, model: ModelSpec) -> None:
    """Author `param:<name>` with its unit, and `track:<name>`."""
    for name, given in model.parameters.items():
        value, unit = given if isinstance(given, tuple) else (given, "")
        spec = attribute(prim, f"twin:model:{model.name}:param:{name}", "double", float(value))
        if unit:
            spec.SetInfo("customData", {"unit": unit})
    for name, share in model.track.items():
        attribute(prim, f"twin:model:{model.name}:track:{name}", "double", float(share))


def _property(prim: Sdf.PrimSpec, name: str, interface: InterfaceSpec | None) -> Sdf.Path:
    """The property that a model's port takes: of a signal by its name, else as it is given."""
    if ":" in name:
        return prim.path.AppendProperty(name)
    signals = {signal.name: signal for signal in interface.signals} if interface else {}
    if name not in signals:
        raise ValueError(f"{prim.path}: {name!r} is no signal of it; it has {sorted(signals)}")
    return target_path(prim, signals[name].target or f".twin:telemetry:{name}:value")


def author_model(prim: Sdf.PrimSpec, model: ModelSpec, interface: InterfaceSpec | None) -> None:
    """Apply TwinModelAPI for one model.

    Raises:
        ValueError: it names no signal of the interface.
    """
    if model.kind:
        apply_schemas(prim, [f"TwinModelAPI:{model.name}"])
    prefix = f"twin:model:{model.name}:"
    for name, value in (("kind", model.kind), ("fidelity", model.fidelity)):
        if value:
            attribute(prim, prefix + name, "token", value, uniform=True)
    for name, signals in (("reads", model.reads), ("writes", model.writes)):
        if signals:
            relationship(prim, prefix + name, [_property(prim, s, interface) for s in signals])
    for way, ports in (("in", model.inputs), ("out", model.outputs)):
        for port, source in ports.items():
            relationship(prim, f"{prefix}{way}:{port}", [_property(prim, source, interface)])
    author_parameters(prim, model)


def author_models(layer: Sdf.Layer, parameters: Parameters) -> None:
    """The models of each kind of machine, on its class prim."""
    for interface in parameters.interfaces.values():
        for model in interface.models:
            author_model(layer.GetPrimAtPath(f"/_{interface.name}"), model, interface)


def _named(line: Sdf.Path, text: str) -> Sdf.Path:
    prim, _, name = text.partition(".")
    path = line.AppendPath(prim) if prim else line
    return path.AppendProperty(name) if name else path


def _author_link(layer: Sdf.Layer, line: Sdf.Path, link: LinkSpec, number: int) -> None:
    prim = layer.GetPrimAtPath(line.AppendPath(link.machine.format(n=number)))
    if prim is None:
        raise ValueError(f"{line}: there is no machine {link.machine.format(n=number)!r}")
    targets = [_named(line, target.format(n=number)) for target in link.to]
    relationship(prim, f"twin:model:{link.model}:{link.relation}", targets)


def author_line_models(layer: Sdf.Layer, path: Sdf.Path, line: LineSpec, number: int) -> None:
    """The models of one line's pipes, and how those of its machines are coupled.

    Raises:
        ValueError: there is no machine of a name.
    """
    for part in line.models:
        author_model(
            Sdf.CreatePrimInLayer(layer, path.AppendPath(part.on.format(n=number))),
            part.model,
            None,
        )
    for link in line.links:
        _author_link(layer, path, link, number)
