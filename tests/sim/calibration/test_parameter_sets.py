"""From a recording of two motors to a layer on their stage, by the library and by the command."""

from __future__ import annotations

import csv
import datetime
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from pxr import Sdf
from typer.testing import CliRunner

from stagetwin.bindings import read_bindings
from stagetwin.opening import open_stage
from stagetwin_sim._errors import CalibrationError
from stagetwin_sim.calibration import (
    Recorded,
    Telemetry,
    apply_parameter_set,
    fit,
    gather,
    read_parameter_set,
    simulate,
    unproven,
    write_parameter_set,
)
from stagetwin_sim.commands import calibrate
from stagetwin_sim.plant import read_plant
from stagetwin_sim.process import MOTOR_THERMAL
from tests.sim.plant.stages import model, value_of
from tests.stages.plants import asset, plant, prim, telemetry

FREE = ("winding_capacity", "winding_conductance", "frame_conductance")
TRUTH = {
    "M1": {"winding_capacity": 4000.0, "winding_conductance": 25.0, "frame_conductance": 10.0},
    "M2": {"winding_capacity": 7000.0, "winding_conductance": 14.0, "frame_conductance": 6.0},
}
WHEN = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)


def motor(name: str) -> str:
    return prim(
        name,
        asset(name),
        telemetry("winding_loss", unit="kW", address=f"{name}/p", field="power"),
        telemetry("winding_temperature", unit="Cel", address=f"{name}/w"),
        telemetry("frame_temperature", unit="Cel", address=f"{name}/f"),
        model(
            "heat",
            "motor-thermal",
            reads=value_of(name, "winding_loss"),
            writes=[value_of(name, "winding_temperature"), value_of(name, "frame_temperature")],
            fidelity="engineering",
        ),
    )


