"""A stage made live: bindings, hub and live layer of one stage, driven tick by tick.

This is the whole way up without processes or sockets around it. The service drives one; tests,
notebooks and Kit may drive their own.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping

from pxr import Sdf, Usd

from stagetwin.bindings import BindingReading, BindingTable, ChannelIndex
from stagetwin.clock import Clock, WallClock
from stagetwin.guards import GuardBook, GuardStage, guard_hashes
from stagetwin.hub import Changes, Hub
from stagetwin.live import (
    LAYER_NAMES,
    FileWatcher,
    LayerWatcher,
    LiveLayer,
    Owner,
    PredictedLayer,
    SessionLayers,
)
from stagetwin.live._health import Health
from stagetwin.live._state import StateLayer
from stagetwin.opening import open_stage
from stagetwin.ports import ConnectionState, ValueKind

__all__ = ["Twin", "open_stage"]

_log = logging.getLogger(__name__)


_MOST_WARNINGS = 10
"""A plant of a thousand machines must not bury its log under one cause."""


def _warn_of(texts: list[str], more: str) -> None:
    for text in texts[:_MOST_WARNINGS]:
        _log.warning("%s", text)
    if len(texts) > _MOST_WARNINGS:
        _log.warning("and %d more like that, see `%s`", len(texts) - _MOST_WARNINGS, more)


class Twin:
    """A live stage. Everything but the hub's `submit` and `vouch` belongs to one thread.

    Attributes:
        stage: the composed stage.
        layers: its session sublayers.
        hub: where samples go in.
        predicted: what models expect.
        table: the bindings in force.
        demoted: why assets run as shadow, by prim path.
        guarded: the bindings of the guards' stage, None where there are no guards.
        approved: hash of the guards in force of each approved twin, by prim path.
        on_tick: called after each tick with what it changed, once the stage shows it.
        on_rebind: called after the bindings changed.
        on_guards: called after the guards or what is approved of them may have changed.
        connection_states: state and cause of the connections that somebody spoke of, by name.
        clock: the clock that everything here asks.
    """

    def __init__(
        self, stage: Usd.Stage, *, clock: Clock | None = None, guards: GuardBook | None = None
    ) -> None:
        self._owner = Owner()
        self.clock = clock if clock is not None else WallClock()
        self._index = ChannelIndex()
        self._guards = guards
        self.stage = stage
        self.layers = SessionLayers(stage)
        self.hub = Hub(self.clock)
        self.table = BindingTable()
        self.demoted: dict[str, str] = {}
        self.guarded: BindingTable | None = None
        self.approved: dict[str, str] = {}
        self.on_tick: list[Callable[[Changes], None]] = []
        self.on_rebind: list[Callable[[], None]] = []
        self.on_guards: list[Callable[[], None]] = []
        self.connection_states: dict[str, tuple[ConnectionState, str]] = {}
        self._live = LiveLayer(stage, self.layers.live)
        self._state = StateLayer(self.layers.state)
        self._state.define_health()
        self._health = Health(self.clock)
        self._guard_stage = GuardStage(stage.GetRootLayer()) if guards is not None else None
        layers = self.layers
        self._own = tuple(getattr(layers, name) for name in LAYER_NAMES)
        ids = [layer.identifier for layer in self._own]
        self.predicted = PredictedLayer(stage, layers.predicted, ids)
        guarded = self._guard_stage.stage if self._guard_stage is not None else None
        self._watcher = LayerWatcher(stage, self._own, guarded)
        self._files = FileWatcher(stage, guarded)
        self._hashes: Mapping[str, str] = {}
        self._readings: list[BindingReading] | None = None
        self.sync_structure()

    # -- every tick

    def tick(self) -> int:
        """Bring the stage up to the newest samples.

        Returns:
            Number of attributes written.
        """
        self._owner.check()
        began = time.perf_counter()
        changes = self.hub.drain()
        written = self._live.write(changes, self.hub.latest, self.clock.steady())
        lags = self.clock.wall() - self.hub.latest.receive_time[changes.value]
        self._health.note(lags, time.perf_counter() - began)
        for callback in self.on_tick:
            callback(changes)
        return written

    # -- once a second

    @property
    def unreadable(self) -> dict[str, str]:
        """Files whose newest content cannot be read, and why; their last good state runs."""
        return dict(self._files.unreadable)

    @property
    def reading(self) -> bool:
        """Whether a structural edit is being read, and `sync_structure` should be called soon."""
        return self._readings is not None

    @property
    def settled(self) -> bool:
        """Whether bindings and guards are those of the stage as it is now."""
        return self._readings is None and not self._watcher.dirty

    def look_at_files(self) -> None:
        """Take note of what changed on disk up to now; `sync_structure` then follows it."""
        self._owner.check()
        if self._readings is None:
            self._files.poll()

    def sync_structure(self, budget: float = math.inf) -> bool:
        """Pick up structural edits: layers edited here, or files changed on disk.

        Args:
            budget: about how long to read now [s]; later calls go on from there, with ticks in
                between. What was bound before stays in force until the reading is complete.

        Returns:
            Whether the bindings were read again.
        """
        self._owner.check()
        self.look_at_files()
        if self._watcher.dirty:
            # Also in the middle of a reading, which then is of a stage that is no more.
            self._watcher.refresh()
            guards = self._guard_stage.reading() if self._guard_stage is not None else None
            own = BindingReading(self.stage, self._index, self._own)
            self._readings = [own] if guards is None else [own, guards]
        if self._readings is None:
            return False
        readings, self._readings = self._readings, None
        stop = time.perf_counter() + budget
        # A reading that fails is dropped: it must not pass for a complete one.
        if not all(reading.advance(stop - time.perf_counter()) for reading in readings):
            self._readings = readings
            return False
        own, *guarded = readings
        self._rebind(own.table)
        if guarded:
            self.guarded = guarded[0].table
            self._apply_guards(guard_hashes(self.guarded))
        for callback in self.on_rebind:
            callback()
        return True

    def _rebind(self, table: BindingTable) -> None:
        before, self.table = self.table, table
        size = len(self._index)
        # Values of the channels that stay are in the layer; what the tick still holds goes first.
        self._live.bind(self.table.telemetry, size)
        self.hub.bind(self.table.telemetry, size)
        for name in before.connections.keys() - self.table.connections.keys():
            # A prim of that name may come back, and is not what it was.
            for attribute in ("twin:state", "twin:cause", "twin:lastSeen"):
                self._state.withdraw(Sdf.Path(f"{before.connections[name].prim}.{attribute}"))
        added = len(self.table.telemetry.keys() - before.telemetry.keys())
        removed = len(before.telemetry.keys() - self.table.telemetry.keys())
        if added or removed:
            count = len(self.table.telemetry)
            _log.info("bindings read: %d new, %d gone, %d in all", added, removed, count)
        known = set(before.problems)
        _warn_of([str(p) for p in self.table.problems if p not in known], "stagetwin check")

    def _apply_guards(self, hashes: Mapping[str, str]) -> None:
        if self._guards is None:
            return
        demoted = self._guards.demotions(hashes)
        self._hashes = hashes
        self._refuse_session_claims()
        for prim in self.demoted.keys() - demoted.keys():
            for name in ("twin:level", "twin:cause"):
                self._state.withdraw(Sdf.Path(f"{prim}.{name}"))
        self._state.write(
            {
                Sdf.Path(f"{prim}.{name}"): (type_name, value)
                for prim, cause in demoted.items()
                for name, type_name, value in (
                    ("twin:level", Sdf.ValueTypeNames.Token, "shadow"),
                    ("twin:cause", Sdf.ValueTypeNames.String, cause),
                )
            }
        )
        new = sorted(demoted.keys() - self.demoted.keys())
        _warn_of([f"{prim} runs as shadow: {demoted[prim]}" for prim in new], "stagetwin status")
        self.demoted = demoted
        self.approved = {prim: digest for prim, digest in hashes.items() if prim not in demoted}
        for callback in self.on_guards:
            callback()

    def _refuse_session_claims(self) -> None:
        """Remove what the session layer itself says of levels: it would hide the service's word."""
        session = self.stage.GetSessionLayer()
        for prim in self.table.assets:
            for name in ("twin:level", "twin:cause"):
                spec = session.GetAttributeAtPath(f"{prim}.{name}")
                if spec is not None:
                    session.GetPrimAtPath(prim).RemoveProperty(spec)
                    _log.warning("%s: an edit of %s in the session was removed", prim, name)

    @property
    def hashes(self) -> Mapping[str, str]:
        """Hash of the guards of each asset that claims to be a twin, approved or not, by path."""
        return self._hashes

    def guards_approved(self) -> None:
        """Take note that the guard book may have changed.

        Raises:
            StageError: it is damaged; every twin runs as shadow then.
        """
        if self._guards is not None:
            before = len(self.demoted)
            try:
                self._guards.reload()
            finally:
                self._apply_guards(self._hashes)
            _log.info(
                "guards approved: %d twins run as shadow, %d before", len(self.demoted), before
            )

    def connection(self, name: str, state: ConnectionState, cause: str, seen: float) -> None:
        """Put a connection's state on its prim.

        Args:
            name: name of the connection.
            state: its state.
            cause: why it is not online.
            seen: last sign of life [s, Unix]; NaN for never.
        """
        self.hub.connection_online(name, state is ConnectionState.ONLINE)
        self.connection_states[name] = (state, cause)
        spec = self.table.connections.get(name)
        if spec is None:
            return
        types = Sdf.ValueTypeNames
        values: dict[Sdf.Path, tuple[Sdf.ValueTypeName, object]] = {
            Sdf.Path(f"{spec.prim}.twin:state"): (types.Token, str(state)),
            Sdf.Path(f"{spec.prim}.twin:cause"): (types.String, cause),
        }
        if not math.isnan(seen):
            values[Sdf.Path(f"{spec.prim}.twin:lastSeen")] = (types.Double, seen)
        self._state.write(values)

    def refresh_health(self) -> dict[str, float]:
        """Write the health prim and return what was written, by attribute name."""
        self._owner.check()
        latest, parameters = self.hub.latest, self.hub.parameters
        report = self._health.report(
            self.hub.fates, self.hub.rejections, self.hub.ages(), latest, parameters
        )
        self._state.write(
            {Health.path(name): (type_name, value) for name, (type_name, value) in report.items()}
        )
        return {name: float(value) for name, (_, value) in report.items()}

    def value_of(self, index: int) -> object:
        """Return the newest stage value of a channel, None if none ever arrived."""
        latest = self.hub.latest
        if not latest.arrived[index]:
            return None
        held = latest.objects[index]
        if held is not None:
            return held
        number = float(latest.value[index])
        kind = self.table.telemetry[index].value_type.kind
        if kind is ValueKind.BOOLEAN:
            return bool(number)
        return int(number) if kind is ValueKind.INTEGER else number

    def close(self) -> None:
        """Leave the stage as it was found."""
        self._watcher.close()
        self.layers.detach()
