"""Cost of a step of an FMU: ours against fmpy's `simulate_fmu`.

The figure is CPU microseconds for one step of 50 ms of one instance, from setting its inputs to
getting its outputs. `simulate_fmu` does all steps in one call, with its inputs as a table that is
known beforehand; `simulate_fmu_each` is called once for each step on an instance that stays, as a
twin must that learns its inputs as it goes (and as NVIDIA's ovfmi does). `limit` is the bare calls
into the library. Results are compared first.

The cases `state` are a save and a restore of one instance against fmpy's own wrappers.

    python -m benchmarks.fmu
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fmpy
import numpy as np
from fmpy.simulation import instantiate_fmu

from benchmarks._report import Case, cpu_seconds, paired, report
from stagetwin_sim.engine import Column, Engine, PlanBuilder
from stagetwin_sim.fmi import FmuPlan, FmuSystem, FmuUnit, read_fmu

MODELS = Path(__file__).parents[1] / "tests" / "sim" / "fmi" / "models"
FRAME = 0.05
STEPS = 2_000
ROUNDS = 5


def build(folder: Path) -> list[Path]:
    """Return the FMUs: two in Python, and a native one where there is a C compiler."""
    subprocess.run([sys.executable, str(MODELS / "build.py"), str(folder)], check=True)
    found = [folder / "Lag2.fmu", folder / "VanDerPol3.fmu"]
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is not None:
        library, path = folder / "ball3.so", folder / "Ball3.fmu"
        options = ["-std=c11", "-O2", "-shared", "-fPIC", "-o", str(library)]
        subprocess.run([compiler, *options, str(MODELS / "ball3.c"), "-lm"], check=True)
        with zipfile.ZipFile(path, "w") as archive:
            text = (MODELS / "ball3.xml").read_text()
            # Without event mode, so that all contenders do the same calls.
            archive.writestr("modelDescription.xml", text.replace('hasEventMode="true"', ""))
            archive.write(library, f"binaries/{fmpy.platform_tuple}/{library.name}")
        found.append(path)
    return found


def engine_of(path: Path, count: int = 1) -> Engine:
    """Return an engine with instances of an FMU, their inputs at 1."""
    fmu, builder = read_fmu(path), PlanBuilder(FRAME)
    units = []
    for i in range(count):
        inputs = [(v, builder.column(Column(f"/F{i}.{v.port}", value=1.0))) for v in fmu.inputs]
        outputs = [(v, builder.column(Column(f"/F{i}.{v.port}"))) for v in fmu.outputs]
        units.append(
            FmuUnit(
                place=f"/F{i}", fmu=fmu, inputs=tuple(inputs), outputs=tuple(outputs), step=FRAME
            )
        )
    builder.add(FmuPlan(units=tuple(units)))
    return builder.build().engine()


class Peer:
    """An FMU as fmpy's users step it."""

    def __init__(self, path: Path) -> None:
        self.folder = str(fmpy.extract(path))
        self.said = fmpy.read_model_description(self.folder, validate=False)
        self.outputs = [
            v
            for v in self.said.modelVariables
            if v.causality == "output" and v.type in _REALS and not v.dimensions
        ]
        self.inputs = [v for v in self.said.modelVariables if v.causality == "input"]
        self.names = [v.name for v in self.outputs]

    def instance(self) -> Any:
        """Return a new instance, not yet initialised."""
        return instantiate_fmu(self.folder, self.said, "CoSimulation")

    def run(self, steps: int) -> Any:
        """Do steps in one call."""
        names = [("time", np.float64), *((v.name, np.float64) for v in self.inputs)]
        signals = np.ones(steps + 1, np.dtype(names))
        signals["time"] = np.arange(steps + 1) * FRAME
        given: Any = signals if self.inputs else None
        return fmpy.simulate_fmu(
            self.folder,
            stop_time=steps * FRAME,
            step_size=FRAME,
            output_interval=FRAME,
            input=given,
            output=self.names,
            model_description=self.said,
            validate=False,
        )

    def initialised(self) -> Any:
        """Return an instance that is ready to step."""
        fmu = self.instance()
        self._call(fmu, 0.0, initialize=True, stop=0.0)
        return fmu

    def step(self, fmu: Any, time: float) -> Any:
        """Do one step with one call of `simulate_fmu`."""
        return self._call(fmu, time, initialize=False, stop=time + FRAME)

    def _call(self, fmu: Any, time: float, initialize: bool, stop: float) -> Any:
        return fmpy.simulate_fmu(
            self.folder,
            start_time=time,
            stop_time=stop,
            step_size=FRAME,
            output_interval=FRAME,
            start_values={v.name: 1.0 for v in self.inputs},
            output=self.names,
            model_description=self.said,
            fmu_instance=fmu,
            validate=False,
            initialize=initialize,
            terminate=False,
        )


