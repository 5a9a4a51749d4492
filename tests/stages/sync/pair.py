"""A live plant, a board that is fed from it, and a mirror of it: all on one thread, no socket."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Usd

from stagetwin.hub import Changes
from stagetwin.sync import Board, Mirror, Selection
from stagetwin.twin import Twin
from stagetwin.values import plain
from tests.stages.plants import Plant, stage_of


def rows_of(twin: Twin) -> list[dict[str, Any]]:
    """Return the rows of the `channels` message, as docs/sync.md has them."""
    return [
        {
            "path": b.path,
            "prim": b.prim,
            "signal": b.signal,
            "element": b.element,
            "target": b.target,
            "type": b.type_name,
            "unit": b.unit,
            "min": b.limits.hard_min if math.isfinite(b.limits.hard_min) else None,
            "max": b.limits.hard_max if math.isfinite(b.limits.hard_max) else None,
            "softMin": b.limits.soft_min if math.isfinite(b.limits.soft_min) else None,
            "softMax": b.limits.soft_max if math.isfinite(b.limits.soft_max) else None,
            "label": "",
        }
        for b in twin.table.telemetry.values()
    ]


class Feeder:
    """Brings a board up to a twin after each of its ticks."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.board = Board()
        self.tick = 1
        self.bind()
        twin.on_tick.append(self.took)

    def bind(self) -> None:
        """Take the table anew, and everything with it."""
        self.channels = np.array(list(self.twin.table.telemetry), np.intp)
        self.place = {int(c): i for i, c in enumerate(self.channels)}
        self.board.table(rows_of(self.twin))
        self.feed(self.channels)

    def took(self, changes: Changes) -> None:
        self.tick += 1
        changed = np.unique(np.concatenate((changes.value, changes.time, changes.quality)))
        self.feed(changed)

    def feed(self, channels: Any) -> None:
        latest = self.twin.hub.latest
        rows = np.array([self.place[int(c)] for c in channels], np.intp)
        objects = {
            i: plain(latest.objects[int(c)])
            for i, c in enumerate(channels)
            if latest.objects[int(c)] is not None
        }
        source, receive = latest.source_time[channels], latest.receive_time[channels]
        self.board.update(
            self.tick,
            self.twin.clock.wall(),
            rows,
            latest.value[channels],
            objects=objects,
            times=np.where(np.isnan(source), receive, source),
            qualities=latest.quality[channels],
            status=latest.status[channels],
        )


class Pair:
    """A plant made live, and a mirror of it on a stage of the same text.

    Attributes:
        plant: the service's side.
        board: what viewers are sent from.
        stage: the mirror's.
        mirror: on it.
    """

    def __init__(self, text: str, mirrored: str | None = None) -> None:
        self.plant = Plant(stage_of(text))
        # Soft devices stamp what they send by the wall clock.
        self.plant.clock.now = time.time()
        self.feeder = Feeder(self.plant.twin)
        self.board = self.feeder.board
        self.stage = stage_of(text if mirrored is None else mirrored)
        self.before = self.stage.GetSessionLayer().ExportToString()
        self.mirror = Mirror(self.stage)
        self.selection: Selection = self.subscribe()

    def subscribe(self, *prims: str) -> Selection:
        """Send the table of a subscription."""
        self.selection = self.board.select(prims or ("/",))
        self.mirror.channels(json.loads(self.board.message(self.selection)))
        return self.selection

    def deliver(self, since: int | None = None) -> int:
        """Send what changed since a tick, by default the mirror's newest."""
        data = self.board.encoded(self.selection, self.mirror.tick if since is None else since)
        return self.mirror.apply(data) if data else 0

    def served(self) -> dict[str, Any]:
        """Return what the service's stage shows, with times and status codes as they were told.

        A time whose value does not change is written once a second on the stage, and the code of a
        signal that was never heard of is not.
        """
        rows, state = self.board.channels, self.board._state
        found = shown(self.plant.stage, [dict(row) for row in rows])
        for i, row in enumerate(rows):
            prefix, time = f"{row['prim']}.twin:telemetry:{row['signal']}:", float(state.times[i])
            if prefix + "time" in found:
                found[prefix + "time"] = None if math.isnan(time) else time
                if not self.plant.attr(prefix + "status").HasAuthoredValue():
                    found[prefix + "status"] = int(state.status[i])
        return found

    def close(self) -> None:
        self.plant.close()
        self.mirror.detach()
        assert self.stage.GetSessionLayer().ExportToString() == self.before


def shown(stage: Usd.Stage, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a stage shows of some channels: value, quality, status, time, by attribute.

    Elements of an array share their signal's quality, which is that of any of them.
    """
    found: dict[str, Any] = {}
    for row in rows:
        prefix = f"{row['prim']}.twin:telemetry:{row['signal']}:"
        told = ("quality", "status", "time") if row["element"] < 0 else ()
        for path in (row["target"], *(prefix + name for name in told)):
            value = stage.GetAttributeAtPath(path).Get()
            found[path] = None if isinstance(value, Sdf.ValueBlock) else value
    return found


def near(a: Any, b: Any, path: str = "") -> bool:
    """Tell whether two stage values are one at wire precision."""
    if path.endswith(":time"):
        # Times travel in whole milliseconds.
        return (a is None) == (b is None) and (a is None or abs(a - b) <= 0.001)
    if isinstance(a, Gf.Matrix4d) and isinstance(b, Gf.Matrix4d):
        exact = a.ExtractTranslation() == b.ExtractTranslation()
        return exact and all(abs(a[i, j] - b[i, j]) < 1e-6 for i in range(3) for j in range(3))
    return bool(a == b) and type(a) is type(b)


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Return the attributes that two stages show differently."""
    return [
        f"{path}: {a[path]!r} is not {b[path]!r}" for path in a if not near(a[path], b[path], path)
    ]
