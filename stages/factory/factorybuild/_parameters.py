"""The plant's parameters as plain, typed values."""

import tomllib
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from ._model_specs import LinkSpec, ModelSpec, PartModelSpec, frozen, part_model, plain_fields

Vec = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class SignalSpec:
    """One telemetry signal of an interface.

    Attributes:
        name: Instance name of the applied schema.
        type: Sdf value type name such as `double` or `double3`.
        unit: UCUM unit of the value on the stage.
        hard: Least and greatest possible value [unit]; outside is rejected.
        soft: Range of healthy values [unit]; outside is uncertain.
        size: Number of elements of an array.
        stale: Seconds without a receipt until the quality is stale [s].
        target: Property driven instead of `value`, relative to the asset (`Part.attribute`).
        group: Redundancy group.
        tokens: Allowed tokens of a token signal.
    """

    name: str
    type: str
    label: str
    unit: str = "1"
    hard: tuple[float, float] | None = None
    soft: tuple[float, float] | None = None
    size: int = 0
    address: str = ""
    field: str = ""
    encoding: str = "auto"
    scale: float = 1.0
    offset: float = 0.0
    deadband: float = 0.0
    stale: float = 10.0
    group: str = ""
    target: str = ""
    tokens: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """One command of an interface; names as in the schema TwinCommandAPI.

    Attributes:
        rate: Fastest allowed change [unit/s].
        permissives: Names of bool signals of the same interface.
        readback: Name of the signal that verifies the command.
        settle: How long the read-back may take [s].
        expiry: Time to live of a request [s].
        tolerance: Largest accepted difference of the read-back [unit].
        safe: Value to fall back to [unit]; None for none.
    """

    name: str
    type: str
    label: str
    unit: str = "1"
    hard: tuple[float, float] | None = None
    soft: tuple[float, float] | None = None
    address: str = ""
    field: str = ""
    operation: str = "write"
    rate: float = inf
    permissives: tuple[str, ...] = ()
    readback: str = ""
    approval: str = "single"
    policy: str = "process"
    publish: str = "explicit"
    settle: float = 5.0
    expiry: float = 10.0
    tolerance: float = 0.0
    safe: bool | float | str | None = None


@dataclass(frozen=True, kw_only=True)
class RuleSpec:
    """One rule of an interface, which commands the machine by itself.

    Attributes:
        signal: Name of the signal that is judged.
        comparison: `above`, `below`, `equal` or `unequal`.
        threshold: What it is compared with [unit of the signal].
        command: Name of the command that is given the setpoint.
        setpoint: [unit of the command].
        hold: How long the condition must hold [s].
        urgency: `routine`, or `urgent` to go before a person's request.
    """

    name: str
    label: str
    signal: str
    comparison: str
    threshold: bool | float | str
    command: str
    setpoint: bool | float | str
    hold: float = 0.0
    urgency: str = "routine"


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One alarm of an interface; names as in the schema TwinAlarmAPI.

    Attributes:
        label: What it means, in a few words.
        advice: What to do about it.
        signal: Name of the signal that is judged; for the kind `model` a property of the machine.
        limit: [unit of the signal]; None for the signal's own soft limit.
        hysteresis: [unit of the signal].
        value: State that is alarmed; None but for the kind `device`.
        on: How long the condition must hold [s].
        off: How long it must be over [s].
        running: Name of the bool signal that must be true for the alarm to count; empty for none.
    """

    name: str
    label: str
    signal: str
    priority: str
    kind: str = "limit"
    side: str = ""
    limit: float | None = None
    hysteresis: float = 0.0
    comparison: str = "equal"
    value: bool | float | str | None = None
    on: float = 0.0
    off: float = 0.0
    running: str = ""
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class InterfaceSpec:
    """A kind of machine: what every machine of the kind measures and obeys.

    Attributes:
        connection: Name of its connection; empty for that of the area it stands in.
        remote: Name of the bool signal of its local/remote switch; empty for none.
    """

    name: str
    label: str
    kind: str
    level: str
    address: str
    connection: str = ""
    encoding: str = "auto"
    frame: str = ""
    roles: tuple[str, ...] = ()
    remote: str = ""
    signals: tuple[SignalSpec, ...] = ()
    commands: tuple[CommandSpec, ...] = ()
    rules: tuple[RuleSpec, ...] = ()
    alarms: tuple[AlarmSpec, ...] = ()
    models: tuple[ModelSpec, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ConnectionSpec:
    """One connection of the plant."""

    name: str
    label: str
    endpoint: str
    realm: str
    security: str
    credential: str
    command_credential: str = ""
    map: str = ""


@dataclass(frozen=True, kw_only=True)
class MachineSpec:
    """One machine in the layout; `{n}` in the name stands for the line's number.

    Attributes:
        at: Position x, y in the area [m].
        z: Height above the floor [m].
        yaw: Heading about Z, counter-clockwise from X [deg].
    """

    name: str
    asset: str
    at: Vec
    z: float = 0.0
    yaw: float = 0.0
    id: str = ""
    variants: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PipeSpec:
    """One pipe run: a polyline with elbows and two flanges [m]."""

    name: str
    radius: float
    look: str
    points: tuple[Vec, ...]


@dataclass(frozen=True, kw_only=True)
class AreaSpec:
    """One area outside the lines."""

    name: str
    label: str
    area: str
    connection: str
    at: Vec = (0.0, 0.0)
    machines: tuple[MachineSpec, ...] = ()
    vehicles: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class LineSpec:
    """One process line, repeated along Y.

    Attributes:
        origin: Position of line 1 [m].
        pitch: Distance from line to line [m].
        supports: Tops of the pipe supports, relative to the line [m].
        models: Models of pipes and the like.
        links: How models of the line's machines are coupled.
    """

    origin: Vec
    pitch: float
    connection: str
    machines: tuple[MachineSpec, ...]
    decorations: tuple[MachineSpec, ...]
    pipes: tuple[PipeSpec, ...]
    supports: tuple[Vec, ...]
    models: tuple[PartModelSpec, ...] = ()
    links: tuple[LinkSpec, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Everything on the page of parameters."""

    lines: int
    time_codes_per_second: float
    frame: str
    connections: tuple[ConnectionSpec, ...]
    testbed: ConnectionSpec
    interfaces: dict[str, InterfaceSpec]
    line: LineSpec
    areas: tuple[AreaSpec, ...]
    site: dict[str, Any]
    map: dict[str, Any]
    fleet: ConnectionSpec
    fleet_vehicles: dict[str, str]
    fleet_map: dict[str, Any]