_REALS = ("Real", "Float64")


def micro(run: Callable[[], Any], steps: int) -> float:
    """Return steps per microsecond of CPU time, higher being better."""
    with cpu_seconds() as spent:
        run()
        seconds = spent()
    return steps / (seconds * 1e6)


def check(path: Path) -> None:
    """Compare our results with those of one run of `simulate_fmu`."""
    engine, peer = engine_of(path), Peer(path)
    reference = peer.run(200)
    ports = [(n, engine.plan.column(f"/F0.{n}")) for n in peer.names]
    for i in range(1, 201):
        engine.step()
        row = engine.read()[0]
        for name, column in ports:
            assert np.isclose(row[column], float(reference[name][i]), rtol=1e-9, atol=1e-9), name


def bare(path: Path) -> Callable[[], None]:
    """Return a run of the library's calls alone."""
    kept = engine_of(path)  # owns the memory that the calls read and write
    inside: Any = vars(system(kept).instances[0][0])
    library, handle = inside["_library"], inside["_handle"]
    calls = inside["_sets"], inside["_gets"]
    extra = () if read_fmu(path).version == 2 else inside["_addresses"]
    at = 0

    def run() -> None:
        nonlocal at
        assert kept.worlds == 1
        for _ in range(STEPS):
            for function, arguments in calls[0]:
                function(*arguments)
            library.do_step(handle, at * FRAME, FRAME, 0, *extra)
            at += 1
            for function, arguments in calls[1]:
                function(*arguments)

    return run


def system(engine: Engine) -> FmuSystem:
    """Return the FMUs of an engine."""
    found = engine.systems["fmu"]
    assert isinstance(found, FmuSystem)
    return found


def stepping(path: Path) -> Case:
    """Measure one instance."""
    check(path)
    engine, peer, limit = engine_of(path), Peer(path), bare(path)
    engine.step(10)
    each, few = peer.initialised(), 200
    at = [0]

    def one_by_one() -> None:
        for _ in range(few):
            peer.step(each, at[0] * FRAME)
            at[0] += 1

    figures = paired(
        ROUNDS,
        lambda: micro(lambda: engine.step(STEPS), STEPS),
        lambda: micro(lambda: peer.run(STEPS), STEPS),
        lambda: micro(one_by_one, few),
        lambda: micro(limit, STEPS),
    )
    ours, whole, single, least = (1 / figure for figure in figures)
    peers = {"simulate_fmu": whole, "simulate_fmu_each": single, "limit": least}
    return Case(path.stem, ours, peers)


def many(path: Path, count: int = 100) -> Case:
    """Measure many instances of one file, each with a run of its own at the peer's."""
    engine, peer = engine_of(path, count), Peer(path)
    engine.step(2)
    steps = STEPS // count * 5

    def theirs() -> None:
        for _ in range(count):
            peer.run(steps)

    figures = paired(
        ROUNDS,
        lambda: micro(lambda: engine.step(steps), steps * count),
        lambda: micro(theirs, steps * count),
    )
    return Case(f"{path.stem} x{count}", 1 / figures[0], {"simulate_fmu": 1 / figures[1]})


def state(path: Path) -> Case:
    """Measure a save and a restore of one instance."""
    engine, peer = engine_of(path), Peer(path)
    fmus, turns = system(engine), 500
    slave = peer.initialised()
    first = fmus.save()
    engine.step(5)
    fmus.load(first)
    assert fmus.save()["state"][0, 0] == first["state"][0, 0]

    def ours() -> None:
        for _ in range(turns):
            fmus.load(fmus.save())

    def theirs() -> None:
        for _ in range(turns):
            held = slave.getFMUState()
            data = slave.serializeFMUState(held)
            slave.freeFMUState(held)
            back = slave.deserializeFMUState(data)
            slave.setFMUState(back)
            slave.freeFMUState(back)

    figures = paired(ROUNDS, lambda: micro(ours, turns), lambda: micro(theirs, turns))
    return Case(f"{path.stem} state", 1 / figures[0], {"fmpy": 1 / figures[1]})


def main() -> None:
    """Run all cases."""
    with tempfile.TemporaryDirectory() as folder:
        paths = build(Path(folder))
        cases = [stepping(path) for path in paths]
        cases += [many(paths[-1]), many(paths[0], 20)]
        cases += [state(path) for path in paths]
    report("fmu", "us/step", True, cases)


if __name__ == "__main__":
    main()
