"""Process models: ours against the same method in NumPy and in plain Python objects.

`ours` replays a captured graph; `numpy` does all machines of a kind at once, float64, same method;
`loop` steps one Python object after another, same method. Their results are compared first. The
figure is asset-steps per CPU-second: a motor does 1,000 steps a second, drives and batteries 20,
heat and bearings 1. All are held to one core. The batteries alone are the case with a single step
a frame.

The cases `times real time` are a mixed plant of all kinds and its hydraulic networks, each at its
own rate, and 1,000 assets as they are read from a stage: simulated seconds per CPU-second, against
`limit`, the 1 below which a plant is not kept up with. On a CUDA device, where there is one, the
100,000 run once more, `ours` by the clock on the wall.

    python -m benchmarks.process [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np

from benchmarks._process_loop import Battery, Train
from benchmarks._process_plant import LINE, Bench, mixed_plant
from benchmarks._process_stage import thousand_assets
from benchmarks._process_vector import Named, VectorPlant
from benchmarks._report import Case, paired, report
from stagetwin_sim.engine import Engine, Kind, Plan
from stagetwin_sim.process import BATTERY, BEARING, DRIVE, INDUCTION_MOTOR, MOTOR_THERMAL

KINDS: dict[str, Kind] = {
    "drive": DRIVE,
    "motor": INDUCTION_MOTOR,
    "thermal": MOTOR_THERMAL,
    "bearing": BEARING,
    "battery": BATTERY,
}
PER_FRAME = 1 + 50 + 1 + 1 / 20 + 1 / 20
"""Steps of one of each kind in a frame of 50 ms."""

MOTOR_STATES = ("sd", "sq", "rd", "rq", "speed", "energy", "winding", "frame", "work")

MIXED_MOTOR = "induction-motor[0].speed"
STAGE_MOTOR = "/Plant/Loop0/Motor.twin:model:motor:out:speed"

CHECKED = 40
"""Frames that contenders run before their results are compared."""


class Contest:
    """As many machines for each contender: drives with motors, heat and bearings; batteries.

    Args:
        count: of each kind.
        objects: how many of each kind `loop` has.
        device: of ours, Warp's name of it.
    """

    def __init__(self, count: int, objects: int, device: str = "cpu") -> None:
        rng = np.random.default_rng(7)
        self.count, self.objects, self.device = count, objects, device
        self.p: dict[str, Named] = {
            name: {p.name: np.full(count, p.value) for p in kind.parameters}
            for name, kind in KINDS.items()
        }
        for kind, name in (("motor", "inertia"), ("motor", "stator_resistance")):
            self.p[kind][name] = self.p[kind][name] * rng.uniform(0.7, 1.5, count)
        self.p["battery"]["soc"] = rng.uniform(0.2, 0.9, count)
        self.setpoint = rng.uniform(30.0, 150.0, count)
        self.torque = rng.uniform(0.0, 60.0, count)
        self.load = rng.uniform(500.0, 3000.0, count)
        self.current = rng.uniform(-60.0, 60.0, count)
        self.ours = self._engine()
        self.vector = self._vector()
        self.trains = [self._train(i) for i in range(objects)]
        self.batteries = [
            Battery(self._one("battery", i), float(self.current[i])) for i in range(objects)
        ]

    def _one(self, kind: str, index: int) -> dict[str, float]:
        return {name: float(values[index]) for name, values in self.p[kind].items()}

    def _engine(self) -> Engine:
        bench, n = Bench(), self.count
        motor = {name: bench.names("induction-motor", name, n) for name in ("speed", "power")}
        heat = {
            name: bench.names("induction-motor", name, n) for name in ("winding_heat", "frame_heat")
        }
        current = bench.names("induction-motor", "current", n)
        bench.group(
            DRIVE, n, self.p["drive"], {"setpoint": self.setpoint, "current": current, **motor}
        )
        bench.group(
            INDUCTION_MOTOR,
            n,
            self.p["motor"],
            {
                "voltage": bench.names("drive", "voltage", n),
                "frequency": bench.names("drive", "frequency", n),
                "load_torque": self.torque,
                "winding_temperature": bench.names("motor-thermal", "winding_temperature", n),
            },
        )
        bench.group(BATTERY, n, self.p["battery"], {"current": self.current})
        bench.group(MOTOR_THERMAL, n, self.p["thermal"], {**heat, "speed": motor["speed"]})
        bench.group(BEARING, n, self.p["bearing"], {"speed": motor["speed"], "load": self.load})
        return bench.builder.build().engine(device=self.device)

    def _vector(self) -> VectorPlant:
        n = self.count
        ambient = np.full(n, 295.15)
        zero, warm = np.zeros(n), np.full(n, 295.15)
        return VectorPlant(
            self.p,
            {
                "drive": {"run": np.ones(n), "setpoint": self.setpoint, "ambient": ambient},
                "motor": {"load_torque": self.torque},
                "thermal": {"ambient": ambient},
                "bearing": {"load": self.load, "ambient": ambient},
                "battery": {"current": self.current, "ambient": ambient},
            },
            {
                "drive": {"reference": zero, "trim": zero, "temperature": warm},
                "motor": dict.fromkeys(MOTOR_STATES, zero),
                "thermal": {"hot": warm, "shell": warm, "out": zero, "seen": zero, "seen2": zero},
                "bearing": {"damage": zero, "temperature": warm},
                "battery": {
                    "soc": self.p["battery"]["soc"],
                    "pair": zero,
                    "temperature": warm,
                    "energy": zero,
                    "heat": zero,
                },
            },
        )

    def _train(self, i: int) -> Train:
        return Train(
            self._one("drive", i),
            self._one("motor", i),
            self._one("thermal", i),
            self._one("bearing", i),
            float(self.setpoint[i]),
            float(self.torque[i]),
            float(self.load[i]),
        )

    def loop(self, frames: int) -> None:
        """Move the objects on."""
        for _ in range(frames):
            for train in self.trains:
                train.step()
            for battery in self.batteries:
                battery.step()

    def check(self) -> None:
        """Run all for two seconds and assert that they agree."""
        self.ours.step(CHECKED)
        for _ in range(CHECKED):
            self.vector.step()
        self.loop(CHECKED)
        v = self.vector
        near = 1e-9 if self.device == "cpu" else 1e-7  # a GPU rounds its sines otherwise
        for kind, port, theirs, objects in (
            ("induction-motor", "speed", v.speed, [t.speed for t in self.trains]),
            ("induction-motor", "current", v.current, [t.current for t in self.trains]),
            ("induction-motor", "energy", v.x["motor"]["energy"], [t.energy for t in self.trains]),
            ("induction-motor", "work", v.x["motor"]["work"], [t.work for t in self.trains]),
            ("drive", "frequency", v.frequency, [t.frequency for t in self.trains]),
            ("motor-thermal", "winding_temperature", v.warm, [t.hot for t in self.trains]),
            ("bearing", "damage", v.x["bearing"]["damage"], [t.damage for t in self.trains]),
            ("battery", "voltage", v.terminal, [b.terminal for b in self.batteries]),
            ("battery", "heat", v.x["battery"]["heat"], [b.heat for b in self.batteries]),
        ):
            names = [f"{kind}[{i}].{port}" for i in range(self.count)]
            mine = self.ours.read([self.ours.plan.column(name) for name in names])[0]
            np.testing.assert_allclose(mine, theirs, rtol=near, err_msg=f"numpy: {kind} {port}")
            np.testing.assert_allclose(
                mine[: self.objects], objects, rtol=near, err_msg=f"loop: {kind} {port}"
            )


def rate(step: Callable[[], None], steps: float, device: str = "cpu") -> Callable[[], float]:
    """Return a run that yields asset-steps per second (of CPU, or of the wall with a GPU)."""
    import warp as wp

    clock = time.process_time if device == "cpu" else time.perf_counter

    def run() -> float:
        wp.synchronize_device(device)
        started = clock()
        step()
        wp.synchronize_device(device)
        return steps / (clock() - started)

    return run


def contest(
    count: int, frames: int, objects: int, rounds: int, device: str = "cpu"
) -> dict[str, float]:
    """Return the best figures of the contenders, by name; ours on a device."""
    field = Contest(count, objects, device)
    field.check()

    def numpy() -> None:
        for _ in range(frames):
            field.vector.step()

    runs = {
        "ours": rate(lambda: field.ours.step(frames), frames * count * PER_FRAME, device),
        "numpy": rate(numpy, frames * count * PER_FRAME),
        "loop": rate(lambda: field.loop(2), 2 * objects * PER_FRAME),
    }
    if not objects:  # one after another costs the same however many there are
        del runs["loop"]
    return dict(zip(runs, paired(rounds, *runs.values()), strict=True))


def batteries(count: int, frames: int, rounds: int) -> dict[str, float]:
    """Return the best figures with one step a frame, where launches count most."""
    field = Contest(count, count)
    field.check()
    bench = Bench()
    bench.group(BATTERY, count, field.p["battery"], {"current": field.current})
    engine = bench.builder.build().engine()
    engine.step(CHECKED)

    def numpy() -> None:
        for _ in range(frames):
            field.vector.step_batteries()

    def loop() -> None:
        for battery in field.batteries:
            battery.step()

    runs = {
        "ours": rate(lambda: engine.step(frames), frames * count),
        "numpy": rate(numpy, frames * count),
        "loop": rate(loop, count),
    }
    return dict(zip(runs, paired(rounds, *runs.values()), strict=True))


def real_time(plan: Plan, motor: str, seconds: int, rounds: int, device: str = "cpu") -> float:
    """Return simulated seconds per second (of CPU, or of the wall with a GPU) of a plant.

    Args:
        plan: of the plant.
        motor: column with the speed of one of its motors.
        seconds: how long a run is.
        rounds: how many there are; the best one counts.
        device: Warp's name of it.
    """
    import warp as wp

    engine = plan.engine(device=device)
    engine.step(40)  # started, graphs captured
    clock = time.process_time if device == "cpu" else time.perf_counter

    def run() -> float:
        started = clock()
        engine.step(20 * seconds)
        wp.synchronize_device(device)
        return seconds / (clock() - started)

    best = paired(rounds, run)[0]
    engine.check()
    assert engine.read([plan.column(motor)])[0, 0] > 50, "the pumps do not turn"
    return best


def main() -> None:
    """Measure and print."""
    import warp as wp

    wp.config.log_level = wp.LOG_WARNING
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contender")
    rounds = parser.parse_args().rounds
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cases: list[Case] = []
    for name, count, frames in (("1,000 assets", 200, 40), ("100,000 assets", 20_000, 2)):
        best = contest(count, frames, objects=200 if count <= 200 else 0, rounds=rounds)
        cases.append(Case(name, best.pop("ours"), best))
    best = batteries(1_000, 200, rounds)
    cases.append(Case("1,000 batteries, 20 Hz", best.pop("ours"), best))
    for name, assets, seconds in (("1,000", 1_000, 4), ("100,000", 100_000, 1)):
        factor = real_time(mixed_plant(assets // LINE), MIXED_MOTOR, seconds, rounds)
        cases.append(Case(f"{name}: times real time", factor, {"limit": 1.0}))
    factor = real_time(thousand_assets().plan, STAGE_MOTOR, 4, rounds)
    cases.append(Case("1,000 of a stage: times real time", factor, {"limit": 1.0}))
    if wp.is_cuda_available():
        best = contest(20_000, 20, objects=0, rounds=rounds, device="cuda:0")
        cases.append(Case("100,000 assets, gpu", best.pop("ours"), best))
        factor = real_time(mixed_plant(100_000 // LINE), MIXED_MOTOR, 10, rounds, "cuda:0")
        cases.append(Case("100,000: times real time, gpu", factor, {"limit": 1.0}))
    report("process", "asset-steps per CPU-second", False, cases)


if __name__ == "__main__":
    main()
