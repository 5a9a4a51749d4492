"""Alarms on prims: state, since, cause and priority, and the worst of them on the asset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pxr import Sdf

from stagetwin.alarms._definitions import PRIORITIES
from stagetwin.alarms._states import Alarm, AlarmState
from stagetwin.live import SessionLayers
from stagetwin.live._state import StateLayer

__all__ = ["AlarmPrims"]

_TYPES = Sdf.ValueTypeNames
_NAMES = ("state", "since", "cause", "priority")

MOST = 100
"""Alarms written at a time: a thousand at once must not cost a tick."""


class AlarmPrims:
    """Writes alarms to the layer `state`, some of them at each call."""

    def __init__(self, layers: SessionLayers) -> None:
        self._layer = StateLayer(layers.state)
        self._due: dict[str, Alarm | None] = {}
        self._shown: dict[str, Alarm] = {}
        self._standing: dict[str, dict[str, int]] = {}
        self._worst: dict[str, str] = {}
        self._assets: set[str] = set()

    def tell(self, alarm: Alarm) -> None:
        """Have an alarm written as it is by then."""
        d = alarm.definition
        self._due[d.id] = alarm
        standing = self._standing.setdefault(d.asset, {})
        if alarm.active:
            standing[d.id] = PRIORITIES.index(d.priority)
        else:
            standing.pop(d.id, None)
        self._assets.add(d.asset)

    def withdraw(self, alarm: Alarm) -> None:
        """Have an alarm that is on the stage no more taken off its prim."""
        d = alarm.definition
        self._due[d.id] = None
        self._standing.get(d.asset, {}).pop(d.id, None)
        self._assets.add(d.asset)

    def write(self, is_asset: Callable[[str], bool]) -> None:
        """Write what is due, up to a bound.

        Args:
            is_asset: tells which prims can carry the worst priority.
        """
        if not self._due and not self._assets:
            return
        values: dict[Sdf.Path, tuple[Sdf.ValueTypeName, Any]] = {}
        gone: list[Sdf.Path] = []
        for alarm_id in list(self._due)[:MOST]:
            self._write_one(alarm_id, self._due.pop(alarm_id), values, gone)
        for asset in list(self._assets)[:MOST]:
            self._assets.discard(asset)
            standing = self._standing.get(asset)
            worst = PRIORITIES[min(standing.values())] if standing else "none"
            if not standing:
                self._standing.pop(asset, None)
            if is_asset(asset) and self._worst.get(asset, "none") != worst:
                self._worst[asset] = worst
                values[Sdf.Path(f"{asset}.twin:alarmState")] = (_TYPES.Token, worst)
        self._layer.write(values)
        with Sdf.ChangeBlock():
            for path in gone:
                self._layer.withdraw(path)

    def _write_one(
        self,
        alarm_id: str,
        alarm: Alarm | None,
        values: dict[Sdf.Path, tuple[Sdf.ValueTypeName, Any]],
        gone: list[Sdf.Path],
    ) -> None:
        before = self._shown.get(alarm_id)
        over = alarm is None or (alarm.state is AlarmState.NORMAL and not alarm.definition.authored)
        if over or alarm is None:
            if before is not None:
                prefix = self._shown.pop(alarm_id).definition.attribute
                gone += [Sdf.Path(f"{prefix}{name}") for name in _NAMES]
            return
        self._shown[alarm_id] = alarm
        prefix = alarm.definition.attribute
        values[Sdf.Path(f"{prefix}state")] = (_TYPES.Token, str(alarm.state))
        values[Sdf.Path(f"{prefix}since")] = (_TYPES.Double, alarm.changed)
        values[Sdf.Path(f"{prefix}cause")] = (_TYPES.String, alarm.cause)
        if not alarm.definition.authored:
            values[Sdf.Path(f"{prefix}priority")] = (_TYPES.Token, alarm.definition.priority)
