"""Futures of the factory side by side against the same captured graph, one future after the other.

200 forks of the example plant at work, each with another opening of a valve and another speed of a
belt in each line and with another wind, for 60 s in frames of 50 ms. `sequential` replays the graph
of one world for each of them in turn, from the same state. Every fork must end in the same state in
both, bit for bit. The goal is 3 times `sequential` on one core and 20 times on a GPU, whose case is
there where CUDA is. Figures are by CPU time, of a GPU by the wall's.

`fork_memory` is what a fork takes on the CPU: its saved state, and by how much the resident memory
of a process with all forks is larger than that of one with a single fork, for each of the others.

    python -m benchmarks.fork [--stage FILE] [--forks N] [--seconds S] [--rounds N]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import warp as wp  # noqa: TID253

from benchmarks._report import Case, paired, report
from stagetwin.opening import open_stage
from stagetwin_sim.engine import Engine, Snapshot
from stagetwin_sim.futures import Branch, Forecast, Future, Present, Setting, fork
from stagetwin_sim.plant import PlantModel, read_plant

FACTORY = Path(__file__).parents[1] / "stages" / "factory" / "factory.usda"

AT_WORK = {
    "speed": 2850.0,
    "running": 1.0,
    "opening": 80.0,
    "wind_speed": 9.0,
    "throughput": 10.0,
}
"""What signals of a name show, where the plant is at work; a conveyor's speed is its own."""


def present(plant: PlantModel) -> Present:
    """Return the plant at work: pumps at rated speed, valves open, ten seconds of running in."""
    values = {
        signal.target: 0.5 if signal.prim.rpartition("/")[2].startswith("C") else AT_WORK[name]
        for signal in plant.table.telemetry.values()
        if (name := signal.signal) in AT_WORK and signal.element < 0
    }
    levels = {path: 2.0 for path in plant.measured if path.endswith("level")}
    known = {**values, **levels}
    engine = plant.at(known).plan.engine()
    engine.step(200)
    return Present.of(plant, engine, values=known, quality=dict.fromkeys(known, "good"))


def branches(plant: PlantModel, count: int) -> list[Branch]:
    """Return forks of which no two are alike in any line."""
    commands = {command.path: command.target for command in plant.table.commands}
    valves = [path for path in sorted(commands) if path.endswith("4.opening")]
    belts = [path for path in sorted(commands) if path.endswith("1.speed") and "/C" in path]
    winds = [path for path in plant.measured if path.endswith("wind_speed:value")]
    draw = np.random.default_rng(1).random((count, len(valves) + len(belts) + len(winds)))
    found = []
    for k, parts in enumerate(draw.tolist()):
        settings = [
            Setting(commands[path], 20.0 + 80.0 * part)
            for path, part in zip(valves, parts, strict=False)
        ]
        settings += [
            Setting(commands[path], part)
            for path, part in zip(belts, parts[len(valves) :], strict=False)
        ]
        forecasts = {
            path: Forecast.sine(9.0, 2.0, 20.0 + 30.0 * part)
            for path, part in zip(winds, parts[-len(winds) :], strict=True)
        }
        found.append(Branch(name=f"fork {k}", settings=tuple(settings), forecasts=forecasts))
    return found


def timed(run: Callable[[], None], seconds: float, device: str) -> Callable[[], float]:
    """Return a run that yields simulated seconds for each second of one core, or of a GPU."""
    clock = time.perf_counter if device.startswith("cuda") else time.process_time

    def measure() -> float:
        wp.synchronize()
        started = clock()
        run()
        wp.synchronize()
        return seconds / (clock() - started)

    return measure


def case(
    now: Present, count: int, seconds: float, rounds: int, device: str
) -> tuple[Case, Future, Snapshot]:
    """Measure one device, once every fork came out the same in both."""
    future = fork(now, branches(now.plant, count), device=device)
    frames = future.frames(seconds)
    begin = future.engine.save()
    starts = [begin.world(k) for k in range(count)]
    single: Engine = future.engine.plan.engine(1, device)
    ends: list[str] = []

    def together() -> None:
        future.engine.restore(begin)
        future.step(frames)

    def in_turn() -> None:
        ends.clear()
        for start in starts:
            single.restore(start)
            single.step(frames)
            if not checked:
                ends.append(single.save().digest())

    checked = False
    together()
    end = future.engine.save()
    future.engine.check()
    in_turn()
    assert ends == [end.world(k).digest() for k in range(count)], "a fork came out otherwise"
    assert len(set(ends)) == count, "two forks are alike"
    checked = True
    ours, sequential = paired(
        rounds, timed(together, seconds * count, device), timed(in_turn, seconds * count, device)
    )
    name = f"factory, {count} forks, {'GPU' if device.startswith('cuda') else 'one core'}"
    return Case(name, ours, {"sequential": sequential}), future, begin


def resident(stage: Path, count: int) -> int:
    """Return the memory that this process has in use with so many forks under way [bytes]."""
    wp.config.log_level = wp.LOG_WARNING
    plant = read_plant(open_stage(stage))
    future = fork(present(plant), branches(plant, count))
    future.step(20)
    assert future.engine.read().shape[0] == count
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def resident_per_fork(stage: Path, count: int) -> float:
    """Return what each fork but the first adds to a process [bytes]; each has one of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as processes:
        one, all_of_them = processes.map(resident, (stage, stage), (1, count))
    return (all_of_them - one) / (count - 1)


def main() -> None:
    """Measure, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", type=Path, default=FACTORY)
    parser.add_argument("--forks", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    wp.config.log_level = wp.LOG_WARNING
    plant = read_plant(open_stage(asked.stage))
    now = present(plant)
    devices = ["cpu", *(["cuda:0"] if wp.is_cuda_available() else [])]
    cases, memory = [], []
    for device in devices:
        found, future, begin = case(now, asked.forks, asked.seconds, asked.rounds, device)
        cases.append(found)
        wide = future.engine.context.bus.shape[1]
        print(f"{len(plant.instances)} models, {wide} columns on {device}")
        if device == "cpu":
            memory.append(Case("saved state", begin.nbytes / asked.forks / 1024, {}))
    added = resident_per_fork(asked.stage, asked.forks)
    memory.append(Case(f"resident, of {asked.forks} forks", added / 1024, {}))
    report("fork_memory", "KiB/fork", True, memory)
    report("fork", "simulated s/s", False, cases)


if __name__ == "__main__":
    main()
