"""From the plant's bindings to the points that are judged: authored alarms, and implicit ones."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from stagetwin.alarms import _definitions
from stagetwin.alarms._definitions import PRIORITIES, Definition
from stagetwin.alarms._given import Given, signal_of
from stagetwin.alarms._groups import groups_of
from stagetwin.alarms._points import ON_CHANNELS, Part, Points
from stagetwin.bindings import AlarmBinding, BindingTable, TelemetryBinding
from stagetwin.ports import ValueKind

__all__ = ["Trust", "plan", "trusted_signals"]

SOFT_BAND = 0.01
"""Hysteresis of soft limits, of the range between them."""

SOFT_ON, SOFT_OFF = 2.0, 5.0
"""Delays of soft limits [s]."""

QUALITY_ON, QUALITY_OFF = 3.0, 1.0
"""Delays of bad and stale signals [s]."""

OFFLINE_ON, OFFLINE_OFF = 5.0, 0.0
"""Delays of connections [s]."""

_ABOVE = ("high", "high_high")


class Trust(NamedTuple):
    """A signal of the plant beside the channel that is live.

    Attributes:
        channel: index of the live channel; 0 where there is none that is trusted.
        binding: as the plant has it.
        trusted: whether the live binding is that very one, its connection included.
    """

    channel: int
    binding: TelemetryBinding
    trusted: bool


class _Row(NamedTuple):
    """What most points have; see Points."""

    source: Any
    on_delay: float
    off_delay: float
    signals: tuple[Trust, ...] = ()
    sign: float = 1.0
    limit: float = math.nan
    hysteresis: float = 0.0
    value: Any = None
    unequal: bool = False
    gate: str = ""
    connection: str = ""


@dataclass(slots=True)
class _Replaced:
    """What authored alarms say in place of the implicit ones."""

    limits: set[tuple[str, str]] = field(default_factory=set)
    quality: set[str] = field(default_factory=set)
    connections: set[str] = field(default_factory=set)
    commands: set[str] = field(default_factory=set)
    goodbyes: set[str] = field(default_factory=set)

    def add(self, alarm: AlarmBinding) -> None:
        if alarm.kind == "limit":
            self.limits.add((alarm.signal, alarm.side))
        elif alarm.kind == "quality":
            self.quality.add(alarm.signal)
        elif alarm.kind == "connection":
            self.connections.add(alarm.signal)
        elif alarm.kind == "command":
            self.commands.add(alarm.signal)
        elif not alarm.signal:
            self.goodbyes.add(alarm.asset)


def trusted_signals(plant: BindingTable, live: BindingTable) -> list[Trust]:
    """Return the plant's signals with the live channels that are theirs."""
    if plant is live:
        return [Trust(index, binding, True) for index, binding in live.telemetry.items()]
    leads = {name for name, spec in plant.connections.items() if live.connections.get(name) == spec}
    channels = {(b.prim, b.signal, b.element): (index, b) for index, b in live.telemetry.items()}
    found: list[Trust] = []
    for binding in plant.telemetry.values():
        index, other = channels.get((binding.prim, binding.signal, binding.element), (0, None))
        trusted = other == binding and binding.connection in leads
        found.append(Trust(index if trusted else 0, binding, trusted))
    return found


def plan(plant: BindingTable, signals: Iterable[Trust]) -> Points:
    """Return the points of a plant.

    Args:
        plant: bindings of the guards' stage, or of the stage itself where there are no guards.
        signals: its signals, and the channels that are live.
    """
    by_target: dict[str, list[Trust]] = {}
    for signal in signals:
        by_target.setdefault(signal.binding.target, []).append(signal)
    replaced = _Replaced()
    for alarm in plant.alarms:
        replaced.add(alarm)
    rows: dict[Part, list[_Row]] = {part: [] for part in Part}
    goodbye: list[tuple[int, int, bool, bool]] = []
    for alarm in plant.alarms:
        if alarm.priority != "none":
            _add_authored(alarm, by_target, rows, goodbye)
    taken = {alarm.path for alarm in plant.alarms}
    stale = _add_implicit_signals(by_target, rows, replaced, taken)
    used = {signal.binding.connection for found in by_target.values() for signal in found}
    for name in sorted(used - replaced.connections):
        definition = _named(_definitions.offline(plant.connections[name]), taken)
        rows[Part.CONNECTION].append(_Row(definition, OFFLINE_ON, OFFLINE_OFF, connection=name))
    for command in plant.commands:
        if command.path not in replaced.commands:
            definition = _named(_definitions.unverified(command), taken)
            rows[Part.COMMAND].append(_Row(definition, 0.0, 0.0))
    return _columns(rows, by_target, groups_of(stale), groups_of(goodbye))