def files(folder: Path, *, own: str = "") -> tuple[Path, Path]:
    """Write a plant of two motors (root layer over `assets.usda`), and a recording of them."""
    (folder / "assets.usda").write_text(plant(motor("M1"), motor("M2")), encoding="utf-8")
    root = folder / "plant.usda"
    root.write_text(f"#usda 1.0\n(\n    subLayers = [@./assets.usda@]\n)\n{own}", encoding="utf-8")
    rows = 900
    rng = np.random.default_rng(4)
    names = [p.name for p in MOTOR_THERMAL.parameters]
    guess = np.repeat(np.array([[p.value] for p in MOTOR_THERMAL.parameters]), 2, axis=1)
    for i, own_values in enumerate(TRUTH.values()):
        for name, value in own_values.items():
            guess[names.index(name), i] = value
    inputs = np.repeat(np.array([[p.value] for p in MOTOR_THERMAL.inputs]), 2, axis=1)
    inputs = np.repeat(inputs[None], rows, axis=0)
    inputs[:, 0] = np.repeat(rng.uniform(0.0, 900.0, (rows // 60, 2)), 60, axis=0)
    dry = Telemetry(dt=10.0, inputs=inputs, outputs=np.zeros((rows, 5, 2)))
    first = MOTOR_THERMAL.first_states(guess, inputs[0] * 0 + inputs[0, :, :])
    first[:2] = 295.15
    outputs = simulate(MOTOR_THERMAL, dry, guess, first)[:, :2] - 273.15
    outputs = outputs + rng.normal(0, 0.2, outputs.shape)
    recording = folder / "week.csv"
    with recording.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        columns = [f"{m}.{s}" for m in TRUTH for s in ("winding_loss", "winding_temperature")]
        writer.writerow(["datetime", *columns, "M1.frame_temperature", "M2.frame_temperature"])
        for t in range(rows):
            moment = WHEN + datetime.timedelta(seconds=10 * t)
            numbers = [
                value for i in (0, 1) for value in (inputs[t, 0, i] / 1000, outputs[t, 0, i])
            ]
            frame = [outputs[t, 1, 0], "" if t % 5 else outputs[t, 1, 1]]
            writer.writerow([moment.isoformat(), *numbers, *frame])
    return root, recording


def test_a_kind_is_fitted_and_its_set_makes_the_models_calibrated(tmp_path: Path) -> None:
    root, recording = files(tmp_path)
    stage = open_stage(root)
    found = read_plant(stage)
    gathered = gather(found, "motor-thermal", Recorded.open(recording))
    assert gathered.telemetry.places == ("/Plant/M1.heat", "/Plant/M2.heat")
    assert gathered.telemetry.dt == 10.0
    assert gathered.telemetry.inputs[0, 0, 0] > 1.0  # kW on the stage, W to the kind
    assert gathered.sources["/Plant/M1.heat:ambient"] == ""
    fitted = fit(gathered.kind, gathered.telemetry, free=FREE, parameters=gathered.parameters)
    for i, truth in enumerate(TRUTH.values()):
        for name, value in truth.items():
            row = fitted.row(name)
            assert abs(fitted.values[row, i] - value) < 4 * fitted.stderr[row, i]
            assert fitted.stderr[row, i] < 0.05 * value

    path = tmp_path / "parameters.usda"
    models = {i.binding.path: i.binding for i in gathered.instances}
    made = write_parameter_set(
        path, fitted, models, author="ada", version="7", source="week.csv", time=WHEN
    )
    assert (made.author, made.version, made.time) == ("ada", "7", "2026-11-21T12:00:00+00:00")
    assert made.data == gathered.telemetry.digest()
    assert made.calibrated == ("/Plant/M1.heat", "/Plant/M2.heat")
    assert set(made.values["/Plant/M2.heat"]) == set(FREE)
    assert "rank 5 of 5" in made.reports["/Plant/M1.heat"]
    assert sorted(os.listdir(tmp_path)) == [
        "assets.usda", "parameters.usda", "plant.usda", "week.csv",
    ]  # fmt: skip

    apply_parameter_set(root, path)
    apply_parameter_set(root, path)  # once is enough
    text = root.read_text(encoding="utf-8")
    assert text.index("parameters.usda") < text.index("assets.usda")
    assert text.count("parameters.usda") == 1
    stage.Reload()
    again = read_plant(stage)
    (first, _) = again.instances.values()
    assert first.fidelity == "calibrated"
    value = first.binding.parameters["winding_conductance"]
    assert value.value == pytest.approx(fitted.values[fitted.row("winding_conductance"), 0])
    assert unproven(stage, again.table.models) == []
    # Whoever overrules what was fitted, in whatever layer, has another model than the fitted one.
    one = stage.GetAttributeAtPath("/Plant/M1.twin:model:heat:param:winding_conductance")
    one.Set(9.0)
    (problem,) = read_plant(stage).problems
    assert "param:winding_conductance is from" in problem.message
    one.Clear()
    assert read_plant(stage).problems == []
    layer = Sdf.Layer.Find(str(path))
    spec = layer.GetAttributeAtPath(one.GetPath())
    was, spec.default = spec.default, 9.0
    (problem,) = unproven(stage, read_bindings(stage).models)
    assert "is 9.0, and" in problem.message
    spec.default = was

    # What was fitted beside a number that is not written would go with another plant.
    bounded = fitted.bounded.copy()
    bounded[fitted.row("frame_conductance"), 0] = True
    part = tmp_path / "part.usda"
    made = write_parameter_set(
        part, replace(fitted, bounded=bounded), models, author="ada", version="8"
    )
    assert (made.calibrated, set(made.values)) == (("/Plant/M2.heat",), {"/Plant/M2.heat"})
    assert "at a bound: frame_conductance" in made.reports["/Plant/M1.heat"]
    bounded[:] = True
    with pytest.raises(CalibrationError, match="the data determine no model: /Plant/M1"):
        write_parameter_set(
            part, replace(fitted, bounded=bounded), models, author="ada", version="9"
        )
    prim_of = stage.GetPrimAtPath("/Plant/M1")
    assert prim_of.GetAttribute("twin:modelVersion").Get() == "7"


def test_nobody_else_calls_a_model_calibrated(tmp_path: Path) -> None:
    root, _ = files(tmp_path)
    stage = open_stage(root)
    table = read_bindings(stage)
    assert unproven(stage, table.models) == []
    stage.GetAttributeAtPath("/Plant/M1.twin:model:heat:fidelity").Set("calibrated")
    (problem,) = unproven(stage, read_bindings(stage).models)
    assert (problem.prim, problem.code) == ("/Plant/M1", "model-uncalibrated")
    layer = stage.GetRootLayer()
    for data in ({}, {"reports": {"/Plant/M2.heat": "rank 5"}, "fitted": {}}):
        layer.customLayerData = {"stagetwinCalibration": data}
        (problem,) = unproven(stage, read_bindings(stage).models)
        assert "has no fit of /Plant/M1.heat" in problem.message


def test_a_set_that_would_be_overruled_is_not_applied(tmp_path: Path) -> None:
    own = (
        'over "Plant"\n{\n    over "M1"\n    {\n'
        "        double twin:model:heat:param:winding_capacity = 1\n    }\n}\n"
    )
    root, recording = files(tmp_path, own=own)
    before = root.read_bytes()
    gathered = gather(read_plant(open_stage(root)), "/Plant/M1.heat", Recorded.open(recording))
    fitted = fit(gathered.kind, gathered.telemetry, free=FREE, starts=2)
    path = tmp_path / "set.usda"
    models = {i.binding.path: i.binding for i in gathered.instances}
    write_parameter_set(path, fitted, models, author="ada", version="1")
    with pytest.raises(CalibrationError, match="param:winding_capacity itself, which is stronger"):
        apply_parameter_set(root, path)
    assert root.read_bytes() == before
    with pytest.raises(CalibrationError, match="is no set of parameters"):
        read_parameter_set(tmp_path / "assets.usda")
    with pytest.raises(CalibrationError, match=r"no model /Plant/M1\.heat on the stage"):
        write_parameter_set(path, fitted, {}, author="ada", version="1")


def test_the_command_fits_draws_writes_and_applies(tmp_path: Path) -> None:
    root, recording = files(tmp_path)
    layer, picture = tmp_path / "set.usda", tmp_path / "fit.png"
    app = typer.Typer()
    app.command()(calibrate)
    asked = [
        str(root), "/Plant/M1.heat", "--data", str(recording), "--free",
        ",".join(FREE), "--author", "ada", "--version", "3", "-o", str(layer), "--apply",
        "--picture", str(picture),
    ]  # fmt: skip
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "winding_conductance" in done.output
    assert "now a sublayer of" in done.output
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert read_parameter_set(layer).version == "3"
    assert "set.usda" in root.read_text(encoding="utf-8")

    told = CliRunner().invoke(app, [*asked[:6], "--json"])
    said = json.loads(told.output)
    assert said["kind"] == "motor-thermal"
    value = said["models"][0]["parameters"]["winding_capacity"]
    assert value["low"] < TRUTH["M1"]["winding_capacity"] < value["high"]


def test_what_a_recording_lacks_is_named(tmp_path: Path) -> None:
    root, recording = files(tmp_path)
    found = read_plant(open_stage(root))
    text = recording.read_text(encoding="utf-8")
    (tmp_path / "none.csv").write_text(text.replace("M1.winding_loss", "x"), encoding="utf-8")
    with pytest.raises(CalibrationError, match=r"/Plant/M1.heat: no column of .* input winding_"):
        gather(found, "/Plant/M1.heat", Recorded.open(tmp_path / "none.csv"))
    named = gather(
        found, "/Plant/M1.heat", Recorded.open(tmp_path / "none.csv"), {"winding_loss": "x"}
    )
    assert named.telemetry.inputs[:, 0].max() > 100.0  # [W], from the signal's kW
    with pytest.raises(CalibrationError, match=r"no model /Plant/M9\.heat runs; there are"):
        gather(found, "/Plant/M9.heat", Recorded.open(recording))
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(CalibrationError, match="tells the time; there are a, b"):
        Recorded.open(tmp_path / "odd.csv")
    with pytest.raises(CalibrationError, match="cannot be read"):
        Recorded.open(tmp_path / "absent.csv")