def signal_spec(name: str, table: dict[str, Any], address: str, encoding: str) -> SignalSpec:
    """A signal, with the interface's address and encoding where it names none."""
    defaults: dict[str, Any] = {"address": address, "encoding": encoding}
    return SignalSpec(name=name, **defaults | plain_fields(table))


_COMMAND_ADDRESS = "factory/{twin:var:area}/{twin:id}/cmd/{signal}"


def _interface(name: str, table: dict[str, Any]) -> InterfaceSpec:
    parts = ("signals", "commands", "rules", "alarms", "models", "command_address")
    head = {k: v for k, v in table.items() if k not in parts}
    address, encoding = head["address"], head.get("encoding", "auto")
    signals = [
        signal_spec(key, value, address, encoding) for key, value in table["signals"].items()
    ]
    defaults: dict[str, Any] = {"address": table.get("command_address", _COMMAND_ADDRESS)}
    commands = [
        CommandSpec(name=key, **defaults | plain_fields(value))
        for key, value in table.get("commands", {}).items()
    ]
    rules = [
        RuleSpec(name=key, **plain_fields(value)) for key, value in table.get("rules", {}).items()
    ]
    alarms = [
        AlarmSpec(name=k, **plain_fields(value)) for k, value in table.get("alarms", {}).items()
    ]
    return InterfaceSpec(
        name=name,
        signals=tuple(signals),
        commands=tuple(commands),
        rules=tuple(rules),
        alarms=tuple(alarms),
        models=tuple(
            ModelSpec(name=k, **plain_fields(value)) for k, value in table.get("models", {}).items()
        ),
        **plain_fields(head),
    )


def _machines(rows: list[dict[str, Any]]) -> tuple[MachineSpec, ...]:
    return tuple(MachineSpec(**plain_fields(row)) for row in rows)


def _connection(name: str, table: dict[str, Any]) -> ConnectionSpec:
    keys = ("endpoint", "realm", "security", "credential")
    return ConnectionSpec(
        name=name,
        label=table.get("label", name),
        command_credential=table.get("command_credential", ""),
        map=table.get("map", ""),
        **{key: table[key] for key in keys},
    )


def load_parameters(path: Path, lines: int | None = None) -> Parameters:
    """Parse the page of parameters.

    Args:
        path: TOML file.
        lines: Number of process lines instead of the page's.
    """
    page = tomllib.loads(path.read_text(encoding="utf-8"))
    line = page["line"]
    areas = []
    for name, table in page["areas"].items():
        head = {k: v for k, v in table.items() if k not in ("machines", "vehicles")}
        areas.append(
            AreaSpec(
                name=name,
                machines=_machines(table["machines"]),
                vehicles=tuple(plain_fields(row) for row in table.get("vehicles", [])),
                **plain_fields(head),
            )
        )
    return Parameters(
        lines=page["plant"]["lines"] if lines is None else lines,
        time_codes_per_second=page["plant"]["time_codes_per_second"],
        frame=page["plant"]["frame"],
        connections=tuple(_connection(k, v) for k, v in page["connections"].items()),
        testbed=_connection(page["testbed"]["connection"], page["testbed"]),
        interfaces={k: _interface(k, v) for k, v in page["interfaces"].items()},
        line=LineSpec(
            origin=frozen(line["origin"]),
            pitch=line["pitch"],
            connection=line["connection"],
            machines=_machines(line["machines"]),
            decorations=_machines(line["decorations"]),
            pipes=tuple(PipeSpec(**plain_fields(row)) for row in line["pipes"]),
            supports=frozen(line["supports"]),
            models=tuple(part_model(row) for row in line.get("models", [])),
            links=tuple(LinkSpec(**plain_fields(row)) for row in line.get("links", [])),
        ),
        areas=tuple(areas),
        site=page["site"],
        map=page["map"],
        fleet=_connection(page["fleet"]["connection"], page["fleet"]),
        fleet_vehicles=page["fleet"]["vehicles"],
        fleet_map=page["fleet"]["road_map"],
    )
