"""Lidars and depth cameras: against distances that can be computed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pxr import Usd

from stagetwin_sim._errors import ModelError
from stagetwin_sim.bodies import BodiesPlan, BodiesSystem, BodyScene, read_mount, read_scene
from stagetwin_sim.engine import Engine, PlanBuilder
from stagetwin_sim.sensing import (
    Fan,
    Rays,
    RaySensor,
    camera_fan,
    camera_fan_of,
    lidar_fan,
    sensor_of,
)
from tests.sim.bodies.scenes import Scene, stage_of

# newton compiles for minutes the first time on a busy machine.
pytestmark = pytest.mark.timeout(900)

EYE, FALLER = "/Cell/Eye", "/Cell/Faller"


@pytest.fixture(scope="module")
def stage() -> Usd.Stage:
    """A wall, a ball, a thing that falls with an eye on it, and eyes that stand still."""
    scene = Scene()
    scene.ground()
    scene.box("Wall", (4, 0, 1), (0.2, 6, 2))
    scene.box("Faller", (0, 30, 50), (0.4, 0.4, 0.4), mass=2)
    scene.text += """
def Sphere "Ball" (prepend apiSchemas = ["PhysicsCollisionAPI"])
{
    double radius = 0.5
    double3 xformOp:translate = (-3, 0, 1)
    uniform token[] xformOpOrder = ["xformOp:translate"]
}
def Xform "Eye"
{
    double3 xformOp:translate = (0, 0, 1)
    uniform token[] xformOpOrder = ["xformOp:translate"]
}
def Camera "Down"
{
    float focalLength = 20
    float horizontalAperture = 20
    float verticalAperture = 10
    double3 xformOp:translate = (-3, 0, 5)
    uniform token[] xformOpOrder = ["xformOp:translate"]
}
"""
    return stage_of(scene)


@pytest.fixture(scope="module")
def scene(stage: Usd.Stage) -> BodyScene:
    return read_scene(stage, "/Cell")


def sensing(
    stage: Usd.Stage, scene: BodyScene, fan: Fan, at: str = EYE, worlds: int = 1, **options: Any
) -> tuple[Engine, Rays]:
    """Return an engine with one sensor."""
    builder = PlanBuilder()
    sensor = RaySensor(name="eye", mount=read_mount(stage, scene, at), fan=fan, **options)
    builder.add(BodiesPlan(scene=scene, name="bodies", hooks=[sensor]))
    engine = builder.build().engine(worlds)
    system = engine.systems["bodies"]
    assert isinstance(system, BodiesSystem)
    return engine, sensor_of(system, "eye")


def test_a_lidar_measures_what_geometry_says(stage: Usd.Stage, scene: BodyScene) -> None:
    fan = lidar_fan(360)
    _, rays = sensing(stage, scene, fan)
    scan = rays.scan()
    angles = np.linspace(-math.pi, math.pi, 360, endpoint=False)
    wall = np.abs(np.tan(angles)) * 3.9 <= 3.0
    wall &= np.cos(angles) > 0
    assert scan.ranges[0, wall] == pytest.approx(3.9 / np.cos(angles[wall]), rel=1e-5)
    # The ball: nearer root of |o + t d - c| = r.
    along = -3.0 * np.cos(angles)
    inside = along**2 - (9.0 - 0.25)
    ball = (inside > 1e-4) & (along > 0)
    assert scan.ranges[0, ball] == pytest.approx(along[ball] - np.sqrt(inside[ball]), rel=1e-4)
    assert np.isinf(scan.ranges[0, ~wall & (inside < -1e-4)]).all()
    assert {rays.path(int(i)) for i in scan.shapes[0, wall]} == {"/Cell/Wall"}
    assert {rays.path(int(i)) for i in scan.shapes[0, ball]} == {"/Cell/Ball"}
    assert rays.path(-1) == ""


def test_layers_look_down_on_the_ground(stage: Usd.Stage, scene: BodyScene) -> None:
    fan = lidar_fan(8, layers=(-0.5, -0.3))
    _, rays = sensing(stage, scene, fan)
    ranges = rays.scan().ranges[0].reshape(fan.shape)
    assert ranges[0] == pytest.approx(np.full(8, 1 / math.sin(0.5)), rel=1e-5)
    assert ranges[1, [1, 2, 3, 5, 6, 7]] == pytest.approx(1 / math.sin(0.3), rel=1e-5)


def test_a_camera_gives_depth_and_what_it_sees(stage: Usd.Stage, scene: BodyScene) -> None:
    fan = camera_fan_of(stage, "/Cell/Down", 80)
    assert fan.shape == (40, 80)
    _, rays = sensing(stage, scene, fan, "/Cell/Down")
    scan = rays.scan()
    depth = fan.depths(scan.ranges)[0]
    seen = scan.shapes[0].reshape(fan.shape)
    ground = seen == scene.shapes["/Cell/Ground"]
    ball = seen == scene.shapes["/Cell/Ball"]
    assert depth[ground] == pytest.approx(np.full(ground.sum(), 5.0), rel=1e-5)
    assert depth[ball].min() == pytest.approx(3.5, abs=2e-3)
    # The ball's outline: a circle of sin(a) = r / distance.
    pixel = 1.0 / 80
    outline = math.pi * math.tan(math.asin(0.5 / 4.0)) ** 2 / pixel**2
    assert ball.sum() == pytest.approx(outline, rel=0.05)
    assert ground.sum() + ball.sum() == seen.size


def test_what_moves_is_seen_where_it_is(stage: Usd.Stage, scene: BodyScene) -> None:
    down = Fan(np.array([[0.0, 0.0, -1.0]]), (1, 1))
    engine, rays = sensing(stage, scene, down, FALLER, near=0.3)  # not its own skin
    assert rays.scan().ranges == pytest.approx(np.array([[50.0]]), rel=1e-5)
    engine.step(20)
    fallen = 9.81 * 1.0**2 / 2
    assert rays.scan().ranges == pytest.approx(np.array([[50 - fallen]]), abs=0.03)


def test_a_sensor_sees_only_its_own_world(stage: Usd.Stage, scene: BodyScene) -> None:
    fan = lidar_fan(90)
    _, one = sensing(stage, scene, fan, noise=0.02, dropout=0.1)
    _, many = sensing(stage, scene, fan, worlds=3, noise=0.02, dropout=0.1)
    alone, among = one.scan(), many.scan()
    for world in range(3):
        assert np.array_equal(among.ranges[world], alone.ranges[0])
        assert np.array_equal(among.shapes[world], alone.shapes[0])


def test_noise_and_dropout_are_as_asked_and_go_on_from_any_moment(
    stage: Usd.Stage, scene: BodyScene
) -> None:
    fan = lidar_fan(4001, -0.5, 0.5)  # all on the wall
    engine, rays = sensing(stage, scene, fan, noise=0.02, dropout=0.1)
    true = 3.9 / np.cos(np.linspace(-0.5, 0.5, 4001))
    first = rays.scan()
    saved = engine.save()
    second = rays.scan()
    back = np.isfinite(first.ranges[0])
    assert 1 - back.mean() == pytest.approx(0.1, abs=0.02)
    apart = (first.ranges[0] - true)[back]
    assert apart.std() == pytest.approx(0.02, rel=0.06)
    assert apart.mean() == pytest.approx(0, abs=2e-3)
    both = back & np.isfinite(second.ranges[0])
    correlated = np.corrcoef((first.ranges[0] - true)[both], (second.ranges[0] - true)[both])
    assert abs(correlated[0, 1]) < 0.06
    engine.restore(saved)
    assert np.array_equal(rays.scan().ranges, second.ranges)
    system = engine.fork().systems["bodies"]
    assert isinstance(system, BodiesSystem)
    assert not np.array_equal(sensor_of(system, "eye").scan().ranges, second.ranges)


def test_what_is_out_of_range_is_not_seen(stage: Usd.Stage, scene: BodyScene) -> None:
    ahead = Fan(np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]), (1, 2))
    _, rays = sensing(stage, scene, ahead, far=3.0)
    scan = rays.scan()
    assert scan.ranges == pytest.approx(np.array([[math.inf, 2.5]]), rel=1e-5)
    assert scan.shapes[0, 0] == -1


def test_a_sensor_that_is_none_is_refused(stage: Usd.Stage, scene: BodyScene) -> None:
    mount = read_mount(stage, scene, EYE)
    for options, message in (
        ({"near": 2.0, "far": 1.0}, "/Cell/Eye: near must be in"),
        ({"dropout": 1.5}, "/Cell/Eye: noise is not negative"),
    ):
        with pytest.raises(ModelError, match=message):
            RaySensor(name="eye", mount=mount, fan=lidar_fan(1), **options)
    with pytest.raises(ModelError, match="at least 1 ray"):
        lidar_fan(0)
    with pytest.raises(ModelError, match="needs pixels"):
        camera_fan(0, 3, 1.0, 1.0)
    with pytest.raises(ModelError, match="/Cell/Wall: it is no perspective camera"):
        camera_fan_of(stage, "/Cell/Wall", 10)
    with pytest.raises(ModelError, match="no such prim"):
        read_mount(stage, scene, "/Nowhere")
