"""What randomisation is worth: policies on a vehicle that their training did not know.

It is sim-to-sim: from worlds in Warp to a rigid body in newton. It says nothing of a real vehicle.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from stagetwin.fleets import VehicleType
from stagetwin_sim._errors import TrainingError
from stagetwin_sim.environments import EnvironmentConfig, KinematicsConfig, Range
from stagetwin_sim.policies import Gap, Trajectory, measure_gap
from stagetwin_sim.policies._inputs import numbers_of
from stagetwin_sim.training._config import TrainingConfig
from stagetwin_sim.training._nominal import NominalVehicle
from stagetwin_sim.training._statistics import Interval, bootstrap, wilson
from stagetwin_sim.training._train import train

if TYPE_CHECKING:
    from stagetwin_sim.training._newton_vehicle import HiddenParameters, NewtonVehicles

__all__ = ["LABEL", "VARIANTS", "Drive", "Transfer", "drive_newton", "transfer", "variant_config"]

Floats = npt.NDArray[np.float64]

LABEL = "sim-to-sim: Warp to newton"
VARIANTS = ("none", "delay", "noise", "physics", "all")
_STILL = Range(0, 0, "integers")
_NOISE = 0.005
"""Of what sensors tell, in shares of their terms' scales: 5 cm of the way to the goal."""
_NEAR, _TOO_FAST = 0.15, 0.2
"""Within [m] and below [m/s]: it has docked. `kinematics` itself would let it run through."""
_IN_TIME = 15.0
"""An episode's length, and what a drive may take [s]."""


def variant_config(variant: str) -> KinematicsConfig:
    """Return `kinematics`, made to stop at the point it heads for, with some of its randomisation.

    Args:
        variant: one of `VARIANTS`: what is randomised.

    Raises:
        TrainingError: it is none of them.
    """
    if variant not in VARIANTS:
        raise TrainingError(f"a variant is one of {', '.join(VARIANTS)}, got {variant!r}")
    whole = KinematicsConfig(episode=_IN_TIME)
    whole = whole.changed("terminations", "goal", params=(_NEAR, 4.0, _TOO_FAST))
    every = variant == "all"
    noise = _NOISE if every or variant == "noise" else 0.0
    return dataclasses.replace(
        whole,
        randomization=whole.randomization if every or variant == "physics" else (),
        actions=tuple(
            dataclasses.replace(term, delay=term.delay if every or variant == "delay" else _STILL)
            for term in whole.actions
        ),
        observations=tuple(
            dataclasses.replace(term, noise=noise * term.term.scale)
            if term.term.source != "action"
            else term
            for term in whole.observations
        ),
    )


