"""The parameters of a running plant, followed about once a second."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from stagetwin_sim._errors import ModelError
from stagetwin_sim.calibration._track import Drift, Tracker
from stagetwin_sim.calibration._tracked import Tracked, read_tracked
from stagetwin_sim.engine import Engine, Floats, Group, Saved, host_copy
from stagetwin_sim.estimation._noise import SignalNoise, input_noises, process_noises
from stagetwin_sim.plant import PlantModel

__all__ = ["Tracking"]

_log = logging.getLogger(__name__)

_PERIOD = 1.0
"""Shortest time between two looks at a model [s on the wall]."""

_HOUR = 3600.0
"""In what time a parameter is expected to go by its tolerance [s]."""

_SURE = 0.5
"""An estimate is told once its standard deviation is below this share of the tolerance."""


class Tracking:
    """Trackers of all models of a plant that ask for it, beside an engine.

    One tracker serves all models of a group that follow the same parameters. Their turns are spread
    over the frames of a period, so that no frame has all of them to bear.

    Args:
        plant: what the engine's plan was read with.
        engine: that runs beside the machines; only read.
        rate: seconds of the plant in a second on the wall.
        device: Warp's name of it.

    Attributes:
        values: what is known of parameters, by path of the attribute; NaN for what is not.
        drifts: what was found by the newest update.
    """

    def __init__(
        self, plant: PlantModel, engine: Engine, rate: float = 1.0, device: str = "cpu"
    ) -> None:
        found, _ = read_tracked(plant)
        groups: dict[tuple[str, tuple[str, ...]], list[Tracked]] = defaultdict(list)
        for each in found:
            groups[each.instance.group, each.names].append(each)
        self.values = {path: math.nan for each in found for path in each.paths()}
        self.drifts: list[Drift] = []
        self._engine = engine
        noise = SignalNoise(plant)
        shortest = max(_PERIOD, rate * _PERIOD)
        self._batches = [_Batch(m, engine, noise, shortest, device) for m in groups.values()]
        for i, batch in enumerate(self._batches):
            batch.due = engine.frames + batch.frames + i * batch.frames // len(self._batches)

    def due(self) -> bool:
        """Tell whether a model is to be looked at after this frame."""
        return any(self._engine.frames >= batch.due for batch in self._batches)

    def update(
        self, bus: Floats, measured: Mapping[str, float], doubtful: Collection[str] = ()
    ) -> None:
        """Look at the models whose turn it is.

        Args:
            bus: of the first world, shape (column_count,).
            measured: good values of signals' properties, by path [unit of the stage].
            doubtful: models of which what they hear is not known; their parameters stay.
        """
        self.drifts = []
        for batch in self._batches:
            if self._engine.frames >= batch.due:
                batch.due = self._engine.frames + batch.frames
                self.drifts += batch.update(bus, measured, doubtful, self.values)

    def save(self) -> dict[str, Saved]:
        """Return a copy of the complete state of each tracker, by what it follows."""
        return {batch.key: batch.tracker.save() for batch in self._batches}

    def load(self, saved: Mapping[str, Saved]) -> None:
        """Go on from where trackers of the same parameters of the same models were.

        Those that followed others, or from other references, begin anew.
        """
        for batch in self._batches:
            if batch.key in saved:
                batch.tracker.load(saved[batch.key])
                batch.tell(self.values)


class _Batch:
    """One tracker, and where its models are in the plant."""

    def __init__(
        self,
        members: Sequence[Tracked],
        engine: Engine,
        noise: SignalNoise,
        shortest: float,
        device: str,
    ) -> None:
        self._members = members
        first = members[0]
        group = engine.systems[first.instance.group]
        assert isinstance(group, Group)
        kind, plan = group.plan.kind, group.plan
        at = [each.instance.index for each in members]
        rate = plan.rate or kind.rate
        period = max(shortest, 1 / rate)
        self.frames = max(1, math.ceil(period / engine.plan.frame - 1e-9))
        dt = self.frames * engine.plan.frame
        self.due = 0
        self._columns = np.asarray(plan.inputs)[:, at]
        sigmas, self._slots = self._measured_by(noise)
        tolerances = np.array([each.tolerances for each in members]).T
        parameters = np.asarray(plan.parameters)[:, at]
        self.tracker = Tracker(
            kind,
            first.names,
            parameters,
            host_copy(group.state)[0, : len(kind.states)][:, at],
            dt,
            measurement=sigmas,
            walk=tolerances / math.sqrt(_HOUR),
            certainty=tolerances,
            tolerance=tolerances,
            process=_process(group, members)[:, at],
            inputs=input_noises(group, noise.of_inputs())[:, at],
            places=[each.model for each in members],
            substeps=max(1, round(dt * rate)),
            device=device,
        )
        self._tolerances = tolerances
        said = [each.model for each in members], first.names, parameters.tobytes().hex(), dt
        self.key = repr((kind.name, *said, tolerances.tolist()))
        self._warm(engine)

    def _warm(self, engine: Engine) -> None:
        """Compile its kernels now: no frame may wait for that."""
        self._begun = self.tracker.save()
        inputs = engine.read()[0][self._columns]
        self.tracker.update(inputs, np.full((self._ports, len(self._members)), math.nan))
        self.tracker.load(self._begun)

    def _measured_by(
        self, noise: SignalNoise
    ) -> tuple[dict[str, Floats], list[tuple[int, int, str, float, float]]]:
        """Return noises by port, and port, instance, property, scale and offset of each signal."""
        ports = self._members[0].plan.kind.outputs
        self._ports = len(ports)
        sigmas: dict[str, Floats] = {}
        slots: list[tuple[int, int, str, float, float]] = []
        for i, member in enumerate(self._members):
            for j, port in enumerate(ports):
                output = member.signals.get(port.name)
                if output is None:
                    continue
                own = sigmas.setdefault(port.name, np.full(len(self._members), math.nan))
                try:
                    own[i] = noise.of_output(output, port.name, port.unit)
                except ModelError:  # the observer says so
                    own[i] = noise.of_output(output, "", port.unit)
                slots.append((j, i, output.signal, output.scale, output.offset))
        return sigmas, slots

    def update(
        self,
        bus: Floats,
        measured: Mapping[str, float],
        doubtful: Collection[str],
        values: dict[str, float],
    ) -> list[Drift]:
        """Take a period, put what is known now among the values, and return what was found."""
        outputs = np.full((self._ports, len(self._members)), math.nan)
        for j, i, path, scale, offset in self._slots:
            if path in measured and self._members[i].model not in doubtful:
                outputs[j, i] = (measured[path] - offset) / scale
        found = self.tracker.update(bus[self._columns], outputs)
        if not np.isfinite(self.tracker.values).all():
            _log.warning("the parameters of %s are followed anew", self._members[0].plan.kind.name)
            self.tracker.load(self._begun)
        self.tell(values)
        return found

    def tell(self, values: dict[str, float]) -> None:
        """Put what is known now among the values."""
        now, shares = self.tracker.values, self.tracker.shares
        drifted = self.tracker.drifted
        # Of what went far the share is known badly, and that it went is known well.
        sure = (self.tracker.certainties < _SURE * self._tolerances) | drifted
        for i, member in enumerate(self._members):
            for k, name in enumerate(member.names):
                known = bool(sure[k, i])
                value = now[k, i] * member.scales[k] + member.offsets[k]
                values[member.path("drift", name)] = float(shares[k, i]) if known else math.nan
                values[member.path("drifted", name)] = float(drifted[k, i])
                values[member.path("tracked", name)] = float(value) if known else math.nan


def _process(group: Group, members: Sequence[Tracked]) -> Floats:
    """Return the noise of a group's states; where the stage says what cannot be, the kind's."""
    said = {}
    for each in members:
        try:
            process_noises(group, {each.instance.index: each.instance})
            said[each.instance.index] = each.instance
        except ModelError:  # the observer says so
            continue
    return process_noises(group, said)
