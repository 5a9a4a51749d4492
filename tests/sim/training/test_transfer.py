"""Policies are tried on a vehicle in newton whose parameters training does not know."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagetwin.fleets import VehicleType
from stagetwin_sim._errors import TrainingError
from stagetwin_sim.environments import KinematicsConfig
from stagetwin_sim.training._newton_vehicle import HiddenParameters, NewtonVehicles
from stagetwin_sim.training._nominal import NominalVehicle
from stagetwin_sim.training._transfer import LABEL, VARIANTS, transfer, variant_config
from stagetwin_sim.training._transfer_command import write_transfer

TYPE = VehicleType()
NOMINAL = HiddenParameters(
    mass=TYPE.mass,
    middle=0.0,
    wheel=1.0,
    track=1.0,
    friction=0.8,
    grip=300.0,
    torque=60.0,
    delay=0.0,
    noise=0.0,
)


def test_variants_randomise_what_they_say() -> None:
    delays = {name: max(t.delay.high for t in variant_config(name).actions) for name in VARIANTS}
    assert delays == {"none": 0, "delay": 3, "noise": 0, "physics": 0, "all": 3}
    noisy = {n for n in VARIANTS if any(t.noise for t in variant_config(n).observations)}
    drawn = {n for n in VARIANTS if variant_config(n).randomization}
    assert (noisy, drawn) == ({"noise", "all"}, {"physics", "all"})
    said = [t.noise for t in variant_config("all").observations if t.term.source == "action"]
    assert said == [0.0]
    with pytest.raises(TrainingError, match="a variant is one of none, delay"):
        variant_config("luck")


def test_hidden_parameters_are_off_what_training_takes_for_granted() -> None:
    drawn = [HiddenParameters.draw(seed, TYPE) for seed in range(50)]
    middle = {term.parameter: term.range for term in KinematicsConfig().randomization}
    friction = middle["friction"]
    half = (friction.high - friction.low) / 2
    for one in drawn:
        assert abs(one.friction - (friction.low + friction.high) / 2) >= 0.5 * half - 1e-9
        assert one.mass > TYPE.mass + 0.5 * TYPE.payload
        assert one.delay >= 0.15
    assert HiddenParameters.draw(3, TYPE) == drawn[3]
    assert len({dataclasses.astuple(one) for one in drawn}) == 50


def test_a_vehicle_in_newton_drives_as_its_wheels_turn() -> None:
    vehicles = NewtonVehicles(TYPE, [NOMINAL] * 3)
    vehicles.place(np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 1.2], [0.0, 0.0, 0.0]]))
    assert vehicles.poses()[1] == pytest.approx([1.0, 2.0, 1.2], abs=1e-5)
    for _ in range(20):
        vehicles.step(np.array([[0.5, 0.0], [0.5, 0.0], [0.0, 0.6]]), 0.1)
    straight, slanted, turned = vehicles.poses()
    # Up to speed by 0.8 m/s2, then on at 0.5 m/s.
    assert straight[0] == pytest.approx(2.0 * 0.5 - 0.5 * 0.5**2 / 0.8, abs=0.03)
    assert abs(straight[1]) < 0.01
    far = np.hypot(*(slanted[:2] - (1.0, 2.0)))
    assert far == pytest.approx(straight[0], abs=0.01)
    assert math.atan2(slanted[1] - 2.0, slanted[0] - 1.0) == pytest.approx(1.2, abs=0.02)
    assert turned[2] == pytest.approx(2.0 * 0.6 - 0.5 * 0.6**2 / 2.0, abs=0.06)
    assert vehicles.odometry()[0] == pytest.approx([0.5, 0.0], abs=0.01)
    assert vehicles.odometry()[2] == pytest.approx([0.0, 0.6], abs=0.02)


def test_casters_carry_and_do_not_brake() -> None:
    """They once had half of the wheels' friction: newton takes the mean of both sides."""
    weak = dataclasses.replace(NOMINAL, mass=340.0, middle=0.08, torque=13.0, grip=30.0)
    vehicles = NewtonVehicles(TYPE, [weak, dataclasses.replace(weak, friction=0.4)])
    vehicles.place(np.zeros((2, 3)))
    for _ in range(5):
        vehicles.step(np.array([[0.5, 0.0]] * 2), 0.1)
    # By the motors' force over the mass, with that of the turning wheels.
    expected = 0.5 * 2.0 * 13.0 / 0.1 / (340.0 + 2.0 * (0.05 + 0.02) / 0.1**2)
    assert vehicles.odometry()[:, 0] == pytest.approx([expected] * 2, rel=0.15)


def test_an_ablation_says_what_it_is(tmp_path: Path) -> None:
    found = transfer(
        iterations=3,
        worlds=64,
        trainings=1,
        vehicles=2,
        drives=2,
        variants=("none", "all"),
        seconds=3.0,
    )
    assert found.label == LABEL
    assert "sim-to-sim" in LABEL
    assert set(found.success) == set(found.gaps) == {"none", "all"}
    for gap in found.gaps.values():
        assert {one.signal for one in gap.signals} == {"x", "y", "theta", "speed", "rotation"}
        assert gap.seconds == pytest.approx(3.0)
        assert all(math.isfinite(one.rmse) for one in gap.signals)
    write_transfer(found, tmp_path)
    content = json.loads((tmp_path / "transfer.json").read_text())
    assert [one["mass"] for one in content["hidden"]] == [one.mass for one in found.hidden]
    assert found.hidden[0] != found.hidden[1]
    assert np.shape(content["shares"]["all"]) == (1, 2)
    text = (tmp_path / "transfer.md").read_text()
    assert "says nothing about a real vehicle" in text
    assert "| all | " in text
    assert (tmp_path / "gap-all.png").exists()
    with pytest.raises(TrainingError, match="at least one"):
        transfer(drives=0)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-9, 9)), min_size=1, max_size=40))
def test_a_drive_never_leaves_its_limits(commands: list[tuple[float, float]]) -> None:
    body, dt = NominalVehicle(TYPE, 0.0, 0.0, 0.0), 0.05
    for speed, rotation in commands:
        v, omega = body.v, body.omega
        body.step(speed, rotation, dt)
        assert -TYPE.reverse_speed <= body.v <= TYPE.speed
        assert abs(body.omega) <= TYPE.rotation_speed
        assert abs(body.omega - omega) <= TYPE.rotation_acceleration * dt + 1e-12
        assert body.v - v <= max(TYPE.acceleration, TYPE.deceleration) * dt + 1e-12
        assert v - body.v <= max(TYPE.deceleration, TYPE.acceleration) * dt + 1e-12
