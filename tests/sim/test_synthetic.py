"""The synthetic model: within limits, alike where machines are coupled, and repeatable."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pxr import Usd

from stagetwin.bindings import Limits, TelemetryBinding, read_bindings
from stagetwin.opening import open_stage
from stagetwin.ports import ValueKind, find_model
from stagetwin_sim.synthetic import Hints, SyntheticModel
from stagetwin_sim.testbed import COLUMNS, make_rows
from tests.stages.plants import asset, plant, prim, telemetry

HARD, SOFT = (0.0, 100.0), (10.0, 80.0)


def binding(signal: str = "flow", type_name: str = "double", **changes: Any) -> TelemetryBinding:
    asset_path = changes.pop("asset", "/World/Line1/P101")
    values: dict[str, Any] = {
        "prim": asset_path,
        "asset": asset_path,
        "signal": signal,
        "connection": "plant",
        "address": f"{asset_path}/{signal}",
        "field": "",
        "encoding": "auto",
        "unit": "1",
        "scale": 1.0,
        "offset": 0.0,
        "target": f"{asset_path}.twin:telemetry:{signal}:value",
        "element": -1,
        "type_name": type_name,
        "limits": Limits(HARD[0], HARD[1], SOFT[0], SOFT[1]),
        "deadband": 0.0,
        "stale_after": 10.0,
        "redundancy_group": "",
        "availability": "",
        **changes,
    }
    return TelemetryBinding(**values)


def run(bindings: Sequence[TelemetryBinding], steps: int, dt: float = 0.5, seed: int = 3) -> Any:
    model = SyntheticModel(bindings, seed)
    return [model.step(dt) for _ in range(steps)]


def columns(bindings: Sequence[TelemetryBinding], steps: int = 2000) -> Any:
    return np.array(run(bindings, steps), float).T


def test_the_same_seed_gives_the_same_values() -> None:
    some = [binding(), binding("running", "bool"), binding("recipe", "string")]
    assert run(some, 50) == run(some, 50)
    assert run(some, 50) != run(some, 50, seed=4)


@given(
    low=st.floats(-1e6, 1e6),
    span=st.floats(1e-3, 1e6),
    type_name=st.sampled_from(["double", "float", "int", "double3", "double[]"]),
    signal=st.sampled_from(["flow", "power", "joint1", "travel", "hours", "pressure", "x"]),
    dt=st.floats(1e-3, 1e4),
)
def test_values_stay_within_the_hard_limits(
    low: float, span: float, type_name: str, signal: str, dt: float
) -> None:
    limits = Limits(low, low + span, low + span / 10, low + span / 2)
    for (value,) in run([binding(signal, type_name, limits=limits)], 20, dt):
        numbers = value if isinstance(value, list) else [value]
        # Integers are rounded down, and may then lie below a limit that is none.
        slack = 1 if type_name == "int" else 1e-9 * (abs(low) + span)
        assert all(low - slack <= n <= low + span + slack for n in numbers)


@given(unit=st.text(max_size=8), signal=st.text(min_size=1, max_size=12))
def test_signals_without_limits_are_finite(unit: str, signal: str) -> None:
    for (value,) in run([binding(signal, unit=unit, limits=Limits())], 5):
        assert math.isfinite(value)


def test_ordinary_values_are_healthy_and_excursions_rare() -> None:
    many = [binding("flow", asset=f"/World/Line1/P{i}") for i in range(40)]
    values = columns(many)
    beyond = (values < SOFT[0]) | (values > SOFT[1])
    assert 0 < beyond.mean() < 0.02
    assert values.std(axis=1).min() > 1.0


def test_signals_of_a_machine_go_together_and_heat_comes_late() -> None:
    speed, flow, heat = columns([binding(s) for s in ("speed", "flow", "bearing_temperature")])
    other = columns([binding("speed"), binding("flow", asset="/World/Line2/P201")])[1]
    assert np.corrcoef(speed, flow)[0, 1] > 0.85
    assert abs(np.corrcoef(speed, other)[0, 1]) < 0.5
    lags = [np.corrcoef(speed[: -k or None], heat[k:])[0, 1] for k in range(0, 80, 4)]
    assert int(np.argmax(lags)) * 4 * 0.5 > 3


def test_twins_of_a_sensor_agree() -> None:
    pair = [binding(f"level_{x}", redundancy_group="level") for x in "ab"]
    a, b = columns(pair)
    assert 0 < np.abs(a - b).max() < 1.0


def test_signals_of_one_place_on_the_wire_are_one_number() -> None:
    shared = {"address": "valve/position"}
    position = binding("position", scale=0.9, limits=Limits(0, 90, 0, 90), **shared)
    opening = binding("opening", limits=Limits(0, 100, 0, 100), **shared)
    degrees, percent = columns([position, opening], 50)
    np.testing.assert_allclose(degrees, percent * 0.9)


def test_counters_count_up_and_turns_come_round() -> None:
    turn = binding("rotor_angle", limits=Limits(0, 360))
    hours, angle = columns([binding("hours", limits=Limits(0, 4e5)), turn], 200)
    assert (np.diff(hours) > 0).all()
    assert angle.min() < 30
    assert angle.max() > 330


def test_switches_and_words_change_seldom() -> None:
    some = [binding("running", "bool"), binding("recipe", "string")]
    rows = run(some, 1000)
    for k in range(2):
        changes = sum(a[k] != b[k] for a, b in itertools.pairwise(rows))
        assert changes < 60
    assert sum(row[0] for row in rows) > 900


def test_a_machine_that_stands_still_pumps_nothing() -> None:
    some = [
        binding("running", "bool"),
        binding("flow", limits=Limits(0, 100, 0, 80)),
        binding("state", "token"),
    ]
    words = {some[2].target: ("stopped", "running")}
    model = SyntheticModel(some, 1, Hints(words=words))
    rows = [model.step(1.0) for _ in range(20_000)]
    stood = [after for before, after in zip(rows, rows[4:], strict=False) if _stands(before, after)]
    assert stood
    assert max(flow for _, flow, _ in stood) < 15
    assert {state for _, _, state in stood} == {"stopped"}


def _stands(before: list[Any], after: list[Any]) -> bool:
    return not before[0] and not after[0]


@pytest.fixture(scope="module")
def factory() -> tuple[Usd.Stage, list[TelemetryBinding]]:
    from stagetwin._data import factory_folder

    stage = open_stage(factory_folder() / "factory.usda")
    return stage, list(read_bindings(stage).telemetry.values())


def test_every_signal_of_the_factory_has_a_value_of_its_kind(
    factory: tuple[Usd.Stage, list[TelemetryBinding]],
) -> None:
    stage, bindings = factory
    model = find_model("synthetic").of_stage(stage, bindings, seed=1)
    for _ in range(50):
        values = model.step(0.2)
    plain = {
        ValueKind.NUMBER: float,
        ValueKind.INTEGER: int,
        ValueKind.BOOLEAN: bool,
        ValueKind.TEXT: str,
        ValueKind.COMPOSITE: list,
    }
    for each, value in zip(bindings, values, strict=True):
        assert type(value) is plain[each.value_type.kind], each.path
        if each.value_type.kind is ValueKind.COMPOSITE:
            # The converter that real messages go through takes it.
            each.value_type.convert(value, 1.0, 0.0, -math.inf, math.inf)
        if tokens := stage.GetAttributeAtPath(each.target).GetMetadata("allowedTokens"):
            assert value in tokens, each.path


def test_vehicles_begin_where_they_stand_and_move_smoothly(
    factory: tuple[Usd.Stage, list[TelemetryBinding]],
) -> None:
    stage, bindings = factory
    poses = [b for b in bindings if b.target.endswith("xformOp:transform:live")]
    assert len(poses) == 12
    model = SyntheticModel.of_stage(stage, poses, seed=1)
    before = [np.array(stage.GetAttributeAtPath(b.target).Get()) for b in poses]
    for _ in range(200):
        after = [np.array(value) for value in model.step(0.1)]
        for a, b in zip(before, after, strict=True):
            assert np.abs(a - b).max() < 0.2
            np.testing.assert_allclose(b[:3, :3] @ b[:3, :3].T, np.eye(3), atol=1e-9)
        before = after


def test_hints_are_read_from_a_stage() -> None:
    text = plant(
        prim(
            "Pump",
            asset("p1"),
            telemetry("state", "token", "p1/state"),
            telemetry("flow", "double", "p1/flow", hard=HARD, soft=SOFT),
        )
    )
    stage = Usd.Stage.CreateInMemory()
    stage.GetRootLayer().ImportFromString(text)
    bindings = list(read_bindings(stage).telemetry.values())
    target = next(b.target for b in bindings if b.signal == "state")
    stage.GetAttributeAtPath(target).SetMetadata("allowedTokens", ["on", "off"])
    assert Hints.of_stage(stage, bindings).words == {target: ("on", "off")}


@pytest.mark.parametrize("dt", [0.0, -1.0, math.nan, math.inf])
def test_a_step_must_go_forward(dt: float) -> None:
    with pytest.raises(ValueError, match="dt must be positive"):
        SyntheticModel([binding()]).step(dt)


def test_a_model_of_nothing_is_empty() -> None:
    assert SyntheticModel([]).step(1.0) == []


def test_it_is_quick_enough_for_a_plant() -> None:
    many = [binding(f"flow{i}", asset=f"/World/P{i // 10}") for i in range(10_000)]
    model = SyntheticModel(many)
    model.step(0.1)
    began = time.process_time()
    for _ in range(5):
        model.step(0.1)
    assert (time.process_time() - began) / 5 < 0.25


# -- the made-up recording


def test_the_recording_has_the_columns_and_one_fault_in_the_middle() -> None:
    rows = make_rows(600)
    assert all(len(row) == len(COLUMNS) for row in rows)
    table = {name: [row[k] for row in rows] for k, name in enumerate(COLUMNS)}
    anomalous = np.array(table["anomaly"], float)
    flow = np.array(table["Volume Flow RateRMS"], float)
    assert np.flatnonzero(np.diff(anomalous)).tolist() == [
        int(k) - 1 for k in np.flatnonzero(np.array(table["changepoint"], float))
    ]
    assert 0.15 < anomalous.mean() < 0.35
    assert flow[anomalous == 1].mean() < flow[anomalous == 0].mean() - 20


def test_the_shipped_recording_is_what_the_script_makes(tmp_path: Any) -> None:
    from stagetwin._data import factory_folder

    made = tmp_path / "made.csv"
    subprocess.run([sys.executable, "-m", "stagetwin_sim.testbed", str(made)], check=True)
    shipped = factory_folder() / "recordings" / "testbed_synthetic.csv"
    assert shipped.read_text() == made.read_text()
