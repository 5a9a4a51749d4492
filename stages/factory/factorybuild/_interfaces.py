"""Signals and commands as applied schemas on class prims.

Written through Sdf with explicit types and variability, so that neither the schema plugin nor a
composed stage is needed while authoring.
"""

from collections.abc import Iterable
from math import inf
from typing import Any

from pxr import Gf, Sdf, Vt

from ._parameters import AlarmSpec, CommandSpec, InterfaceSpec, RuleSpec, SignalSpec

_TYPES = {
    "bool": Sdf.ValueTypeNames.Bool,
    "int": Sdf.ValueTypeNames.Int,
    "int64": Sdf.ValueTypeNames.Int64,
    "float": Sdf.ValueTypeNames.Float,
    "double": Sdf.ValueTypeNames.Double,
    "string": Sdf.ValueTypeNames.String,
    "token": Sdf.ValueTypeNames.Token,
    "double3": Sdf.ValueTypeNames.Double3,
    "matrix4d": Sdf.ValueTypeNames.Matrix4d,
    "int[]": Sdf.ValueTypeNames.IntArray,
    "int64[]": Sdf.ValueTypeNames.Int64Array,
    "double[]": Sdf.ValueTypeNames.DoubleArray,
    "token[]": Sdf.ValueTypeNames.TokenArray,
    "point3f[]": Sdf.ValueTypeNames.Point3fArray,
    "quath[]": Sdf.ValueTypeNames.QuathArray,
}
_INTEGERS = ("int", "int64")
_SCALARS = ("double", "float", *_INTEGERS)


def attribute(
    prim: Sdf.PrimSpec,
    name: str,
    type_name: str,
    value: object = None,
    *,
    uniform: bool = False,
    custom: bool = False,
) -> Sdf.AttributeSpec:
    """An attribute spec; without a value it states only that the attribute exists.

    Raises:
        ValueError: the type is none of those used here.
    """
    if type_name not in _TYPES:
        raise ValueError(
            f"{prim.path}.{name}: type must be one of {sorted(_TYPES)}, got {type_name!r}"
        )
    existing = prim.attributes.get(name)
    variability = Sdf.VariabilityUniform if uniform else Sdf.VariabilityVarying
    spec = existing or Sdf.AttributeSpec(prim, name, _TYPES[type_name], variability, custom)
    if value is not None:
        spec.default = value
    return spec


def relationship(
    prim: Sdf.PrimSpec, name: str, targets: Iterable[Sdf.Path]
) -> Sdf.RelationshipSpec:
    """A relationship spec with explicit targets."""
    rel = Sdf.RelationshipSpec(prim, name, False, Sdf.VariabilityUniform)
    rel.targetPathList.explicitItems = list(targets)
    return rel


def apply_schemas(prim: Sdf.PrimSpec, names: Iterable[str]) -> None:
    """Prepend applied schemas, after those already listed."""
    listed = Sdf.TokenListOp()
    current = prim.GetInfo("apiSchemas") if prim.HasInfo("apiSchemas") else None
    before = list(current.prependedItems) if current else []
    listed.prependedItems = before + [name for name in names if name not in before]
    prim.SetInfo("apiSchemas", listed)


def _limit(value: float, type_name: str, size: int) -> object:
    """A limit in the attribute's own type."""
    if type_name in _INTEGERS:
        return int(value)
    if type_name == "double3":
        return Gf.Vec3d(value)
    if type_name == "double[]":
        return Vt.DoubleArray([value] * size)
    return float(value)


def author_limits(spec: Sdf.AttributeSpec, source: SignalSpec | CommandSpec) -> None:
    """Hard and soft limits as USD attribute limits; types without an order get none."""
    if source.type not in (*_SCALARS, "double3", "double[]"):
        return
    size = getattr(source, "size", 0)
    limits: dict[str, Any] = {}
    for name, pair in (("hard", source.hard), ("soft", source.soft)):
        if pair is not None:
            limits[name] = {
                "minimum": _limit(pair[0], source.type, size),
                "maximum": _limit(pair[1], source.type, size),
            }
    if limits:
        spec.SetInfo("limits", limits)


def target_path(prim: Sdf.PrimSpec, target: str) -> Sdf.Path:
    """`Part/Deeper.attribute`, relative to the asset, as an absolute path."""
    below, _, name = target.rpartition(".")
    owner = prim.path.AppendPath(below) if below else prim.path
    return owner.AppendProperty(name)


