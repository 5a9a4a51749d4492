"""Small plants for the tests of the core: stages as text, made live through the soft protocol."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pxr import Sdf, Usd

from stagetwin.bindings import BindingTable, TelemetryBinding, read_bindings
from stagetwin.clock import ManualClock
from stagetwin.guards import GuardBook
from stagetwin.ports import Bridge, ConnectionState, Reject, find_protocol
from stagetwin.signals import Samples
from stagetwin.soft import soft_bridge
from stagetwin.twin import Twin

HEADER = '#usda 1.0\n(\n    upAxis = "Z"\n    metersPerUnit = 1\n)\n'

FIELD_TYPES = {
    "connection": "token",
    "address": "string",
    "field": "string",
    "encoding": "token",
    "unit": "string",
    "scale": "double",
    "offset": "double",
    "deadband": "double",
    "staleAfter": "double",
    "redundancyGroup": "token",
    "targetId": "int64",
    "operation": "token",
    "wireType": "token",
    "rateLimit": "double",
    "policyClass": "token",
    "approval": "token",
    "expiry": "double",
    "settleTime": "double",
    "dwell": "double",
    "debounce": "double",
    "tolerance": "double",
    "publish": "token",
    "rehearsal": "token",
    "rehearsalHorizon": "double",
    "rehearsalBudget": "double",
}


class Part(NamedTuple):
    """What one applied schema adds to a prim: its name in `apiSchemas`, and lines of its body."""

    api: str
    text: str


def literal(value: Any) -> str:
    """Return a value as usda writes it."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def limits_of(hard: Sequence[float | None] = (), soft: Sequence[float | None] = ()) -> str:
    """Return the attribute metadata of limits given as (minimum, maximum)."""
    groups = []
    for name, bounds in (("hard", hard), ("soft", soft)):
        lines = [
            f"double {key} = {bound}"
            for key, bound in zip(("minimum", "maximum"), bounds, strict=False)
            if bound is not None
        ]
        if lines:
            groups.append(f"dictionary {name} = {{\n" + "\n".join(lines) + "\n}")
    return "(\nlimits = {\n" + "\n".join(groups) + "\n}\n)" if groups else ""


def _signal(
    prefix: str,
    api: str,
    name: str,
    own: str,
    type_name: str,
    default: Any,
    hard: Sequence[float | None],
    soft: Sequence[float | None],
    relationships: dict[str, str | Sequence[str]],
    fields: dict[str, Any],
) -> Part:
    lines = []
    if type_name:
        value = "" if default is None else f" = {literal(default)}"
        lines.append(f"{type_name} {prefix}:{name}:{own}{value} {limits_of(hard, soft)}")
    for rel, targets in relationships.items():
        paths = [targets] if isinstance(targets, str) else targets
        if paths:
            listed = ", ".join(f"<{path}>" for path in paths)
            lines.append(f"rel {prefix}:{name}:{rel} = [{listed}]")
    for field, value in fields.items():
        lines.append(f"uniform {FIELD_TYPES[field]} {prefix}:{name}:{field} = {literal(value)}")
    return Part(f"{api}:{name}", "\n".join(lines) + "\n")


def telemetry(
    name: str,
    type_name: str = "double",
    address: str = "",
    *,
    default: Any = None,
    hard: Sequence[float | None] = (),
    soft: Sequence[float | None] = (),
    target: str | Sequence[str] = (),
    **fields: Any,
) -> Part:
    """A measured signal; with a target it authors no value of its own."""
    if address:
        fields["address"] = address
    return _signal(
        "twin:telemetry",
        "TwinTelemetryAPI",
        name,
        "value",
        "" if target else type_name,
        default,
        hard,
        soft,
        {"target": target},
        fields,
    )


