"""The observer of a plant: corrects its models by what is measured, and says what is unexpected."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import ModelError, SnapshotError
from stagetwin_sim.engine import Engine, Floats, Group, Saved
from stagetwin_sim.estimation._bank import FilterBank, first_deviation
from stagetwin_sim.estimation._columns import ColumnFilters
from stagetwin_sim.estimation._filter_kernels import BAD, HELD, MISSING, PRESENT
from stagetwin_sim.estimation._noise import SignalNoise, input_noises, process_noises
from stagetwin_sim.estimation._residuals import Fate, Measured, Residuals
from stagetwin_sim.estimation._slots import Slot, find_slots
from stagetwin_sim.plant import Instance, PlantModel

__all__ = ["Observer"]

_FATES = (Fate.MISSING, Fate.BAD, Fate.HELD, Fate.HELD, Fate.USED, Fate.OUTLIER, Fate.RELOCKED)
"""By the kernel's numbers; one that is present and was not judged met a model without states."""


class Observer:
    """Filters beside an engine.

    Call `update` after each step of the engine; see docs/observers.md for the order of things.

    Args:
        plant: what the engine's plan was read with.
        engine: whose states are corrected, in all its worlds.
        gate: beyond how many standard deviations a measurement is an outlier.
        patience: how long a signal may be nothing but outliers before a filter starts anew [s].
        repeat: after how long an unchanged value counts as another measurement [s].

    Attributes:
        counts: updates of signals by what became of them.
        problems: why the noise of a model is not what the stage says, by `PRIM.NAME`.
    """

    def __init__(
        self,
        plant: PlantModel,
        engine: Engine,
        *,
        gate: float = 5.0,
        patience: float = 30.0,
        repeat: float = 1.0,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: dict[str, str] = {}
        self._engine = engine
        self._repeat = repeat
        self._slots = find_slots(plant, engine)
        self._paths = tuple(slot.output.signal for slot in self._slots)
        self._models = tuple(slot.output.model for slot in self._slots)
        self._scale = np.array([slot.output.scale for slot in self._slots])
        self._offset = np.array([slot.output.offset for slot in self._slots])
        self._columns = np.array([slot.output.column for slot in self._slots], np.intp)
        self._frames = engine.frames
        count = len(self._slots)
        self._last: Floats = np.full(count, np.nan)
        self._since: Floats = np.full(count, math.inf)
        self._measured: Floats = np.full(count, np.nan)
        self._expected: Floats = np.full(count, np.nan)
        self._sigma: Floats = np.full(count, np.nan)
        self._fate = np.zeros(count, np.int32)
        sigmas = self._noises(plant)
        self._banks = self._make_banks(plant, sigmas, gate, patience)
        self._rest = np.array([not slot.group for slot in self._slots], bool)
        self._filters = ColumnFilters(engine, self._columns[self._rest], sigmas[self._rest], gate)

    @property
    def paths(self) -> tuple[str, ...]:
        """Signals that models expect something of, one for each residual."""
        return self._paths

    def update(self, measured: Mapping[str, float | Measured]) -> None:
        """Correct states by what is measured now.

        Args:
            measured: by path of the signal's property; paths that nothing predicts are passed over.
        """
        values, given = self._taken(measured)
        frames = self._engine.frames - self._frames
        elapsed = max(frames, 0) * self._engine.plan.frame
        self._since += elapsed
        fresh = (values != self._last) | (self._since >= self._repeat)
        given[(given == PRESENT) & ~fresh] = HELD
        used = given == PRESENT
        self._last[used], self._since[used] = values[used], 0.0
        bus = (values - self._offset) / self._scale
        for name, bank in self._banks.items():
            self._update_bank(name, bank, bus, given, frames, elapsed)
        if self._rest.any():
            rest = self._rest
            expected, sigma, fate = self._filters.update(bus[rest], given[rest], elapsed)
            self._keep(rest, expected, sigma, fate)
        self._measured = values
        self._frames = self._engine.frames
        self.counts.update(_FATES[i] for i in self._fate.tolist())

    def residuals(self) -> Residuals:
        """Return what the newest update found, in the first world."""
        return Residuals(
            paths=self._paths,
            models=self._models,
            measured=self._measured.copy(),
            expected=self._expected.copy(),
            residual=self._measured - self._expected,
            sigma=self._sigma.copy(),
            fates=tuple(_FATES[i] for i in self._fate.tolist()),
        )

    def standard_deviations(self, group: str) -> Floats:
        """Return those of a group's states, shape (worlds, state_count, count) [unit].

        Raises:
            ModelError: nothing measures what that group predicts.
        """
        if group not in self._banks:
            raise ModelError(f"no signal corrects {group}; observed are {', '.join(self._banks)}")
        return self._banks[group].standard_deviations()

    # -- what an update consists of

    def _taken(
        self, measured: Mapping[str, float | Measured]
    ) -> tuple[Floats, npt.NDArray[np.int32]]:
        values: Floats = np.full(len(self._paths), np.nan)
        given = np.full(len(self._paths), MISSING, np.int32)
        for i, path in enumerate(self._paths):
            said = measured.get(path)
            if said is None:
                continue
            each = said if isinstance(said, Measured) else Measured(said)
            usable = each.good and each.fresh and math.isfinite(each.value)
            given[i] = PRESENT if usable else BAD
            values[i] = each.value if usable else math.nan
        return values, given

    def _update_bank(
        self,
        name: str,
        bank: FilterBank,
        bus: Floats,
        given: npt.NDArray[np.int32],
        frames: int,
        elapsed: float,
    ) -> None:
        group, engine = bank.group, self._engine
        every, substeps = _turns(group.rate, engine.plan.frame)
        turns = _multiples(every, engine.frames) - _multiples(every, self._frames)
        shape = (engine.worlds, max(len(group.plan.kind.outputs), 1), len(group.plan.places))
        values, known = np.full(shape, np.nan), np.full(shape, MISSING, np.int32)
        chosen, ports, indices = self._places[name]
        values[:, ports, indices] = bus[chosen]
        known[:, ports, indices] = given[chosen]
        steps = turns * substeps if frames > 0 else 0
        bank.update(values, known, 1 / group.rate, steps, elapsed)
        self._keep(
            chosen,
            bank.expected[0, ports, indices],
            bank.deviation[0, ports, indices],
            bank.fate[0, ports, indices],
        )

    def _keep(
        self, where: npt.NDArray[Any], expected: Floats, sigma: Floats, fate: npt.NDArray[np.int32]
    ) -> None:
        scale = self._scale[where]
        self._expected[where] = expected * scale + self._offset[where]
        self._sigma[where] = sigma * np.abs(scale)
        self._fate[where] = fate

    # -- how it is made

    def _noises(self, plant: PlantModel) -> Floats:
        """Return the noise of each slot's measurement [unit of the bus], shape (slot_count,)."""
        self._signal_noise = SignalNoise(plant)
        return np.array([self._noise(plant, slot) for slot in self._slots], np.float64)

    def _noise(self, plant: PlantModel, slot: Slot) -> float:
        port, unit = "", plant.plan.columns[slot.output.column].unit
        if slot.group:
            system = self._engine.systems[slot.group]
            assert isinstance(system, Group)
            declared = system.plan.kind.outputs[slot.port]
            port, unit = declared.name, declared.unit
        try:
            return self._signal_noise.of_output(slot.output, port, unit)
        except ModelError as error:
            self.problems[slot.output.model] = str(error)
        return self._signal_noise.of_output(slot.output, "", unit)

    def _make_banks(
        self, plant: PlantModel, sigmas: Floats, gate: float, patience: float
    ) -> dict[str, FilterBank]:
        self._places: dict[str, tuple[npt.NDArray[np.intp], list[int], list[int]]] = {}
        of_columns = self._signal_noise.of_inputs()
        banks: dict[str, FilterBank] = {}
        for name in dict.fromkeys(slot.group for slot in self._slots if slot.group):
            group = self._engine.systems[name]
            assert isinstance(group, Group)
            chosen = [k for k, slot in enumerate(self._slots) if slot.group == name]
            ports = [self._slots[k].port for k in chosen]
            indices = [self._slots[k].index for k in chosen]
            self._places[name] = (np.array(chosen, np.intp), ports, indices)
            outputs = np.full((len(group.plan.kind.outputs), len(group.plan.places)), np.nan)
            outputs[ports, indices] = sigmas[chosen]
            process = self._process(plant, group)
            banks[name] = FilterBank(
                group,
                self._engine.context,
                process=process,
                inputs=input_noises(group, of_columns),
                outputs=outputs,
                first=first_deviation(group, process),
                gate=gate,
                patience=patience,
            )
        return banks

    def _process(self, plant: PlantModel, group: Group) -> Floats:
        there: dict[int, Instance] = {}
        for path, instance in plant.instances.items():
            if instance.group == group.name and instance.kind is not None:
                try:
                    process_noises(group, {instance.index: instance})
                    there[instance.index] = instance
                except ModelError as error:
                    self.problems[path] = str(error)
        return process_noises(group, there)

    # -- the whole state

    def save(self) -> Saved:
        """Return a copy of everything that decides what follows; first axis the world."""
        worlds = self._engine.worlds
        own: dict[str, npt.NDArray[Any]] = {
            "last": self._last,
            "since": self._since,
            "measured": self._measured,
            "expected": self._expected,
            "sigma": self._sigma,
            "fate": self._fate,
            "frames": np.array([self._frames]),
        }
        saved: dict[str, npt.NDArray[Any]] = {
            name: np.repeat(values[None], worlds, axis=0) for name, values in own.items()
        }
        for name, values in self._filters.save().items():
            saved[f"columns/{name}"] = values
        for group, bank in self._banks.items():
            saved.update({f"{group}/{name}": values for name, values in bank.save().items()})
        return saved

    def load(self, saved: Saved) -> None:
        """Take what an observer of the same plan and as many worlds saved.

        Raises:
            SnapshotError: it does not fit.
        """
        try:
            own = {name: np.array(saved[name][0]) for name in _OWN}
        except (KeyError, IndexError):
            raise SnapshotError(f"no saved observer: expected {', '.join(_OWN)}") from None
        if own["last"].shape != self._last.shape:
            raise SnapshotError(
                f"the observer has {len(self._last)} residuals, the saved one {own['last'].shape}"
            )
        for group, bank in self._banks.items():
            bank.load(_part(saved, group))
        self._filters.load(_part(saved, "columns"))
        self._last, self._since = own["last"], own["since"]
        self._measured, self._expected = own["measured"], own["expected"]
        self._sigma, self._fate = own["sigma"], own["fate"]
        self._frames = int(own["frames"][0])


_OWN = ("last", "since", "measured", "expected", "sigma", "fate", "frames")


def _part(saved: Saved, name: str) -> Saved:
    head = f"{name}/"
    return {key.removeprefix(head): v for key, v in saved.items() if key.startswith(head)}


def _turns(rate: float, frame: float) -> tuple[int, int]:
    """Return every how many frames a system's turn is, and how many steps it does then."""
    steps = rate * frame
    every = max(1, round(1 / steps))
    return every, max(1, round(steps))


def _multiples(every: int, frames: int) -> int:
    """Return how many of the first frames are multiples of a number: 0, every, 2 every, ..."""
    return -(-frames // every)
