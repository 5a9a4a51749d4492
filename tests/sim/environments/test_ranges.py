"""Ranges of randomised physics from the layers that a calibration writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stagetwin.bindings import read_bindings
from stagetwin.opening import open_stage
from stagetwin_sim._errors import CalibrationError
from stagetwin_sim.calibration import Fitted, write_parameter_set
from stagetwin_sim.calibration._statistics import Information
from stagetwin_sim.environments import KinematicsConfig, Parameter, Ranges, TaskError
from stagetwin_sim.process import DRIVE
from tests.sim.plant.stages import model
from tests.stages.plants import asset, plant, prim

KEYS = ("/Plant/V1.drive:LAG", "/Plant/V2.drive:LAG")


def fitted_layer(folder: Path, name: str, unit: str, low: float, high: float) -> Path:
    """Write a set with one parameter of the drives of two vehicles, the second's a little more."""
    vehicles = [prim(v, asset(v), model("drive", "drive")) for v in ("V1", "V2")]
    root = folder / "plant.usda"
    root.write_text(plant(*vehicles), encoding="utf-8")
    bindings = read_bindings(open_stage(root))
    models = {binding.path: binding for binding in bindings.models}
    count, outputs = 2, len(DRIVE.outputs)
    ends = np.array([[low, low], [high, high * 1.1]])
    values = ends.mean(0)[None]
    noise = np.zeros((outputs, count))
    certain = Information(
        matrix=np.eye(1),
        inverse=np.eye(1),
        eigenvalues=np.ones(1),
        rank=1,
        condition=1.0,
        unidentifiable=np.zeros(1, bool),
    )
    fitted = Fitted(
        kind=DRIVE,
        places=tuple(models),
        names=(name,),
        units=(unit,),
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
