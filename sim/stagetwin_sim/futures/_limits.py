"""What a future is held to: limits of signals, alarms, and what kinds say of their outputs."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

from stagetwin.bindings import AlarmBinding
from stagetwin_sim.futures._slots import Slots, Tap
from stagetwin_sim.futures._watch import Limit

__all__ = ["limits_of"]

_REFUSING = ("high_high", "low_low")


def limits_of(slots: Slots, moving: Collection[str]) -> list[Limit]:
    """Return the limits of all that may move.

    Args:
        slots: of the future.
        moving: paths of signals that move though no model predicts them.
    """
    watched = [path for path in slots.telemetry if path in slots.outputs or path in moving]
    found = [limit for path in watched for limit in _authored(slots, path)]
    for alarm in slots.present.plant.table.alarms:
        if alarm.kind == "limit" and alarm.signal in watched:
            found.extend(_alarm(slots, alarm, moving))
    return [side for limit in [*found, *_declared(slots)] for side in _sides(limit)]


def _sides(limit: Limit) -> list[Limit]:
    """Return a limit's sides: a future that breaks one of them excuses not the other."""
    if math.isinf(limit.low) or math.isinf(limit.high):
        return [limit]
    span = limit.high - limit.low
    return [replace(limit, high=math.inf, span=span), replace(limit, low=-math.inf, span=span)]


def _authored(slots: Slots, path: str) -> list[Limit]:
    signal = slots.telemetry[path]
    if signal.value_type.kind == "boolean":
        return []
    bounds = signal.limits
    pairs = (
        ("hard", bounds.hard_min, bounds.hard_max),
        ("soft", bounds.soft_min, bounds.soft_max),
    )
    return [
        Limit(
            kind=kind,
            prim=signal.prim,
            signal=signal.path,
            tap=slots.read(path),
            low=low,
            high=high,
            unit=signal.unit,
            refuses=kind == "hard",
        )
        for kind, low, high in pairs
        if isinstance(low, (int, float))
        and isinstance(high, (int, float))
        and (math.isfinite(low) or math.isfinite(high))
    ]


def _alarm(slots: Slots, alarm: AlarmBinding, moving: Collection[str]) -> list[Limit]:
    condition = -1
    # What nobody knows, or what stands still here and moves in the plant, silences no alarm.
    gate = alarm.active_while
    if gate in slots.outputs or (gate in moving and slots.is_known(gate)):
        condition = slots.slot(alarm.active_while)
    signal = slots.telemetry[alarm.signal]
    high = alarm.side.startswith("high")
    return [
        Limit(
            kind="alarm",
            prim=alarm.prim,
            signal=signal.path,
            tap=slots.read(alarm.signal),
            low=-math.inf if high else alarm.limit,
            high=alarm.limit if high else math.inf,
            unit=signal.unit,
            delay=alarm.on_delay,
            waited=_waited(slots, alarm, high),
            condition=condition,
            refuses=alarm.side in _REFUSING and alarm.priority != "none",
            text=f"{alarm.path} ({alarm.side}): {alarm.message}".rstrip(": "),
        )
    ]


def _waited(slots: Slots, alarm: AlarmBinding, high: bool) -> bool:
    """Tell whether the delay of an alarm may be over: it is beyond now, nobody knows how long."""
    known = [slots.present.values.get(alarm.signal, math.nan)]
    output = slots.outputs.get(alarm.signal)
    if output is not None:
        known.append(output.of(float(slots.present.snapshot.bus[0, output.column])))
    return any(value > alarm.limit if high else value < alarm.limit for value in known)


def _declared(slots: Slots) -> list[Limit]:
    """Return what kinds say that their outputs may be."""
    found = []
    for i, column in enumerate(slots.present.plant.plan.columns):
        if math.isfinite(column.low) or math.isfinite(column.high):
            prim, _, rest = column.name.partition(".")
            parts = rest.split(":")
            named = f"{prim}.{parts[2]}.{parts[-1]}" if len(parts) > 3 else column.name
            found.append(
                Limit(
                    kind="model",
                    prim=prim,
                    signal=named,
                    tap=Tap(i),
                    low=column.low,
                    high=column.high,
                    unit=column.unit,
                )
            )
    return found
