"""Pumps, pipes, valves and tanks by themselves: against definitions, analysis and textbooks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from stagetwin_sim.engine import Column, GroupPlan, Kind, PlanBuilder
from stagetwin_sim.hydraulics import PIPE_LOSS, PUMP_CURVE, TANK_LEVEL, VALVE_FLOW
from tests.sim.hydraulics.networks import SPEED, Networks, put, value

G = 9.80665
WATER = 998.2


def observed(kind: Kind, inputs: list[list[float]], **given: float) -> dict[str, np.ndarray]:
    """Return the outputs of instances of a kind by name, one for each row of inputs."""
    builder, count = PlanBuilder(), len(inputs)
    ins = np.array(
        [
            [
                builder.column(Column(f"/{i}.in.{p.name}", value=row[j]))
                for i, row in enumerate(inputs)
            ]
            for j, p in enumerate(kind.inputs)
        ],
        np.int32,
    )
    outs = np.array(
        [[builder.column(Column(f"/{i}.{p.name}")) for i in range(count)] for p in kind.outputs],
        np.int32,
    )
    parameters = np.array(kind.parameter_values(given, "/X"))[:, None].repeat(count, axis=1)
    builder.add(
        GroupPlan(
            kind=kind,
            places=[f"/{i}" for i in range(count)],
            inputs=ins,
            outputs=outs,
            parameters=parameters,
        )
    )
    engine = builder.build().engine()
    engine.step()
    bus = engine.read()[0]
    return {p.name: bus[outs[j]] for j, p in enumerate(kind.outputs)}


def test_a_pump_delivers_its_rated_point() -> None:
    got = observed(PUMP_CURVE, [[0.02, 300.0]], rated_flow=0.02, rated_head=40.0, rated_speed=300.0)
    assert got["head"][0] == pytest.approx(40.0, rel=1e-12)
    assert got["efficiency"][0] == pytest.approx(0.75, rel=1e-12)
    assert got["shaft_power"][0] == pytest.approx(WATER * G * 0.02 * 40 / 0.75, rel=1e-12)
    assert got["npsh_required"][0] == pytest.approx(3.0, rel=1e-12)
    assert got["load_torque"][0] * 300.0 == pytest.approx(got["shaft_power"][0], rel=1e-12)


def test_affinity_laws() -> None:
    flows = [0.004, 0.0139, 0.02]
    for share in (0.3, 0.7, 1.1):
        full = observed(PUMP_CURVE, [[q, SPEED] for q in flows])
        part = observed(PUMP_CURVE, [[share * q, share * SPEED] for q in flows])
        assert part["head"] == pytest.approx(share**2 * full["head"], rel=1e-12)
        assert part["shaft_power"] == pytest.approx(share**3 * full["shaft_power"], rel=1e-12)
        assert part["efficiency"] == pytest.approx(full["efficiency"], rel=1e-12)
        assert part["npsh_required"] == pytest.approx(share**2 * full["npsh_required"], rel=1e-12)


def test_hydraulic_power_in_workshop_units() -> None:
    got = observed(PUMP_CURVE, [[q, SPEED] for q in (0.002, 0.01, 0.018)])
    litres, bar = np.array([0.002, 0.01, 0.018]) * 60e3, got["pressure_rise"] / 1e5
    assert got["hydraulic_power"] / 1e3 == pytest.approx(litres * bar / 600, rel=1e-12)


def test_efficiency_is_best_at_the_rated_point() -> None:
    flows = np.linspace(0.001, 0.027, 105)
    got = observed(PUMP_CURVE, [[q, SPEED] for q in flows], rated_flow=0.0139)
    assert flows[int(np.argmax(got["efficiency"]))] == pytest.approx(0.0139, rel=0.02)
    assert got["efficiency"].max() <= 0.75
    assert (np.diff(got["head"]) < 0).all()


@pytest.mark.parametrize("fault", ["wear", "leak", "blockage"])
def test_faults_take_head_and_efficiency(fault: str) -> None:
    sound = observed(PUMP_CURVE, [[0.0139, SPEED]])
    worse = [observed(PUMP_CURVE, [[0.0139, SPEED]], **{fault: x}) for x in (0.05, 0.1, 0.2)]
    for name in ("head", "efficiency"):
        shown = [float(each[name][0]) for each in (sound, *worse)]
        assert shown == sorted(shown, reverse=True)
        assert len(set(shown)) == 4
    assert observed(PUMP_CURVE, [[0.0139, SPEED]], wear=0.1)["head"][0] == pytest.approx(
        0.9 * sound["head"][0]
    )


def colebrook(reynolds: float, rough: float) -> float:
    """Return the friction factor of Colebrook (1939), which Swamee & Jain approximate."""
    return brentq(
        lambda f: 1 / math.sqrt(f) + 2 * math.log10(rough / 3.7 + 2.51 / reynolds / math.sqrt(f)),
        1e-3,
        1.0,
    )


@pytest.mark.parametrize("rough", [1e-6, 1e-4, 1e-3, 1e-2])
def test_turbulent_friction_is_within_three_percent_of_colebrook(rough: float) -> None:
    reynolds = [5e3, 2e4, 1e5, 1e6, 1e8]  # the range that the authors give
    area, viscosity = math.pi / 4 * 0.1**2, 1e-6
    got = observed(
        PIPE_LOSS,
        [[re * viscosity / 0.1 * area] for re in reynolds],
        viscosity=viscosity,
        diameter=0.1,
        roughness=rough * 0.1,
    )
    expected = [colebrook(re, rough) for re in reynolds]
    assert got["friction_factor"] == pytest.approx(expected, rel=0.03)


def test_laminar_flow_is_hagen_poiseuille() -> None:
    d, length, viscosity, q = 0.02, 10.0, 1e-4, 5e-5
    got = observed(PIPE_LOSS, [[q]], diameter=d, length=length, viscosity=viscosity)
    expected = 128 * viscosity * WATER * length * q / (math.pi * d**4)
    assert got["pressure_drop"][0] == pytest.approx(expected, rel=1e-12)


def test_friction_is_smooth_between_laminar_and_turbulent() -> None:
    area = math.pi / 4 * 0.1**2
    reynolds = np.linspace(1500, 5000, 701)
    got = observed(PIPE_LOSS, [[re * 1.004e-5 * area] for re in reynolds])  # nu = 1.004e-6
    loss = got["head_loss"]
    assert (np.diff(loss) > 0).all()
    slopes = np.diff(loss)
    assert np.abs(np.diff(slopes)).max() < 0.05 * slopes.max()


def test_minor_losses_are_velocity_heads() -> None:
    bare, fitted = (
        observed(PIPE_LOSS, [[0.01]], minor_loss=zeta)["head_loss"][0] for zeta in (0.0, 7.5)
    )
    v = 0.01 / (math.pi / 4 * 0.1**2)
    assert fitted - bare == pytest.approx(7.5 * v**2 / 2 / G, rel=1e-12)


def test_kv_is_the_flow_of_water_at_one_bar() -> None:
    got = observed(VALVE_FLOW, [[1.0, 1e5], [1.0, 4e5], [1.0, -1e5]], kv=36.0, density=1000.0)
    assert got["flow"] == pytest.approx([0.01, 0.02, -0.01], rel=1e-9)


@pytest.mark.parametrize(
    ("characteristic", "shares"),
    [
        (0, [0.0, 0.25, 0.5, 1.0]),
        (1, [0.0, 50**-0.75, 50**-0.5, 1.0]),
        (2, [0.0, 0.5, 0.5**0.5, 1.0]),
    ],
)
def test_inherent_characteristics(characteristic: float, shares: list[float]) -> None:
    rows = [[x, 1e5] for x in (0.0, 0.25, 0.5, 1.0)]
    got = observed(VALVE_FLOW, rows, characteristic=characteristic)
    assert got["share"] == pytest.approx(shares, rel=1e-12)


def numbers_of_a_tank(shape: float, level: float) -> tuple[float, float]:
    n = Networks().add("tank", "T", 0, volume=8.0, height=2.0, start_level=level, shape=shape)
    engine = n.plan().engine()
    engine.step()
    return value(engine, "/T.level"), value(engine, "/T.volume")


@pytest.mark.parametrize("level", [0.0, 0.01, 0.37, 1.0, 1.61, 2.0])
def test_volumes_of_tanks(level: float) -> None:
    r = 1.0
    segment = r**2 * math.acos((r - level) / r) - (r - level) * math.sqrt(
        max(2 * r * level - level**2, 0)
    )
    cap = math.pi * level**2 * (3 * r - level) / 3
    expected = [level / 2.0, segment / (math.pi * r**2), cap / (4 / 3 * math.pi * r**3)]
    for shape, share in enumerate(expected):
        shown, volume = numbers_of_a_tank(shape, level)
        assert volume == pytest.approx(8.0 * share, abs=1e-12)
        assert shown == pytest.approx(level, abs=1e-8)


def test_a_tank_level_follows_its_flow() -> None:
    builder = PlanBuilder()
    inflow = builder.column(Column("/T.flow", value=0.01))
    level, volume = builder.column(Column("/T.level")), builder.column(Column("/T.volume"))
    builder.add(
        GroupPlan(
            kind=TANK_LEVEL,
            places=["/T"],
            inputs=np.array([[inflow]], np.int32),
            outputs=np.array([[level], [volume]], np.int32),
            parameters=np.array(TANK_LEVEL.parameter_values({}, "/T"))[:, None],
        )
    )
    engine = builder.build().engine()
    engine.step(200)
    assert engine.read([level, volume])[0] == pytest.approx([1.53, 5.1], rel=1e-9)


def test_an_npsh_margin_falls_with_speed_and_a_blocked_suction() -> None:
    n = (
        Networks()
        .add("reservoir", "A", 0, elevation=-4.0)
        .add("pipe", "S", (0, 1), length=6.0)
        .add("pump", "P", (1, 2), {"speed": 0.6 * SPEED})
        .add("valve", "V", (2, 3), kv=40.0)
        .add("reservoir", "B", 3, elevation=2.0)
    )
    engine = n.plan().engine()
    margins = []
    for speed, blocked in ((0.6, 0.0), (1.0, 0.0), (1.0, 0.9)):
        put(engine, "/P.in.speed", speed * SPEED)
        put(engine, "/P.in.blockage", blocked)
        engine.step()
        margins.append(value(engine, "/P.cavitation_margin"))
        has = value(engine, "/P.npsh_available")
        if blocked == 0:
            absolute = value(engine, "/P.suction_pressure") + 101325.0 - 2339.0
            assert has == pytest.approx(absolute / (WATER * G), rel=1e-12)
    assert margins == sorted(margins, reverse=True)
    assert margins[0] > 0
    assert margins[2] < 0