class Drive(NamedTuple):
    """What vehicles in newton did.

    Attributes:
        arrived: whether each stood at its goal in time, shape (count,).
        seconds: until then [s]; NaN where it did not.
        measured: of the first vehicle: x, y, theta, speed, rotation.
        predicted: of a nominal one that was given the same commands.
    """

    arrived: npt.NDArray[np.bool_]
    seconds: Floats
    measured: Trajectory
    predicted: Trajectory


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What an ablation came to.

    Attributes:
        label: what it is, and is not.
        hidden: what each vehicle was really like.
        success: share of drives that arrived, by variant, each of them a trial (Wilson).
        by_vehicle: the same over vehicles, each of them one value (bootstrap).
        shares: of each variant, shape (trainings, vehicles).
        seconds: to the goal, over vehicles (bootstrap).
        gaps: predicted against measured, by variant, of the first drive.
        trainings: of each variant.
        drives: of each vehicle with each training.
    """

    label: str
    hidden: Sequence[HiddenParameters]
    success: Mapping[str, Interval]
    by_vehicle: Mapping[str, Interval]
    shares: Mapping[str, Floats]
    seconds: Mapping[str, Interval]
    gaps: Mapping[str, Gap]
    trainings: int
    drives: int

    def to_json(self) -> dict[str, Any]:
        """Return the figures."""

        def known(values: Mapping[str, Interval]) -> dict[str, list[float | None]]:
            return {
                name: [part if math.isfinite(part) else None for part in interval]
                for name, interval in values.items()
            }

        return {
            "label": self.label,
            "hidden": [dataclasses.asdict(one) for one in self.hidden],
            "trainings": self.trainings,
            "drives": self.drives,
            "success": known(self.success),
            "by_vehicle": known(self.by_vehicle),
            "shares": {name: found.tolist() for name, found in self.shares.items()},
            "seconds": known(self.seconds),
            "gaps": {name: gap.to_json() for name, gap in self.gaps.items()},
        }


def transfer(
    *,
    iterations: int = 40,
    worlds: int = 256,
    trainings: int = 3,
    vehicles: int = 8,
    drives: int = 10,
    hidden: int = 0,
    variants: Sequence[str] = VARIANTS,
    seconds: float = _IN_TIME,
    tell: Callable[[str], None] | None = None,
) -> Transfer:
    """Train by each variant, and drive vehicles in newton with what came of it.

    Args:
        iterations: of each training.
        worlds: of each training.
        trainings: of each variant, by different seeds.
        vehicles: each with hidden parameters of its own, the same for all variants.
        drives: of each vehicle with each training, to the same goals for all variants.
        hidden: seed of the vehicles' parameters.
        variants: some of `VARIANTS`.
        seconds: that a drive may take [s].
        tell: told what is done.

    Raises:
        TrainingError: a variant that there is not, or nothing to do.
    """
    from stagetwin_sim.training._newton_vehicle import HiddenParameters, NewtonVehicles

    if min(trainings, vehicles, drives, len(variants)) < 1:
        raise TrainingError("a transfer has at least one variant, training, vehicle and drive")
    say = tell or (lambda _: None)
    kind = VehicleType()
    really = [HiddenParameters.draw([hidden, i], kind) for i in range(vehicles)]
    bodies = NewtonVehicles(kind, [one for one in really for _ in range(drives)])
    arrived: dict[str, Floats] = {}
    times: dict[str, Floats] = {}
    gaps: dict[str, Gap] = {}
    for variant in variants:
        config = variant_config(variant)
        found, when = np.empty((2, trainings, vehicles, drives))
        for i in range(trainings):
            say(f"{variant}: training {i + 1} of {trainings}")
            asked = TrainingConfig(
                task="kinematics", iterations=iterations, worlds=worlds, minibatches=4, seed=i + 1
            )
            run = train(asked, environment=config)
            say(f"{variant}: driving {i + 1} of {trainings}")
            done = drive_newton(run.policy.actor, config, bodies, seconds=seconds, seed=i)
            found[i] = done.arrived.reshape(vehicles, drives)
            when[i] = done.seconds.reshape(vehicles, drives)
            if variant not in gaps:
                gaps[variant] = measure_gap(done.measured, done.predicted, label=LABEL)
        arrived[variant], times[variant] = found, when
    return Transfer(
        label=LABEL,
        hidden=really,
        success={name: wilson(int(found.sum()), found.size) for name, found in arrived.items()},
        by_vehicle={name: bootstrap(found.mean(axis=(0, 2))) for name, found in arrived.items()},
        shares={name: found.mean(axis=2) for name, found in arrived.items()},
        seconds={
            name: bootstrap([_mean(when[:, i]) for i in range(vehicles)])
            for name, when in times.items()
        },
        gaps=gaps,
        trainings=trainings,
        drives=drives,
    )


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def drive_newton(
    actor: Any,
    config: EnvironmentConfig,
    vehicles: NewtonVehicles,
    *,
    seconds: float = _IN_TIME,
    seed: int = 0,
) -> Drive:
    """Drive vehicles in newton to goals 2 to 6 m away, where they are to stand.

    Args:
        actor: a model of rsl_rl that was trained for `config`.
        config: whose terms it sees and says.
        vehicles: whose hidden delay and noise come in here.
        seconds: that a drive may take [s].
        seed: of goals and noise.
    """
    from tensordict import TensorDict

    rng = np.random.default_rng([seed, 21])
    count, period = vehicles.count, config.dt * config.decimation
    starts = np.zeros((count, 3))
    starts[:, 2] = rng.uniform(-math.pi, math.pi, count)
    far, angle = rng.uniform(2.0, 6.0, count), rng.uniform(-math.pi, math.pi, count)
    goals = np.stack([far * np.cos(angle), far * np.sin(angle)], axis=1)
    vehicles.place(starts)
    noise = np.array([[one.noise] for one in vehicles.hidden])
    late = np.array([round(one.delay / period) for one in vehicles.hidden])
    scales = np.array([term.term.scale for term in config.actions])
    said = np.zeros((count, len(scales)))
    given = np.zeros((int(late.max()) + 1, count, len(scales)))  # the newest last
    arrived, when = np.zeros(count, bool), np.full(count, math.nan)
    nominal = NominalVehicle(VehicleType(), *starts[0].tolist())
    rows, predicted = [], []
    for step in range(round(seconds / period) + 1):
        poses, moves = vehicles.poses(), vehicles.odometry()
        rows.append([step * period, *poses[0], *moves[0]])
        predicted.append(
            [step * period, nominal.x, nominal.y, nominal.theta, nominal.v, nominal.omega]
        )
        gone = np.hypot(*(goals - poses[:, :2]).T)
        there = (gone <= _NEAR) & (np.abs(moves[:, 0]) <= _TOO_FAST) & ~arrived
        when[there] = step * period
        arrived |= there
        numbers = _see(config, poses, moves, goals, said)
        numbers += noise * rng.standard_normal(numbers.shape) * _noisy(config)
        shown = TensorDict(
            {"policy": torch.from_numpy(numbers.astype(np.float32))}, batch_size=[count]
        )
        with torch.inference_mode():
            said = np.clip(actor(shown).numpy().astype(np.float64), -1.0, 1.0)
        given = np.concatenate([given[1:], np.where(arrived[:, None], 0.0, said * scales)[None]])
        command = given[len(given) - 1 - late, np.arange(count)]
        vehicles.step(command, period)
        for _ in range(5):
            nominal.step(float(command[0, 0]), float(command[0, 1]), period / 5)
    return Drive(arrived, when, _trajectory(rows), _trajectory(predicted))


def _see(
    config: EnvironmentConfig, poses: Floats, moves: Floats, goals: Floats, said: Floats
) -> Floats:
    """Return the policy's numbers of what vehicles see, shape (count, n)."""
    to = goals - poses[:, :2]
    far = np.hypot(*to.T)
    unit = to / np.maximum(far, 1e-6)[:, None]
    c, n = np.cos(poses[:, 2]), np.sin(poses[:, 2])
    known = {
        "goal_distance": far[:, None],
        "goal_direction": np.stack(
            [c * unit[:, 0] + n * unit[:, 1], c * unit[:, 1] - n * unit[:, 0]], axis=1
        ),
        "speed": moves[:, :1],
        "rotation": moves[:, 1:],
        "last_action": said,
    }
    parts = [
        numbers_of(term.term, known[term.name]).reshape(len(poses), -1)
        for term in config.observations
    ]
    return np.concatenate(parts, axis=1)


def _noisy(config: EnvironmentConfig) -> Floats:
    """Return which numbers a sensor measures: 1; what was said last is known: 0."""
    return np.concatenate(
        [
            np.full(term.term.size, 0.0 if term.term.source == "action" else 1.0)
            for term in config.observations
        ]
    )


def _trajectory(rows: list[list[float]]) -> Trajectory:
    table = np.array(rows)
    names = ("x", "y", "theta", "speed", "rotation")
    return Trajectory(table[:, 0], {name: table[:, i + 1] for i, name in enumerate(names)})
