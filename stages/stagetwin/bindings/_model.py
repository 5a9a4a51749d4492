"""What is read of a stage, one by one: signals, commands, models, assets, and what is wrong."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from stagetwin._paths import is_below
from stagetwin.actuation import CommandTarget
from stagetwin.ports import ChannelSpec
from stagetwin.values import Bound, ValueType, bound_text, value_type

__all__ = [
    "AlarmBinding",
    "Asset",
    "CommandBinding",
    "CommandParameter",
    "Limits",
    "ModelBinding",
    "ModelParameter",
    "Problem",
    "RuleBinding",
    "Severity",
    "TelemetryBinding",
    "is_below",
]


class Severity(enum.StrEnum):
    """How much a problem matters: an error keeps its binding from running, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong on the stage.

    Attributes:
        prim: path of the prim.
        signal: signal or command name, empty where the prim itself is meant.
        code: short stable name, for scripts.
        message: what is wrong, what is allowed, what was got.
        severity: error or warning.
    """

    prim: str
    signal: str
    code: str
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        place = f"{self.prim} ({self.signal})" if self.signal else self.prim
        return f"{self.severity}: {place}: {self.message} [{self.code}]"


@dataclass(frozen=True, slots=True)
class Limits:
    """USD attribute limits in the stage's unit; infinite where none is authored.

    A bound of a vector or array is a number where it is the same for all components, else a tuple
    with one for each.
    """

    hard_min: Bound = -math.inf
    hard_max: Bound = math.inf
    soft_min: Bound = -math.inf
    soft_max: Bound = math.inf

    @property
    def soft(self) -> bool:
        """Whether there is a soft limit."""
        return self.soft_min != -math.inf or self.soft_max != math.inf

    def sizes(self) -> list[int]:
        """Return the numbers of components of the bounds that have one for each."""
        bounds = (self.hard_min, self.hard_max, self.soft_min, self.soft_max)
        return [len(bound) for bound in bounds if isinstance(bound, tuple)]

    def __str__(self) -> str:
        return f"[{bound_text(self.hard_min)}, {bound_text(self.hard_max)}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Binding:
    prim: str
    asset: str
    signal: str
    connection: str
    address: str
    field: str
    encoding: str
    unit: str
    scale: float
    offset: float
    target: str
    element: int
    type_name: str
    limits: Limits

    @property
    def value_type(self) -> ValueType:
        """How values of the driven attribute (or array element) travel."""
        found = value_type(self.type_name)
        assert found is not None  # the reader refuses types that cannot be driven
        return found

    @property
    def path(self) -> str:
        """Prim path and signal name, as people and the command line write a signal."""
        return f"{self.prim}.{self.signal}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryBinding(_Binding):
    """One measured signal, resolved: where it comes from and which property it drives.

    Attributes:
        prim, signal: path of the bound prim and the signal's name.
        asset: path of the asset around it; the prim itself where no ancestor is one.
        connection: name of the connection.
        address, field, encoding: where the value is, templates filled.
        unit, scale, offset: stage value = wire value * scale + offset, in a UCUM unit.
        target: path of the driven property.
        element: index into the driven array, -1 for the whole attribute.
        type_name: USD type of what is driven; the element type where `element` is set.
        limits: tightest limits over all layers.
        deadband: smallest written change [unit].
        stale_after: time without sign of life until stale [s].
        redundancy_group: name, or empty.
        availability: resolved availability address, or empty.
    """

    deadband: float
    stale_after: float
    redundancy_group: str
    availability: str

    def channel(self, index: int) -> ChannelSpec:
        """Return the channel as a bridge needs it."""
        return ChannelSpec(
            index=index,
            prim=self.prim,
            signal=self.signal,
            address=self.address,
            field=self.field,
            encoding=self.encoding,
            kind=self.value_type.kind,
            availability=self.availability,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandParameter:
    """What a request may say beside its value, such as the type of a load.

    Attributes:
        name: key in the protocol.
        type_name: USD type.
        limits: tightest limits over all layers.
        tokens: texts that it may be; empty for all.
        default: what is sent where a request says nothing, as JSON; empty for nothing.
    """

    name: str
    type_name: str
    limits: Limits = Limits()
    tokens: tuple[str, ...] = ()
    default: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandBinding(_Binding):
    """One actuator command, resolved; its guards are compared with what the plant approved.

    Attributes:
        rate_limit: fastest allowed change [unit/s].
        policy_class: name of the plant's policy.
        approval: `none`, `single` or `dual`.
        permissives: paths of bool properties.
        readback: path of a telemetry value, or empty.
        expiry: time to live of a request [s].
        settle_time: how long the read-back may take [s].
        dwell: how long it must stay within tolerance [s].
        tolerance: [unit].
        publish: `explicit` or `settled`.
        debounce: how long a settled edit must rest [s].
        operation: `write`, `publish` or `method`.
        wire_type: exact type on the wire, or `auto`.
        safe: value to fall back to, as JSON; empty for none.
        tokens: texts that the commanded attribute may have; empty for all.
        rehearsal: `none` or `required`.
        rehearsal_horizon: how far ahead a rehearsal looks [s].
        rehearsal_budget: how long it may take [s].
        parameters: what a request may say beside its value, sorted by name.
    """

    rate_limit: float
    policy_class: str
    approval: str
    permissives: tuple[str, ...]
    readback: str
    expiry: float
    settle_time: float
    dwell: float
    tolerance: float
    publish: str
    debounce: float
    operation: str
    wire_type: str
    safe: str
    tokens: tuple[str, ...] = ()
    rehearsal: str = "none"
    rehearsal_horizon: float = 60.0
    rehearsal_budget: float = 2.0
    parameters: tuple[CommandParameter, ...] = ()

    def wire(self) -> CommandTarget:
        """Return where the command goes, as a commander needs it."""
        return CommandTarget(
            prim=self.prim,
            command=self.signal,
            address=self.address,
            field=self.field,
            encoding=self.encoding,
            operation=self.operation,
            wire_type=self.wire_type,
            kind=self.value_type.kind,
            type_name=self.type_name,
            parameters=tuple(each.name for each in self.parameters),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBinding:
    """One rule that commands by itself, resolved.

    Attributes:
        prim, name: path of the prim and the rule's name.
        asset: path of the asset around the prim.
        signal: path of the telemetry value that is judged.
        comparison: `above`, `below`, `equal` or `unequal`.
        threshold: what it is compared with: bool, int, float or str.
        hold_for: how long the condition must hold [s].
        command: prim path and command name of what is commanded.
        setpoint: what the command is given, as JSON.
        urgent: whether it replaces a person's request that has not left.
    """

    prim: str
    name: str
    asset: str
    signal: str
    comparison: str
    threshold: bool | int | float | str
    hold_for: float
    command: str
    setpoint: str
    urgent: bool

    @property
    def path(self) -> str:
        """Prim path and rule name, as people write a rule."""
        return f"{self.prim}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmBinding:
    """One authored alarm, resolved.

    Attributes:
        prim, name: path of the prim and the alarm's name.
        asset: path of the asset around the prim.
        kind: `limit`, `quality`, `device`, `connection`, `command` or `model`.
        signal: path of the property that the judged signal drives, or that a model gives; of a
            connection its name, of a command its path; empty for a device that says goodbye.
        side: `high`, `high_high`, `low` or `low_low`; empty but for limits.
        limit: [unit of the signal]; NaN but for limits.
        hysteresis: how far a value must come back [unit of the signal].
        comparison: `equal` or `unequal`.
        value: what a state is compared with; None where there is none.
        on_delay, off_delay: how long the condition must hold, and be over [s].
        active_while: path of a bool property; empty for always.
        priority: `critical`, `high`, `medium`, `low`, or `none` for no alarm.
        message, advice: what it means, and what to do.
    """

    prim: str
    name: str
    asset: str
    kind: str
    signal: str
    side: str
    limit: float
    hysteresis: float
    comparison: str
    value: bool | int | float | str | None
    on_delay: float
    off_delay: float
    active_while: str
    priority: str
    message: str
    advice: str

    @property
    def path(self) -> str:
        """Prim path and alarm name, as people write an alarm."""
        return f"{self.prim}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParameter:
    """One authored `param:<name>` of a model.

    Attributes:
        value: in its unit; booleans are 0 and 1.
        unit: UCUM; empty where the stage does not say.
        limits: USD attribute limits, the tightest over all layers.
    """

    value: float
    unit: str
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBinding:
    """One behaviour model bound to an asset, resolved.

    Attributes:
        prim, name: path of the prim and the model's name.
        asset: path of the asset around the prim.
        kind: entry point in the group `stagetwin.models`.
        file: resolved path of the model's file, or empty.
        reads: paths of the properties of signals and commands that it reads.
        writes: paths of the signals' properties whose expected values it gives.
        step: [s]; 0 is the model's own.
        horizon: how far ahead it predicts [s].
        fidelity: `screening`, `engineering` or `calibrated`; empty is the kind's own.
        parameters: by name.
        relations: targets of the model's other relationships, by name (`inlet`, `drives`,
            `in:<port>`, `out:<port>`).
        tracked: parameters that are followed while the machine runs, and by what share each may
            change, by name.
    """

    prim: str
    name: str
    asset: str
    kind: str
    file: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    step: float
    horizon: float
    fidelity: str
    parameters: Mapping[str, ModelParameter]
    relations: Mapping[str, tuple[str, ...]]
    tracked: Mapping[str, float] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Prim path and model name, as people write a model."""
        return f"{self.prim}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One twin asset.

    Attributes:
        prim: path.
        id: `twin:id`.
        kind, level: authored tokens.
        roles: who may command it.
        remote: path of the bool property that is true while it takes commands, or empty.
    """

    prim: str
    id: str
    kind: str
    level: str
    roles: tuple[str, ...]
    remote: str = ""