def _named(definition: Definition, taken: set[str]) -> Definition:
    """Return an implicit alarm by another name where the plant has given its name to one."""
    if definition.id not in taken:
        return definition
    return dataclasses.replace(definition, name=f"{definition.name}_implicit")


# -- authored


def _add_authored(
    alarm: AlarmBinding,
    by_target: dict[str, list[Trust]],
    rows: dict[Part, list[_Row]],
    goodbye: list[tuple[int, int, bool, bool]],
) -> None:
    base = _Row(None, alarm.on_delay, alarm.off_delay, gate=alarm.active_while)
    if alarm.kind in ("connection", "command"):
        part = Part.CONNECTION if alarm.kind == "connection" else Part.COMMAND
        row = base._replace(source=_definitions.authored(alarm, None), connection=alarm.signal)
        rows[part].append(row)
        return
    if alarm.kind == "model":
        beside = by_target.get(signal_of(alarm.signal), ())
        unit = beside[0].binding.unit if beside else ""
        source = dataclasses.replace(_definitions.authored(alarm, None), unit=unit)
        sign = 1.0 if alarm.side in _ABOVE else -1.0
        row = base._replace(source=source, sign=sign, limit=alarm.limit)
        rows[Part.MODEL].append(row._replace(hysteresis=alarm.hysteresis))
        return
    if not alarm.signal:
        group = len(rows[Part.GOODBYE])
        rows[Part.GOODBYE].append(base._replace(source=_definitions.authored(alarm, None)))
        goodbye += [
            (signal.channel, group, signal.trusted, False)
            for found in by_target.values()
            for signal in found
            if signal.binding.asset == alarm.asset
        ]
        return
    for signals in _by_element(by_target.get(alarm.signal, ())):
        binding = signals[0].binding
        row = base._replace(source=_definitions.authored(alarm, binding), signals=signals)
        if alarm.kind == "limit":
            sign = 1.0 if alarm.side in _ABOVE else -1.0
            row = row._replace(sign=sign, limit=alarm.limit, hysteresis=alarm.hysteresis)
            rows[Part.LIMIT].append(row)
        elif alarm.kind == "quality":
            rows[Part.QUALITY].append(row)
        else:
            row = row._replace(value=alarm.value, unequal=alarm.comparison == "unequal")
            text = binding.value_type.kind is ValueKind.TEXT
            rows[Part.TEXT if text else Part.STATE].append(row)


def _by_element(signals: Iterable[Trust]) -> list[tuple[Trust, ...]]:
    """Return the signals of a property by what they drive of it; several are redundant."""
    found: dict[int, list[Trust]] = {}
    for signal in signals:
        found.setdefault(signal.binding.element, []).append(signal)
    return [tuple(each) for each in found.values()]


# -- implicit


def _add_implicit_signals(
    by_target: dict[str, list[Trust]],
    rows: dict[Part, list[_Row]],
    replaced: _Replaced,
    taken: set[str],
) -> list[tuple[int, int, bool, bool]]:
    """Add soft limits and quality; return the channels of the assets' stale alarms."""
    stale: list[tuple[int, int, bool, bool]] = []
    assets: dict[str, int] = {}
    firsts: list[TelemetryBinding] = []
    prims = {path.rpartition(".")[0] for path in taken}
    for target, found in by_target.items():
        if target not in replaced.quality:
            for signal in found:
                binding = signal.binding
                source = _source(prims, taken, binding, "bad", math.nan)
                rows[Part.BAD].append(_Row(source, QUALITY_ON, QUALITY_OFF, (signal,)))
                group = assets.setdefault(binding.asset, len(assets))
                if group == len(firsts):
                    firsts.append(binding)
                silent_only = binding.asset in replaced.goodbyes
                stale.append((signal.channel, group, signal.trusted, silent_only))
        for signals in _by_element(found) if len(found) > 1 else [(found[0],)]:
            _add_soft_limits(signals, rows, replaced, (prims, taken))
    for binding in firsts:
        taken_here = f"{binding.asset}.stale" in taken
        source = _definitions.stale, binding, "stale_implicit" if taken_here else "stale"
        rows[Part.STALE].append(_Row(source, QUALITY_ON, QUALITY_OFF))
    return stale


def _source(
    prims: set[str], taken: set[str], binding: TelemetryBinding, what: str, limit: float
) -> Any:
    """Return how a signal's implicit alarm is spelt out, once it is needed."""
    if binding.prim in prims:
        return _named(_definitions.of_signal(binding, what, limit), taken)
    return _definitions.of_signal, binding, what, limit


