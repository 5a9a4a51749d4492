"""The faults in force of a plant's machines."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from stagetwin.bindings import TelemetryBinding
from stagetwin.ports import ValueKind
from stagetwin_sim._errors import FaultError
from stagetwin_sim.faults._fault import Fault, FaultScript, said_of
from stagetwin_sim.faults._sensors import SENSOR_KINDS, SensorFault, SensorKind
from stagetwin_sim.faults._weakness import Weakness

__all__ = ["Faults"]


_SWITCHES = ("stuck", "blocked")
"""Faults of the process that need no amount: they are there or not."""


@dataclass(frozen=True, slots=True, eq=False)
class _InForce:
    """One fault, resolved: on a sensor's row, or on a weakness; amount in the unit of that."""

    fault: Fault
    amount: float
    row: int = -1
    sensor: SensorFault | None = None
    weakness: Weakness | None = None


class Faults:
    """Faults of machines and sensors, by time and on demand.

    The same script, seed, steps and values give the same faults.

    Args:
        signals: sensors that may fail, in the order of the values.
        weaknesses: where the process may fail.
        ids: prim paths of assets, by id.
        seed: of everything random.
        time: that has passed already [s].

    Attributes:
        time: since the script began [s].
    """

    def __init__(
        self,
        signals: Sequence[TelemetryBinding],
        weaknesses: Iterable[Weakness] = (),
        ids: Mapping[str, str] | None = None,
        seed: int = 0,
        time: float = 0.0,
    ) -> None:
        self.time = time
        self._signals = tuple(signals)
        self._weaknesses = list(weaknesses)
        self._ids = dict(ids or {})
        self._assets = {b.asset for b in signals}
        self._seed = seed
        self._rows: dict[str, int] = {}
        for row, binding in enumerate(self._signals):
            for name in (binding.path, binding.target):
                self._rows.setdefault(name, row)
        self._active: list[_InForce] = []
        self._struck: set[Weakness] = set()

    # -- what may be, and what is

    def possible(self, asset: str = "") -> list[dict[str, Any]]:
        """Return the faults of the process that machines can have, as plain data.

        Args:
            asset: prim path or id of one machine; empty is all.
        """
        wanted = self._ids.get(asset, asset)
        return [
            {
                "asset": w.asset,
                "prim": w.prim,
                "model": w.model,
                "kind": w.port,
                "unit": w.unit,
                "low": w.low,
                "high": w.high,
            }
            for w in self._weaknesses
            if wanted in ("", w.asset, w.prim)
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Return the faults that are in force or still to come, as plain data."""
        return [
            {
                "where": each.fault.where,
                "asset": self._asset_of(each),
                "kind": each.fault.kind,
                "amount": each.fault.amount,
                "unit": each.fault.unit or self._unit_of(each),
                "level": each.fault.level(self.time),
                "at": each.fault.at,
                "lasts": each.fault.lasts,
            }
            for each in self._active
            if self.time < each.fault.at + each.fault.lasts
        ]

    def knows(self, where: str) -> bool:
        """Tell whether a machine or signal is one of these."""
        name = self._named(where)
        weak = {path for w in self._weaknesses for path in (w.prim, w.asset)}
        here = {*self._rows, *self._assets, *weak}
        return name in here or name.rpartition(".")[0] in self._assets

    # -- beginning and ending

    def script(
        self, script: FaultScript, where: str = "script", elsewhere: Collection[str] = ()
    ) -> None:
        """Add the faults of a script.

        Args:
            script: what is to happen.
            where: what it is called, for errors.
            elsewhere: machines and signals that somebody else has: their faults are passed over.

        Raises:
            FaultError: one cannot be given; names it, and nothing is added.
        """
        seed = self._seed if script.seed is None else script.seed
        found = []
        for number, fault in enumerate(script.fault, 1):
            if fault.where in elsewhere and not self.knows(fault.where):
                continue
            try:
                found.append(self._resolved(fault, seed))
            except FaultError as error:
                raise FaultError(f"{where}: fault {number}: {error}") from None
        self._active += found

    def fault(self, where: str, kind: str, **how: Any) -> Fault:
        """Return a fault of a signal where one has this name, else of a machine.

        Raises:
            FaultError: what is said of it is not allowed.
        """
        name = self._named(where)
        measured = name in self._rows or name.rpartition(".")[0] in self._assets
        try:
            return Fault.model_validate(
                {"signal" if measured else "asset": where, "kind": kind, **how}
            )
        except ValidationError as error:
            raise FaultError(f"{where}: {said_of(error)}") from None

    def begin(self, fault: Fault) -> None:
        """Let something fail from now on, `fault.at` [s] later.

        A fault of the same place and kind is replaced.

        Raises:
            FaultError: it cannot; names the prim and what is allowed.
        """
        now = fault.model_copy(update={"at": self.time + fault.at})
        resolved = self._resolved(now, self._seed)
        self.end(fault.where, fault.kind)
        self._active.append(resolved)

    def end(self, where: str, kind: str = "") -> int:
        """End the faults of a machine, of all its sensors, or of a signal; return how many.

        Args:
            where: prim path or id of a machine, or a signal.
            kind: which alone; empty is all.
        """
        name = self._named(where)
        ended = [
            each
            for each in self._active
            if (not kind or each.fault.kind == kind)
            and (name == self._named(each.fault.where) or name == self._asset_of(each))
        ]
        self._active = [each for each in self._active if each not in ended]
        return len(ended)

    # -- time

    def advance(self, dt: float) -> None:
        """Move on by `dt` [s] and put what fails in the process where it belongs."""
        self.time += dt
        self._active = [e for e in self._active if self.time < e.fault.at + e.fault.lasts]
        values: dict[Weakness, float] = {}
        for each in self._active:
            level = each.fault.level(self.time)
            if (weak := each.weakness) is not None and level > 0:
                # Two faults of one place add up.
                before = values.get(weak, weak.sound)
                values[weak] = before + level * (each.amount - weak.sound)
        for weak in self._struck - values.keys():
            weak.strike(weak.sound)
        for weak, value in values.items():
            weak.strike(min(max(value, weak.low), weak.high))
        self._struck = set(values)

    def told(self, values: list[Any]) -> list[Any]:
        """Return what sensors say where sound ones say `values`; None is nothing."""
        said = values
        for each in self._active:
            level, since = each.fault.level(self.time), self.time - each.fault.at
            if each.sensor is None or since < 0:
                continue
            if said is values:
                said = list(values)
            if said[each.row] is not None:
                said[each.row] = each.sensor.told(said[each.row], level, since)
        return said

    # -- parts

    def _named(self, where: str) -> str:
        """Return a place with its asset's path for its id."""
        if where in self._ids:
            return self._ids[where]
        head, dot, signal = where.rpartition(".")
        if dot and head in self._ids:
            return f"{self._ids[head]}.{signal}"
        if where in self._rows:
            return self._signals[self._rows[where]].path
        return where

    def _asset_of(self, each: _InForce) -> str:
        return each.weakness.asset if each.weakness else self._signals[each.row].asset

    def _unit_of(self, each: _InForce) -> str:
        if each.weakness is not None:
            return each.weakness.unit
        return _unit(SENSOR_KINDS[each.fault.kind], self._signals[each.row])

    def _resolved(self, fault: Fault, seed: int) -> _InForce:
        return self._of_sensor(fault, seed) if fault.signal else self._of_process(fault)

    def _of_process(self, fault: Fault) -> _InForce:
        place = self._named(fault.asset)
        here = [w for w in self._weaknesses if place in (w.prim, w.asset)]
        if not here:
            raise FaultError(
                f"nothing of {fault.asset} can fail here: no such machine, or no model"
            )
        found = [w for w in here if w.port == fault.kind and fault.model in ("", w.model)]
        if not found:
            can = ", ".join(sorted({f"{w.model}.{w.port}".strip(".") for w in here}))
            raise FaultError(f"{place} cannot have {fault.kind!r}; it can have {can}")
        if len(found) > 1:
            models = ", ".join(f"{w.prim}.{w.model}" for w in found)
            raise FaultError(f"{place}: {fault.kind} may be of {models}: name prim and model")
        (weak,) = found
        amount = 1.0
        if fault.amount is not None or weak.port not in _SWITCHES:
            amount = _amount(weak.prim, fault, weak.unit, weak.low, weak.high)
        return _InForce(fault, amount, weakness=weak)

    def _of_sensor(self, fault: Fault, seed: int) -> _InForce:
        name = self._named(fault.signal)
        row = self._rows.get(name)
        if row is None:
            head = name.rpartition(".")[0]
            near = sorted(s.path for s in self._signals if head in (s.prim, s.asset))
            hint = f"; there are {', '.join(near[:8])}" if near else ""
            raise FaultError(f"no signal {name} is measured here{hint}")
        binding, kind = self._signals[row], SENSOR_KINDS.get(fault.kind)
        if kind is None:
            raise FaultError(
                f"{name}: a sensor cannot have {fault.kind!r}; it can have "
                f"{', '.join(SENSOR_KINDS)}"
            )
        type_ = binding.value_type.kind
        if (
            kind.numbers
            and (not type_.numeric or type_ is ValueKind.BOOLEAN)
            and not _list(binding)
        ):
            raise FaultError(
                f"{name} is {binding.type_name}, and {kind.name} is for numbers; it can have "
                f"{', '.join(k.name for k in SENSOR_KINDS.values() if not k.numbers)}"
            )
        if fault.ramp and not kind.gradual:
            raise FaultError(f"{name}: {kind.name} has no ramp, got {fault.ramp:g} s")
        if not kind.measure and fault.amount is not None:
            raise FaultError(f"{name}: {kind.name} has no amount, got {fault.amount:g}")
        unit = _unit(kind, binding)
        amount = 1.0
        if kind.measure:
            amount = _amount(name, fault, unit, kind.low, kind.high, kind.measure)
        entropy = zlib.crc32(f"{name} {fault.kind} {fault.at!r}".encode())
        sensor = SensorFault(kind, amount, np.random.default_rng([seed & 0xFFFFFFFF, entropy]))
        return _InForce(fault, amount, row=row, sensor=sensor)


def _list(binding: TelemetryBinding) -> bool:
    """Tell whether a signal is several numbers."""
    return binding.value_type.kind not in (ValueKind.BOOLEAN, ValueKind.TEXT) and (
        not binding.value_type.kind.numeric
    )


def _unit(kind: SensorKind, binding: TelemetryBinding) -> str:
    """Return the unit of a sensor fault's amount."""
    own = binding.unit or "1"
    return {"difference": own, "rate": f"{own}/s", "share": "1"}.get(kind.measure, "")


def _amount(
    place: str, fault: Fault, unit: str, low: float, high: float, measure: str = ""
) -> float:
    """Return a fault's amount in a unit, within its range.

    Raises:
        FaultError: it is missing, of another dimension, or out of range.
    """
    allowed = f"[{low:g}, {high:g}] {unit}"
    if fault.amount is None:
        raise FaultError(f"{place}: {fault.kind} needs an amount in {allowed}")
    amount = fault.amount
    if fault.unit and fault.unit != unit:
        from stagetwin_sim.plant import UnitsError, conversion

        try:
            if measure == "rate":
                amount *= _rate(fault.unit, unit.removesuffix("/s"))
            elif measure == "difference":
                # The difference of two temperatures in Cel is one in K.
                amount *= conversion(fault.unit, unit).scale
            else:
                amount = conversion(fault.unit, unit)(amount)
        except UnitsError as error:
            raise FaultError(f"{place}: {fault.kind} is in {unit}: {error}") from None
    if not low <= amount <= high:
        raise FaultError(f"{place}: {fault.kind} must be in {allowed}, got {amount:g}")
    return amount


def _rate(given: str, unit: str) -> float:
    """Return how much of `unit` a second is one of `given`, such as `K/h`."""
    from stagetwin_sim.plant import UnitsError, conversion

    difference, slash, time = given.rpartition("/")
    if not slash:
        raise UnitsError(f"{given!r} is no rate; expected such as {unit}/h")
    return conversion(difference or "1", unit).scale / conversion(time, "s").scale