def command(
    name: str,
    type_name: str = "double",
    address: str = "set",
    *,
    hard: Sequence[float | None] = (),
    target: str | Sequence[str] = (),
    permissives: str | Sequence[str] = (),
    readback: str | Sequence[str] = (),
    safe: str = "",
    **fields: Any,
) -> Part:
    """A command; without a target it authors `desired`. `safe` is usda text of its type."""
    if address:
        fields["address"] = address
    part = _signal(
        "twin:command",
        "TwinCommandAPI",
        name,
        "desired",
        "" if target else type_name,
        None,
        hard,
        (),
        {"target": target, "permissives": permissives, "readback": readback},
        fields,
    )
    more = f"{type_name} twin:command:{name}:safe = {safe}\n" if safe else ""
    return Part(part.api, part.text + more)


def rule(
    name: str,
    signal: str | Sequence[str],
    threshold: str,
    commanded: str | Sequence[str],
    setpoint: str,
    **fields: Any,
) -> Part:
    """A rule; threshold and setpoint are usda text with their types, such as `double 5`."""
    types = {"comparison": "token", "holdFor": "double", "urgency": "token"}
    lines = []
    for rel, targets in (("signal", signal), ("command", commanded)):
        paths = [targets] if isinstance(targets, str) else targets
        if paths:
            listed = ", ".join(f"<{path}>" for path in paths)
            lines.append(f"rel twin:rule:{name}:{rel} = [{listed}]")
    for which, text in (("threshold", threshold), ("setpoint", setpoint)):
        if text:
            type_name, value = text.split(" ", 1)
            lines.append(f"{type_name} twin:rule:{name}:{which} = {value}")
    for key, value in fields.items():
        lines.append(f"uniform {types[key]} twin:rule:{name}:{key} = {literal(value)}")
    return Part(f"TwinRuleAPI:{name}", "\n".join(lines) + "\n")


def asset(
    asset_id: str = "",
    level: str = "",
    connection: str = "",
    roles: Sequence[str] = (),
    remote: str | Sequence[str] = (),
) -> Part:
    """A twin asset."""
    lines = [
        f"uniform {kind} twin:{name} = {literal(value)}"
        for kind, name, value in (
            ("string", "id", asset_id),
            ("token", "level", level),
            ("token", "connection", connection),
        )
        if value
    ]
    if roles:
        lines.append("uniform token[] twin:roles = [" + ", ".join(map(literal, roles)) + "]")
    switches = [remote] if isinstance(remote, str) else remote
    if switches:
        lines.append("rel twin:remote = [" + ", ".join(f"<{path}>" for path in switches) + "]")
    return Part("TwinAssetAPI", "\n".join(lines) + "\n")


def prim(
    name: str,
    *parts: Part | str,
    type_name: str = "Xform",
    meta: str = "",
    specifier: str = "def",
) -> str:
    """Return one prim as usda: applied schemas from its parts, plain text as it is."""
    apis = [part.api for part in parts if isinstance(part, Part)]
    applied = f"prepend apiSchemas = [{', '.join(map(literal, apis))}]\n" if apis else ""
    body = "\n".join(part.text if isinstance(part, Part) else part for part in parts)
    return f'{specifier} {type_name} "{name}" (\n{applied}{meta}\n)\n{{\n{body}\n}}\n'


def connection(name: str = "line", endpoint: str | None = None, **attributes: str) -> str:
    """A connection prim; its endpoint is the soft protocol's unless given."""
    where = f"soft://{name}" if endpoint is None else endpoint
    lines = [f"uniform string twin:endpoint = {literal(where)}"]
    types = {
        "realm": "token",
        "securityProfile": "token",
        "credential": "string",
        "commandCredential": "string",
    }
    lines += [f"uniform {types[k]} twin:{k} = {literal(v)}" for k, v in attributes.items()]
    return prim(name, "\n".join(lines), type_name="TwinConnection")


def plant(*bodies: str) -> str:
    """A stage with one connection `line`, and an asset `/Plant` that uses it around the bodies."""
    return HEADER + connection() + prim("Plant", asset(connection="line"), *bodies)


def stage_of(text: str, path: Path | None = None) -> Usd.Stage:
    """Open usda text as a stage, from a file if a path is given."""
    if path is not None:
        path.write_text(text, encoding="utf-8")
        return Usd.Stage.Open(str(path))
    layer = Sdf.Layer.CreateAnonymous("plant.usda")
    layer.ImportFromString(text)
    return Usd.Stage.Open(layer)