def _author_target(prim: Sdf.PrimSpec, signal: SignalSpec) -> None:
    """Limits of a driven attribute lie on that attribute, as an over below the class."""
    path = target_path(prim, signal.target)
    rel = relationship(prim, f"twin:telemetry:{signal.name}:target", [path])
    rel.displayName = signal.label
    if signal.type not in _SCALARS:
        return
    owner = Sdf.CreatePrimInLayer(prim.layer, path.GetPrimPath())
    author_limits(attribute(owner, path.name, signal.type), signal)


def author_signal(prim: Sdf.PrimSpec, signal: SignalSpec) -> None:
    """Apply TwinTelemetryAPI for one signal and author what differs from its defaults."""
    apply_schemas(prim, [f"TwinTelemetryAPI:{signal.name}"])
    prefix = f"twin:telemetry:{signal.name}:"
    if signal.target:
        _author_target(prim, signal)
    else:
        value = attribute(prim, prefix + "value", signal.type)
        value.displayName = signal.label
        author_limits(value, signal)
        if signal.tokens:
            value.SetInfo("allowedTokens", Vt.TokenArray(signal.tokens))
    attribute(prim, prefix + "address", "string", signal.address, uniform=True)
    rows: list[tuple[str, str, object, object]] = [
        ("field", "string", signal.field, ""),
        ("encoding", "token", signal.encoding, "auto"),
        ("unit", "string", signal.unit, None),
        ("scale", "double", signal.scale, 1.0),
        ("offset", "double", signal.offset, 0.0),
        ("deadband", "double", signal.deadband, 0.0),
        ("staleAfter", "double", signal.stale, None),
        ("redundancyGroup", "token", signal.group, ""),
    ]
    _author_rows(prim, prefix, rows)


def author_command(prim: Sdf.PrimSpec, command: CommandSpec, signals: Iterable[str]) -> None:
    """Apply TwinCommandAPI for one command.

    Raises:
        ValueError: a permissive or the read-back names no signal of the interface.
    """
    known = set(signals)
    missing = {*command.permissives, *filter(None, [command.readback])} - known
    if missing:
        raise ValueError(
            f"{prim.name}: command {command.name!r} names {sorted(missing)}, "
            f"which are no signals of the interface; it has {sorted(known)}"
        )
    apply_schemas(prim, [f"TwinCommandAPI:{command.name}"])
    prefix = f"twin:command:{command.name}:"
    desired = attribute(prim, prefix + "desired", command.type)
    desired.displayName = command.label
    author_limits(desired, command)
    rows: list[tuple[str, str, object, object]] = [
        ("address", "string", command.address, None),
        ("field", "string", command.field, ""),
        ("unit", "string", command.unit, None),
        ("operation", "token", command.operation, "write"),
        ("rateLimit", "double", command.rate, inf),
        ("approval", "token", command.approval, None),
        ("policyClass", "token", command.policy, None),
        ("publish", "token", command.publish, "explicit"),
        ("settleTime", "double", command.settle, 5.0),
        ("expiry", "double", command.expiry, None),
        ("tolerance", "double", command.tolerance, 0.0),
    ]
    _author_rows(prim, prefix, rows)
    if command.safe is not None:
        attribute(prim, prefix + "safe", command.type, command.safe, uniform=True)
    links = (("permissives", command.permissives), ("readback", [command.readback]))
    for name, sources in links:
        paths = [prim.path.AppendProperty(f"twin:telemetry:{s}:value") for s in sources if s]
        if paths:
            relationship(prim, prefix + name, paths)


def _author_rows(
    prim: Sdf.PrimSpec, prefix: str, rows: list[tuple[str, str, object, object]]
) -> None:
    """Author (name, type, value, default) unless the value is the schema's default."""
    for name, type_name, value, default in rows:
        if value != default:
            attribute(prim, prefix + name, type_name, value, uniform=True)


