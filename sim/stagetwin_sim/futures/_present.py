"""The present: everything that decides what follows, as one thing that can be kept and copied."""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import SnapshotError
from stagetwin_sim.engine import Engine, Group, Snapshot
from stagetwin_sim.plant import PlantModel

__all__ = ["Present", "RuleTimer"]

_FORMAT = 1
_OBSERVER = "observer|"


@dataclass(frozen=True, slots=True)
class RuleTimer:
    """Where a rule of the stage stands.

    Attributes:
        held: how long its condition has held [s]; None while it does not.
        asked: whether it has asked since its condition came to hold.
        wait: how long until it may ask once more after a refusal [s].
        pause: how long until it may ask at all [s].
    """

    held: float | None = None
    asked: bool = False
    wait: float = 0.0
    pause: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Present:
    """The state of a plant and of everything that drives its models.

    Attributes:
        plant: the models of the stage.
        snapshot: complete state of the engine, one world.
        values: of measured properties by path, in the stage's unit; booleans are 0 and 1.
        quality: of the same: `good`, `uncertain`, `bad` or `stale`; good where nothing is said.
        desired: set-points in force, by the path of the commanded property.
        rules: timers by `PRIM.NAME`; a rule that is not named begins anew.
        parameters: version of the parameter set; see PlantModel.
        stage: revision of the stage; see PlantModel.
        time: when [s, Unix].
        observer: state of the observer, as it saved it; empty where there is none.
        doubts: why models are not to be believed now, by `PRIM.NAME`: they wait for a value, use an
            old one, failed, or have only just begun.
    """

    plant: PlantModel
    snapshot: Snapshot
    values: Mapping[str, float] = field(default_factory=dict)
    quality: Mapping[str, str] = field(default_factory=dict)
    desired: Mapping[str, float] = field(default_factory=dict)
    rules: Mapping[str, RuleTimer] = field(default_factory=dict)
    parameters: str = ""
    stage: str = ""
    time: float = 0.0
    observer: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    doubts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.snapshot.revision != self.plant.plan.revision:
            raise SnapshotError(
                f"the state is of plan {self.snapshot.revision}, "
                f"the stage's is {self.plant.plan.revision}"
            )

    @classmethod
    def of(cls, plant: PlantModel, engine: Engine | None = None, **known: Any) -> Present:
        """Return the present of an engine's first world.

        Args:
            plant: what the engine runs.
            engine: None is the models' first state.
            known: the other attributes; parameters and stage are the plant's where left out.

        Raises:
            UnforkableError: a model cannot be copied.
        """
        begun = engine.save() if engine is not None else _first(plant)
        read = {"parameters": plant.parameters, "stage": plant.stage}
        return cls(plant=plant, snapshot=begun.world(0), **{**read, **known})

    def value(self, path: str) -> float | None:
        """Return what a property holds [stage's unit], None where nobody knows."""
        known = self.values.get(path)
        if known is None:
            known = self.desired.get(path)
        if known is not None and math.isfinite(known):
            return known
        for feed in self.plant.feeds(path):
            if feed.scale:
                return (float(self.snapshot.bus[0, feed.column]) - feed.offset) / feed.scale
        return None

    def is_known(self, path: str) -> bool:
        """Tell whether a measured value is one that may decide something."""
        known = self.values.get(path)
        fresh = self.quality.get(path, "good") in ("good", "uncertain")
        return known is not None and math.isfinite(known) and fresh

    def to_bytes(self) -> bytes:
        """Return it as a NumPy archive, without pickles."""
        said = {
            "format": _FORMAT,
            "values": dict(self.values),
            "quality": dict(self.quality),
            "desired": dict(self.desired),
            "rules": {
                name: [timer.held, timer.asked, timer.wait, timer.pause]
                for name, timer in self.rules.items()
            },
            "parameters": self.parameters,
            "stage": self.stage,
            "time": self.time,
            "doubts": dict(self.doubts),
        }
        held = io.BytesIO()
        np.savez(
            held,
            allow_pickle=False,
            said=np.frombuffer(json.dumps(said).encode(), np.uint8),
            snapshot=np.frombuffer(self.snapshot.to_bytes(), np.uint8),
            **{f"{_OBSERVER}{name}": values for name, values in self.observer.items()},
        )
        return held.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, plant: PlantModel) -> Present:
        """Read what `to_bytes` wrote.

        Raises:
            SnapshotError: it is no such archive, or of another plant.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                said = json.loads(archive["said"].tobytes())
                snapshot = Snapshot.from_bytes(archive["snapshot"].tobytes())
                observer = {
                    name.removeprefix(_OBSERVER): archive[name]
                    for name in archive.files
                    if name.startswith(_OBSERVER)
                }
            if said.pop("format") != _FORMAT:
                raise SnapshotError("this present was written by another version")
            rules = {name: RuleTimer(*parts) for name, parts in said.pop("rules").items()}
            return cls(plant=plant, snapshot=snapshot, rules=rules, observer=observer, **said)
        except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise SnapshotError(f"this is no saved present: {error}") from None

    def save(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_bytes(self.to_bytes())
        beside.replace(path)

    @classmethod
    def load(cls, path: Path, plant: PlantModel) -> Present:
        """Read a file that `save` wrote.

        Raises:
            SnapshotError: it cannot be read, or is of another plant.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SnapshotError(f"{path}: {error.strerror or error}") from None
        return cls.from_bytes(data, plant)

    def digest(self) -> str:
        """Return a fingerprint: equal presents have equal ones."""
        rest = [
            self.values,
            self.quality,
            self.desired,
            self.rules,
            self.parameters,
            self.stage,
            self.doubts,
        ]
        said = repr([sorted(r.items()) if isinstance(r, Mapping) else r for r in rest])
        return f"{self.snapshot.digest()}-{said}"


def _first(plant: PlantModel) -> Snapshot:
    """Return the models' first states with outputs that show them already.

    Networks, bodies and FMUs put out what they are only as they move: in the first frame.
    """
    engine = plant.plan.engine()
    for system in engine.systems.values():
        if isinstance(system, Group):
            system.observe()
    begun = engine.save()
    feeds = (*plant.measured.values(), *plant.setpoints.values())
    fed = {feed.column for each in feeds for feed in each}
    shown = {
        column
        for instance in plant.instances.values()
        if not isinstance(engine.systems.get(instance.group), Group)
        for column in instance.outputs.values()
    }
    if columns := sorted(shown - fed):
        engine.step(1)
        said, bus = engine.read(), begun.bus.copy()
        known = [column for column in columns if np.isfinite(said[0, column])]
        bus[:, known] = said[:, known]
        begun = replace(begun, bus=bus)
    return begun
