"""Ranges of randomised physics from the layers that a calibration writes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from stagetwin.bindings import read_bindings
from stagetwin.opening import open_stage
from stagetwin_sim._errors import CalibrationError
from stagetwin_sim.calibration import Fitted, write_parameter_set
from stagetwin_sim.calibration._statistics import Information
from stagetwin_sim.environments import KinematicsConfig, Ranges, TaskError
from stagetwin_sim.process import DRIVE
from tests.sim.plant.stages import model
from tests.stages.plants import asset, plant, prim

KEYS = ("/Plant/V1.drive:thermal_time", "/Plant/V2.drive:thermal_time")


def fitted_layer(folder: Path, low: float, high: float) -> Path:
    """Write a set with a time of the drives of two vehicles [s], the second's a little more.

    The plant has it in milliseconds, and so has the set.
    """
    drive = model("drive", "drive", parameters={"thermal_time": (100.0, "ms")})
    vehicles = [prim(v, asset(v), drive) for v in ("V1", "V2")]
    root = folder / "plant.usda"
    root.write_text(plant(*vehicles), encoding="utf-8")
    bindings = read_bindings(open_stage(root))
    models = {binding.path: binding for binding in bindings.models}
    count, outputs = 2, len(DRIVE.outputs)
    ends = np.array([[low, low], [high, high * 1.1]])
    values = ends.mean(0)[None]
    noise = np.zeros((outputs, count))
    certain = Information(
        eigenvalues=np.ones(1),
        directions=np.eye(1),
        rank=1,
        condition=1.0,
        unidentifiable=np.zeros(1, bool),
        inverse=np.eye(1),
    )
    fitted = Fitted(
        kind=DRIVE,
        places=tuple(models),
        names=("thermal_time",),
        units=("s",),
        parameters=np.zeros((len(DRIVE.parameters), count)),
        first=np.zeros((len(DRIVE.states), count)),
        values=values,
        stderr=values * 0.1,
        low=ends[:1],
        high=ends[1:],
        level=0.95,
        noise=noise,
        measurement_noise=noise,
        process_noise=noise,
        correlated=np.zeros(count, bool),
        agreement=np.ones(count),
        outputs=np.zeros((3, outputs, count)),
        iterations=1,
        information=(certain, certain),
        bounded=np.zeros((1, count), bool),
        data="0",
        rows=3,
        dt=0.1,
    )
    path = folder / "vehicles.usda"
    write_parameter_set(path, fitted, models, author="ada", version="3")
    return path


def test_intervals_become_ranges(tmp_path: Path) -> None:
    ranges = Ranges.from_parameter_set(fitted_layer(tmp_path, 0.1, 0.2))
    assert tuple(ranges) == KEYS
    assert len(ranges) == 2
    assert ranges[KEYS[0]].unit == "ms"
    assert ranges[KEYS[0]].low == pytest.approx(100.0)
    lag = KinematicsConfig().parameter("lag")
    term = ranges.randomization(lag, *KEYS)
    assert (term.parameter, term.mode, term.range.distribution) == ("lag", "reset", "normal")
    assert term.range.low == pytest.approx(0.1)
    assert term.range.high == pytest.approx(0.22)  # of both vehicles
    config = KinematicsConfig().with_randomization(term)
    assert [t.range for t in config.randomization if t.parameter == "lag"] == [term.range]


def test_ranges_that_say_nothing_of_a_parameter_are_refused(tmp_path: Path) -> None:
    ranges = Ranges.from_parameter_set(fitted_layer(tmp_path, 0.1, 90.0))
    lag, mass = (KinematicsConfig().parameter(name) for name in ("lag", "mass"))
    with pytest.raises(TaskError, match=r"no interval of /Plant/V3.*version 3 has /Plant/V1"):
        ranges.randomization(lag, "/Plant/V3.drive:thermal_time")
    with pytest.raises(TaskError, match=r"mass: /Plant/V1.*is in ms"):
        ranges.randomization(mass, KEYS[0])
    with pytest.raises(TaskError, match=r"within \[0, 5\] s, and .* fitted to \[0.1, 90\]"):
        ranges.randomization(lag, KEYS[0])
    with pytest.raises(TaskError, match="name what it is fitted as"):
        ranges.randomization(lag)
    with pytest.raises(TaskError, match="no parameter 'wind'"):
        KinematicsConfig().parameter("wind")
    plain = tmp_path / "plain.usda"
    plain.write_text("#usda 1.0\n", encoding="utf-8")
    with pytest.raises(CalibrationError, match="no set of parameters"):
        Ranges.from_parameter_set(plain)


def test_an_interval_that_the_data_cannot_tell_is_left_out(tmp_path: Path) -> None:
    layer = fitted_layer(tmp_path, 0.1, 0.2)
    text = layer.read_text(encoding="utf-8")
    changed = re.sub(r"double high = [^\n]*", "double high = inf", text, count=1)
    assert changed != text
    layer.write_text(changed, encoding="utf-8")
    assert tuple(Ranges.from_parameter_set(layer)) == KEYS[1:]