def author_rule(prim: Sdf.PrimSpec, rule: RuleSpec, interface: InterfaceSpec) -> None:
    """Apply TwinRuleAPI for one rule.

    Raises:
        ValueError: it names no signal or command of the interface.
    """
    signals = {signal.name: signal for signal in interface.signals}
    commands = {command.name: command for command in interface.commands}
    if rule.signal not in signals or rule.command not in commands:
        raise ValueError(
            f"{prim.name}: rule {rule.name!r} names signal {rule.signal!r} and command "
            f"{rule.command!r}; there are {sorted(signals)} and {sorted(commands)}"
        )
    apply_schemas(prim, [f"TwinRuleAPI:{rule.name}"])
    prefix = f"twin:rule:{rule.name}:"
    links = (
        ("signal", f"twin:telemetry:{rule.signal}:value"),
        ("command", f"twin:command:{rule.command}:desired"),
    )
    for name, target in links:
        relationship(prim, prefix + name, [prim.path.AppendProperty(target)])
    threshold = attribute(
        prim, prefix + "threshold", signals[rule.signal].type, rule.threshold, uniform=True
    )
    threshold.displayName = rule.label
    attribute(prim, prefix + "setpoint", commands[rule.command].type, rule.setpoint, uniform=True)
    rows: list[tuple[str, str, object, object]] = [
        ("comparison", "token", rule.comparison, None),
        ("holdFor", "double", rule.hold, 0.0),
        ("urgency", "token", rule.urgency, "routine"),
    ]
    _author_rows(prim, prefix, rows)


def author_alarm(prim: Sdf.PrimSpec, alarm: AlarmSpec, interface: InterfaceSpec) -> None:
    """Apply TwinAlarmAPI for one alarm.

    Raises:
        ValueError: it names no signal of the interface.
    """
    signals = {signal.name: signal for signal in interface.signals}
    judged_here = [] if alarm.kind == "model" else [alarm.signal]
    missing = {*judged_here, *filter(None, [alarm.running])} - signals.keys()
    if missing:
        raise ValueError(
            f"{prim.name}: alarm {alarm.name!r} names {sorted(missing)}, "
            f"which are no signals of the interface; it has {sorted(signals)}"
        )
    apply_schemas(prim, [f"TwinAlarmAPI:{alarm.name}"])
    prefix = f"twin:alarm:{alarm.name}:"
    judged = signals.get(alarm.signal)
    if judged is None:
        value = prim.path.AppendProperty(alarm.signal)
    else:
        value = target_path(prim, judged.target or f".twin:telemetry:{judged.name}:value")
    relationship(prim, prefix + "signal", [value])
    if alarm.running:
        gate = prim.path.AppendProperty(f"twin:telemetry:{alarm.running}:value")
        relationship(prim, prefix + "activeWhile", [gate])
    if alarm.value is not None and judged is not None:
        attribute(prim, prefix + "value", judged.type, alarm.value, uniform=True)
    rows: list[tuple[str, str, object, object]] = [
        ("kind", "token", alarm.kind, "limit"),
        ("side", "token", alarm.side, ""),
        ("limit", "double", alarm.limit, None),
        ("hysteresis", "double", alarm.hysteresis, 0.0),
        ("comparison", "token", alarm.comparison, "equal"),
        ("onDelay", "double", alarm.on, 0.0),
        ("offDelay", "double", alarm.off, 0.0),
        ("priority", "token", alarm.priority, None),
        ("message", "string", alarm.label, None),
        ("advice", "string", alarm.advice, ""),
    ]
    _author_rows(prim, prefix, rows)


def author_interface(layer: Sdf.Layer, interface: InterfaceSpec) -> None:
    """A class prim `_<Name>` that every machine of the kind inherits."""
    prim = Sdf.PrimSpec(layer, f"_{interface.name}", Sdf.SpecifierClass)
    prim.documentation = f"{interface.label}: signals, commands, units and limits of the kind."
    apply_schemas(prim, ["TwinAssetAPI"])
    attribute(prim, "twin:kind", "token", interface.kind, uniform=True)
    attribute(prim, "twin:level", "token", interface.level, uniform=True)
    if interface.connection:
        attribute(prim, "twin:connection", "token", interface.connection, uniform=True)
    if interface.roles:
        attribute(prim, "twin:roles", "token[]", list(interface.roles), uniform=True)
    if interface.remote:
        switch = prim.path.AppendProperty(f"twin:telemetry:{interface.remote}:value")
        relationship(prim, "twin:remote", [switch])
    if interface.frame:
        attribute(prim, "twin:frame", "token", interface.frame, uniform=True)
    for signal in interface.signals:
        author_signal(prim, signal)
    for command in interface.commands:
        author_command(prim, command, [signal.name for signal in interface.signals])
    for rule in interface.rules:
        author_rule(prim, rule, interface)
    for alarm in interface.alarms:
        author_alarm(prim, alarm, interface)


def author_interfaces(layer: Sdf.Layer, interfaces: Iterable[InterfaceSpec]) -> None:
    """Class prims for all kinds of machine."""
    layer.comment = "Interfaces: what every machine of a kind measures and obeys."
    for interface in interfaces:
        author_interface(layer, interface)