def table_of(text: str) -> BindingTable:
    """Read the bindings of usda text."""
    return read_bindings(stage_of(text))


def only(table: BindingTable) -> TelemetryBinding:
    """Return the one channel of a table that has no problem."""
    assert [str(problem) for problem in table.problems] == []
    (binding,) = table.telemetry.values()
    return binding


class HubSink:
    """Carries what a bridge delivers into a twin's hub, as the service does."""

    def __init__(self, twin: Twin, name: str) -> None:
        self._twin, self._name = twin, name
        self.states: list[tuple[ConnectionState, str]] = []

    def samples(self, batch: Samples) -> None:
        self._twin.hub.submit(batch)

    def state(self, state: ConnectionState, cause: str = "") -> None:
        self.states.append((state, cause))

    def rejected(self, reason: Reject, count: int, example: str = "") -> None:
        self._twin.hub.rejections.add(self._name, reason, count, example)

    def vouch(self, channels: Sequence[int], alive: bool) -> None:
        self._twin.hub.vouch(channels, alive)


class Plant:
    """A live stage whose devices are calls.

    Attributes:
        twin: the twin.
        stage: its stage.
        clock: stands still until it is moved.
    """

    def __init__(self, stage: Usd.Stage, guards: GuardBook | None = None) -> None:
        self.clock = ManualClock()
        self.stage = stage
        self.twin = Twin(stage, clock=self.clock, guards=guards)
        self._bridges: dict[str, Bridge] = {}
        self.sinks: dict[str, HubSink] = {}
        self._connect()
        self.twin.on_rebind.append(self._connect)

    def _connect(self) -> None:
        table = self.twin.table
        for name, spec in table.connections.items():
            channels = table.channels(name)
            if name in self._bridges:
                self._bridges[name].rebind(channels)
            elif channels:
                self.sinks[name] = HubSink(self.twin, name)
                bridge = find_protocol(spec.endpoint).bridge(spec, channels, self.sinks[name], None)
                bridge.start()
                self._bridges[name] = bridge

    def send(self, address: str, value: Any, *, line: str = "line", **extra: Any) -> None:
        """Let a device send, without a tick."""
        soft_bridge(line).send(address, value, **extra)

    def tell(self, address: str, value: Any, **extra: Any) -> None:
        """Let a device send, and bring the stage up to it."""
        self.send(address, value, **extra)
        self.twin.tick()

    def tick(self, seconds: float = 0.0) -> int:
        """Move the clock on and tick."""
        self.clock.advance(seconds)
        return self.twin.tick()

    def attr(self, path: str) -> Usd.Attribute:
        return self.stage.GetAttributeAtPath(path)

    def get(self, path: str) -> Any:
        """Return an attribute's composed value; `/Prim.signal` stands for the signal's value."""
        attr = self.attr(path)
        return attr.Get() if attr else self.attr(full_path(path)).Get()

    def quality(self, path: str) -> Any:
        """Return the quality of signal `/Prim.signal`."""
        return self.get(full_path(path, "quality"))

    def index(self, path: str) -> int:
        """Return the channel index of signal `/Prim.signal`."""
        found = [i for i, b in self.twin.table.telemetry.items() if b.path == path]
        (index,) = found
        return index

    def codes(self) -> list[str]:
        """Return the codes of what is wrong, in order."""
        return [problem.code for problem in self.twin.table.problems]

    def close(self) -> None:
        for bridge in self._bridges.values():
            bridge.stop()
        self._bridges.clear()
        self.twin.close()


def full_path(path: str, name: str = "value") -> str:
    """Spell out `/Prim.signal`; a path with a namespace stays as it is."""
    where, _, signal = path.partition(".")
    return path if ":" in signal else f"{where}.twin:telemetry:{signal}:{name}"


def same(a: Any, b: Any) -> bool:
    """Tell whether two stage values are one: equal, of one kind, NaN like NaN."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    return bool(a == b)


def paths_of(problems: Iterable[Any], code: str) -> list[str]:
    """Return the prims of the problems of one code."""
    return [problem.prim for problem in problems if problem.code == code]