def _add_soft_limits(
    signals: tuple[Trust, ...],
    rows: dict[Part, list[_Row]],
    replaced: _Replaced,
    names: tuple[set[str], set[str]],
) -> None:
    binding = signals[0].binding
    limits = binding.limits
    if not limits.soft:
        return
    if not binding.value_type.kind.numeric:
        source = _source(*names, binding, "outside", math.nan)
        rows[Part.OUTSIDE].append(_Row(source, SOFT_ON, SOFT_OFF, signals))
        return
    low, high = limits.soft_min, limits.soft_max
    assert isinstance(low, float)  # a number has one bound
    assert isinstance(high, float)
    band = SOFT_BAND * (high - low) if math.isfinite(high - low) and high > low else 0.0
    for side, sign, limit in (("high", 1.0, high), ("low", -1.0, low)):
        if not math.isfinite(limit) or (binding.target, side) in replaced.limits:
            continue
        source = _source(*names, binding, side, limit)
        row = _Row(source, SOFT_ON, SOFT_OFF, signals, sign, limit, band)
        rows[Part.LIMIT].append(row)


# -- columns


def _columns(
    rows: dict[Part, list[_Row]],
    by_target: dict[str, list[Trust]],
    stale: Any,
    goodbye: Any,
) -> Points:
    parts: dict[Part, slice] = {}
    listed: list[_Row] = []
    for part in Part:
        parts[part] = slice(len(listed), len(listed) + len(rows[part]))
        listed += rows[part]
    size, on_channels = len(listed), parts[Part(ON_CHANNELS)].start
    limits, states = rows[Part.LIMIT], rows[Part.STATE]
    spares = {
        point: np.array([s.channel for s in row.signals if s.trusted], np.intp)
        for point, row in enumerate(listed)
        if len(row.signals) > 1 and all(s.trusted for s in row.signals)
    }
    gated = [(point, row.gate) for point, row in enumerate(listed) if row.gate]
    return Points(
        sources=[row.source for row in listed],
        parts=parts,
        channel=np.array([row.signals[0].channel for row in listed[:on_channels]], np.intp),
        # A session that hides one of several redundant signals hides what it would have said.
        trusted=np.array(
            [all(s.trusted for s in row.signals) for row in listed[:on_channels]], np.bool_
        ),
        sign=np.array([row.sign for row in limits], np.float64),
        limit=np.array([row.sign * row.limit for row in limits], np.float64),
        hysteresis=np.array([row.hysteresis for row in limits], np.float64),
        reference=np.array([float(row.value) for row in states], np.float64),
        unequal=np.array([row.unequal for row in (*states, *rows[Part.TEXT])], np.bool_),
        texts=[row.value for row in rows[Part.TEXT]],
        rank=np.array([_rank(row.source) for row in listed], np.uint8),
        on_delay=np.array([row.on_delay for row in listed], np.float64),
        off_delay=np.array([row.off_delay for row in listed], np.float64),
        gated=np.array([point for point, _ in gated], np.intp),
        gate=np.array([_gate_channel(by_target, path) for _, path in gated], np.intp),
        gate_paths=[path for _, path in gated],
        spares=spares,
        retrusted={},
        stale=stale,
        goodbye=goodbye,
        connections=[row.connection for row in rows[Part.CONNECTION]],
        commands=[row.source.signal for row in rows[Part.COMMAND]],
        active=np.zeros(size, np.bool_),
        pending=np.full(size, math.nan),
        muted=np.zeros(size, np.bool_),
        forced=np.zeros(len(rows[Part.COMMAND]), np.bool_),
        given=Given(
            paths=[row.source.signal for row in rows[Part.MODEL]],
            sign=np.array([row.sign for row in rows[Part.MODEL]], np.float64),
            limit=np.array([row.sign * row.limit for row in rows[Part.MODEL]], np.float64),
            hysteresis=np.array([row.hysteresis for row in rows[Part.MODEL]], np.float64),
        ),
        text_seen=np.full(len(rows[Part.TEXT]), -math.inf),
        text_same=np.zeros(len(rows[Part.TEXT]), np.bool_),
        online_since={},
        spoken={},
    )


def _rank(source: Any) -> int:
    if isinstance(source, Definition):
        return PRIORITIES.index(source.priority)
    # Not spelt out yet: implicit ones of a signal.
    medium = source[0] is _definitions.stale or source[2] == "bad"
    return PRIORITIES.index("medium" if medium else "low")


def _gate_channel(by_target: dict[str, list[Trust]], path: str) -> int:
    """Return the channel of a gate; -1 where it is not known, so that nothing is suppressed."""
    found = [signal for signal in by_target.get(path, ()) if signal.trusted]
    return found[0].channel if len(found) == len(by_target.get(path, ())) and found else -1
