"""Robots from files to a stage and back into newton."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import newton
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pxr import Usd, UsdGeom, UsdPhysics
from typer.testing import CliRunner

from stagetwin.bindings import read_bindings
from stagetwin.cli import app
from stagetwin.cli._app import add_installed_commands
from stagetwin_sim.bodies import BodyScene, read_scene
from stagetwin_sim.robots import ImportedRobot, RobotError, Telemetry, import_robot, read_source
from tests.sim.robots.files import ARM, BASE, GRIPPER, WEDGE, link

ROBOTS = {"arm.urdf": ARM, "gripper.urdf": GRIPPER, "base.xml": BASE}

PER_FREEDOM = (
    "limit_lower", "limit_upper", "velocity_limit", "effort_limit", "damping", "friction",
    "armature", "target_ke", "target_kd", "limit_ke", "limit_kd",
)  # fmt: skip


def written(folder: Path, name: str, text: str = "") -> Path:
    (folder / "wedge.obj").write_text(WEDGE)
    path = folder / name
    path.write_text(text or ROBOTS[name])
    return path


def reread(robot: ImportedRobot) -> BodyScene:
    scene = read_scene(Usd.Stage.Open(robot.layer), robot.prim, visuals=True)
    assert scene.problems == []
    return scene


def last(label: str) -> str:
    return label.replace(" ", "_").rpartition("/")[2]


def order(ours: Any, theirs: Any, what: str) -> list[tuple[int, int]]:
    """Pair what is of one name in two builders; newton may order siblings as it likes."""
    names = [
        {last(each): i for i, each in enumerate(getattr(b, f"{what}_label"))}
        for b in (ours, theirs)
    ]
    free = {int(j) for j, t in enumerate(ours.joint_type) if t == newton.JointType.FREE}
    wanted = {n: i for n, i in names[0].items() if what != "joint" or i not in free}
    assert set(wanted) <= set(names[1])
    return [(i, names[1][name]) for name, i in wanted.items()]


def unlimited(value: float) -> float:
    return math.copysign(1e6, value) if abs(value) >= 1e6 else value


def turned(builder: Any, j: int, side: str, axis: Any) -> Any:
    import warp as wp

    pose = getattr(builder, f"joint_X_{side}")[j]
    return np.array(wp.quat_rotate(wp.quat(*(float(v) for v in pose[3:7])), wp.vec3(*axis)))


def same(ours: Any, theirs: Any) -> None:
    """Compare everything that moves a robot, by name."""
    assert theirs.body_count == ours.body_count
    assert theirs.joint_count == ours.joint_count
    for a, b in order(ours, theirs, "body"):
        for name in ("mass", "com", "inertia"):
            one, other = (
                np.array(getattr(builder, f"body_{name}")[i], np.float64)
                for builder, i in ((ours, a), (theirs, b))
            )
            assert np.allclose(other, one, rtol=1e-4, atol=1e-6), (ours.body_label[a], name)
    bodies = dict(order(ours, theirs, "body"))
    bodies[-1] = -1
    for a, b in order(ours, theirs, "joint"):
        label = ours.joint_label[a]
        assert theirs.joint_type[b] == ours.joint_type[a], label
        assert theirs.joint_parent[b] == bodies[int(ours.joint_parent[a])], label
        assert theirs.joint_child[b] == bodies[int(ours.joint_child[a])], label
        assert tuple(theirs.joint_dof_dim[b]) == tuple(ours.joint_dof_dim[a]), label
        first, second = int(ours.joint_qd_start[a]), int(theirs.joint_qd_start[b])
        for side in ("p", "c"):
            poses = [
                np.array(getattr(x, f"joint_X_{side}")[i]) for x, i in ((ours, a), (theirs, b))
            ]
            assert np.allclose(poses[0][:3], poses[1][:3], atol=1e-5), label
        for i in range(sum(ours.joint_dof_dim[a])):
            for name in PER_FREEDOM:
                values = getattr(ours, f"joint_{name}"), getattr(theirs, f"joint_{name}")
                one, other = unlimited(values[0][first + i]), unlimited(values[1][second + i])
                assert other == pytest.approx(one, rel=1e-4, abs=1e-6), (label, name)
            # The frame may be turned; the axis in the bodies may not.
            for side in ("p", "c"):
                axes = [
                    turned(builder, j, side, builder.joint_axis[at + i])
                    for builder, j, at in ((ours, a, first), (theirs, b, second))
                ]
                assert np.allclose(axes[0], axes[1], atol=1e-5), label


def shapes_of(builder: Any) -> list[tuple[Any, ...]]:
    found = []
    for i in range(builder.shape_count):
        body = int(builder.shape_body[i])
        size = np.abs(np.array(builder.shape_scale[i], np.float64)).round(5)
        kind = newton.GeoType(builder.shape_type[i])
        if kind is newton.GeoType.ELLIPSOID:
            kind, size = newton.GeoType.CONVEX_MESH, 2 * size  # as a hull
        elif kind in (newton.GeoType.MESH, newton.GeoType.CONVEX_MESH):
            points = np.asarray(builder.shape_source[i].vertices, np.float64) * size
            size = np.ptp(points, axis=0).round(5)
        if kind is newton.GeoType.PLANE:
            size = np.zeros(3)
        place = np.array(builder.shape_transform[i], np.float64)[:3].round(4) + 0.0
        touches = bool(int(builder.shape_flags[i]) & int(newton.ShapeFlags.COLLIDE_SHAPES))
        owner = last(builder.body_label[body]) if body >= 0 else ""
        friction = round(float(builder.shape_material_mu[i]), 4) if touches else 0.0
        found.append((owner, kind.name, tuple(size), tuple(place), touches, friction))
    return sorted(found, key=str)


@pytest.mark.parametrize("name", sorted(ROBOTS))
def test_a_robot_is_the_same_on_the_stage(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    out = tmp_path / "robot.usda"
    robot = import_robot(path, out)
    scene = reread(robot)
    ours = read_source(path).builder
    same(ours, scene.builder)
    # newton shows the mesh that a hull was made of as well.
    hulls = {row[0] for row in shapes_of(ours) if row[1] == "CONVEX_MESH"}
    found = [r for r in shapes_of(scene.builder) if r[4] or r[1] != "MESH" or r[0] not in hulls]
    assert found == shapes_of(ours)
    # What was saved is what was returned.
    again = read_scene(Usd.Stage.Open(str(out)), robot.prim, visuals=True)
    assert again.revision == scene.revision
    assert set(scene.bodies) == set(robot.bodies.values())
    assert set(robot.joints.values()) <= {*scene.builder.joint_label}


@pytest.mark.parametrize("name", sorted(ROBOTS))
def test_prims_stand_where_their_bodies_are(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    robot = import_robot(path)
    builder = read_source(path).builder
    model = builder.finalize(device="cpu")
    state = model.state()
    newton.eval_fk(model, model.joint_q, model.joint_qd, state)
    poses = state.body_q.numpy()
    stage = Usd.Stage.Open(robot.layer)
    cache = UsdGeom.XformCache()
    for i, label in enumerate(builder.body_label):
        prim = stage.GetPrimAtPath(f"{robot.prim}/{last(label)}")
        place = cache.GetLocalToWorldTransform(prim).ExtractTranslation()
        assert np.allclose(place, poses[i][:3], atol=1e-5), label


def test_a_finger_that_follows_still_does(tmp_path: Path) -> None:
    robot = import_robot(written(tmp_path, "gripper.urdf"))
    builder = reread(robot).builder
    labels = [last(label) for label in builder.joint_label]
    follow, grip = labels.index("follow"), labels.index("grip")
    assert builder.joint_mimic_joint[follow] == grip
    assert [float(v) for v in builder.joint_mimic_coeffs[follow]] == pytest.approx([0.01, 0.5])


def test_actuators_of_an_mjcf_are_drives(tmp_path: Path) -> None:
    robot = import_robot(written(tmp_path, "base.xml"))
    stage = Usd.Stage.Open(robot.layer)
    left, right = (
        UsdPhysics.DriveAPI(stage.GetPrimAtPath(robot.joints[f"{side}_wheel"]), "angular")
        for side in ("left", "right")
    )
    turn = math.radians(1)
    assert left.GetDampingAttr().Get() == pytest.approx(5 * turn)
    assert left.GetMaxForceAttr().Get() == 20.0
    assert right.GetStiffnessAttr().Get() == pytest.approx(30 * turn)
    assert right.GetMaxForceAttr().Get() == 25.0


def free_run(builder: Any, times: int = 60) -> dict[str, float]:
    """Let a robot fall for a while; return where its joints are."""
    newton.solvers.SolverSteel.register_custom_attributes(builder)
    builder.rigid_contact_max = None
    model = builder.finalize(device="cpu")
    solver = newton.solvers.SolverSteel(model)
    control, states = model.control(), (model.state(), model.state())
    newton.eval_fk(model, model.joint_q, model.joint_qd, states[0])
    for _ in range(times):
        states[0].clear_forces()
        solver.step(states[0], states[1], control, None, 1 / 240)
        states = states[1], states[0]
    q = states[0].joint_q.numpy()
    return {
        last(label): float(q[builder.joint_q_start[j]])
        for j, label in enumerate(builder.joint_label)
        if sum(builder.joint_dof_dim[j]) == 1
    }


def test_it_falls_as_it_would_from_its_file(tmp_path: Path) -> None:
    path = written(tmp_path, "arm.urdf")
    ours = free_run(read_source(path).builder)
    theirs = free_run(reread(import_robot(path)).builder)
    assert max(abs(q) for q in ours.values()) > 0.1
    assert theirs == pytest.approx(ours, abs=2e-3)


NUMBER = st.integers(-10, 10).map(lambda n: n / 8)


@st.composite
def chains(draw: st.DrawFn) -> str:
    count = draw(st.integers(1, 4))
    text = link("l0")
    for i in range(count):
        text += link(
            f"l{i + 1}", draw(st.integers(1, 20)) / 4, " ".join(str(draw(NUMBER)) for _ in range(3))
        )
        axis = draw(st.tuples(NUMBER, NUMBER, NUMBER).filter(any))
        low = draw(st.integers(-20, 0)) / 8
        kind = draw(st.sampled_from(["revolute", "prismatic", "continuous", "fixed"]))
        effort, velocity = draw(st.integers(1, 99)), draw(st.integers(1, 40)) / 8
        text += f"""
  <joint name="j{i}" type="{kind}">
    <parent link="l{draw(st.integers(0, i))}"/><child link="l{i + 1}"/>
    <origin xyz="{draw(NUMBER)} {draw(NUMBER)} 0.1" rpy="{draw(NUMBER)} {draw(NUMBER)} 0.2"/>
    <axis xyz="{axis[0]} {axis[1]} {axis[2]}"/>
    <limit lower="{low}" upper="{low + draw(st.integers(1, 9)) / 4}"
      effort="{effort}" velocity="{velocity}"/>
    <dynamics damping="{draw(st.integers(0, 8)) / 4}" friction="{draw(st.integers(0, 8)) / 8}"/>
  </joint>"""
    return f'<robot name="chain">{text}</robot>'


@settings(max_examples=25)
@given(text=chains(), driven=st.booleans())
def test_any_chain_is_the_same_on_the_stage(
    tmp_path_factory: pytest.TempPathFactory, text: str, driven: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "chain.urdf"
    path.write_text(text)
    robot = import_robot(path, drive=(80.0, 4.0) if driven else None)
    ours = read_source(path).builder
    if driven:
        ours.joint_target_ke = [80.0] * len(ours.joint_target_ke)
        ours.joint_target_kd = [4.0] * len(ours.joint_target_kd)
    same(ours, reread(robot).builder)


# -- telemetry


def test_joints_are_bound(tmp_path: Path) -> None:
    told = Telemetry(connection="cell", address="{twin:id}/js", field="<joint>.<quantity>")
    robot = import_robot(written(tmp_path, "arm.urdf"), identity="R7", telemetry=told)
    stage = Usd.Stage.Open(robot.layer)
    connection = stage.DefinePrim("/cell", "TwinConnection")
    connection.GetAttribute("twin:endpoint").Set("soft://cell")
    table = read_bindings(stage)
    assert table.problems == []
    bound = {b.signal: b for b in table.telemetry.values()}
    assert set(bound) == set(robot.signals)
    assert len(bound) == 9
    shoulder = bound["shoulder_position"]
    assert (shoulder.address, shoulder.field, shoulder.unit) == (
        "R7/js",
        "shoulder.position",
        "rad",
    )
    assert (shoulder.limits.soft_min, shoulder.limits.soft_max) == (-1.5, 1.2)
    assert bound["wrist_velocity"].unit == "m/s"
    assert bound["wrist_effort"].limits.soft_max == 30.0
    # No hard limit: a joint beyond its limit is measured, and is not impossible.
    assert shoulder.limits.hard_max == math.inf
    assert table.assets[robot.prim].id == "R7"


def test_only_what_is_asked_for_is_bound(tmp_path: Path) -> None:
    path = written(tmp_path, "arm.urdf")
    told = Telemetry(quantities=["position"])
    assert import_robot(path, telemetry=told).signals == (
        "shoulder_position",
        "elbow_position",
        "wrist_position",
    )
    with pytest.raises(RobotError, match="position, velocity, effort, got torque"):
        import_robot(path, telemetry=Telemetry(quantities=["torque"]))


# -- meshes


def stl(binary: bool) -> bytes:
    corners = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    if binary:
        rows = [
            struct.pack("<12fH", 0, 0, 0, *(v for i in f for v in corners[i]), 0) for f in faces
        ]
        return b"solid binary".ljust(80) + struct.pack("<I", 4) + b"".join(rows)
    text = "solid wedge\n"
    for face in faces:
        points = "".join(f"vertex {' '.join(map(str, corners[i]))}\n" for i in face)
        text += f"facet normal 0 0 0\nouter loop\n{points}endloop\nendfacet\n"
    return (text + "endsolid\n").encode()


MESHED = """<robot name="m"><link name="l"><visual><origin xyz="1 0 0"/><geometry>
<mesh filename="{file}" scale="2 1 1"/></geometry></visual>
<collision><geometry><mesh filename="{file}"/></geometry></collision>
<inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial>
</link></robot>"""


@pytest.mark.parametrize(
    ("file", "place", "content"),
    [
        ("meshes/a.obj", "meshes/a.obj", WEDGE.encode()),
        ("a.STL", "a.STL", stl(True)),
        ("a.stl", "a.stl", stl(False)),
        ("package://parts/meshes/a.stl", "parts/meshes/a.stl", stl(True)),
    ],
)
def test_meshes_come_along(tmp_path: Path, file: str, place: str, content: bytes) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_bytes(content)
    robot = import_robot(written(tmp_path, "m.urdf", MESHED.format(file=file)))
    assert robot.notes == ()
    stage = Usd.Stage.Open(robot.layer)
    seen, touched = (stage.GetPrimAtPath(f"/m/l/{name}0") for name in ("Visual", "Collider"))
    assert np.ptp(np.array(UsdGeom.Mesh(seen).GetPointsAttr().Get()), axis=0).tolist() == [2, 1, 1]
    assert len(UsdGeom.Mesh(seen).GetFaceVertexCountsAttr().Get()) == 4
    assert not seen.HasAPI(UsdPhysics.CollisionAPI)
    assert touched.HasAPI(UsdPhysics.CollisionAPI)
    assert UsdGeom.Imageable(touched).GetPurposeAttr().Get() == "guide"
    assert float(reread(robot).builder.body_mass[0]) == 1.0


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("gone.obj", None, "there is no file gone.obj"),
        ("package://gone/a.obj", None, "name the folder of its package"),
        ("http://example.com/a.obj", None, "is not fetched"),
        ("a.dae", b"<COLLADA/>", "meshes are read from .obj, .stl files"),
        ("a.obj", b"v 0 0\nf 1 2 3", "no OBJ mesh|no triangles"),
        ("a.obj", b"# nothing", "no triangles"),
        ("a.stl", b"short", "is no STL mesh"),
        ("a.stl", stl(True)[:-7], "is no STL mesh|no triangles"),
    ],
)
def test_a_mesh_that_is_none_costs_itself_alone(
    tmp_path: Path, file: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)
    robot = import_robot(written(tmp_path, "m.urdf", MESHED.format(file=file)))
    assert robot.shapes == 0
    assert len(robot.notes) == 2
    assert all("link 'l': its" in note and re.search(says, note) for note in robot.notes)


# -- what cannot be


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no XML"),
        ("<sdf/>", "begins with <robot>, an MJCF with <mujoco>, got <sdf>"),
        ('<robot name="r"/>', "cannot be read|holds no link"),
        ('<!DOCTYPE r [<!ENTITY a "b">]><robot name="&a;"/>', "declares entities"),
        (
            '<mujoco><worldbody><body><geom type="mesh" mesh="x"/></body></worldbody></mujoco>',
            "MuJ",
        ),
        (
            '<robot name="r"><link name="a"/><joint name="j" type="revolute"><parent link="a"/>'
            '<child link="gone"/></joint></robot>',
            "cannot be read: Link gone not found",
        ),
        (
            '<mujoco><worldbody><body name="b"><geom size="1"/><joint name="hip" axis="0 0"/>'
            "</body></worldbody></mujoco>",
            "hip': an axis has three numbers",
        ),
    ],
)
def test_what_is_no_robot_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "r.xml"
    path.write_text(text)
    with pytest.raises(RobotError, match=says) as caught:
        import_robot(path)
    assert str(path) in str(caught.value)
    assert not re.search(r"Exception|Error:", str(caught.value))
    with pytest.raises(RobotError, match="No such file"):
        import_robot(tmp_path / "none.urdf")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prim": "Robot"}, "path of a prim such as /Robot, got Robot"),
        ({"out": "robot.txt"}, "is written to a layer"),
        ({"drive": (-1.0, 0.0)}, "must be 0 or more"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(RobotError, match=says):
        import_robot(written(tmp_path, "arm.urdf"), **options)


def test_a_base_may_be_held_or_let_go(tmp_path: Path) -> None:
    path = written(tmp_path, "gripper.urdf")
    for floating, kind in ((None, "FIXED"), (False, "FIXED"), (True, "FREE")):
        builder = reread(import_robot(path, floating=floating)).builder
        first = newton.JointType(builder.joint_type[0])
        assert first.name == kind


def stagetwin(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "120"})
    assert done.exit_code == status, done.output
    return done.output


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    if not any(command.name == "import-robot" for command in app.registered_commands):
        add_installed_commands()
    path, out = written(tmp_path, "arm.urdf"), tmp_path / "arm.usda"
    text = stagetwin("import-robot", path, "--out", out, "--prim", "/Cell/R1", "--drive", "200,20")
    assert "4 bodies, 4 joints, 5 shapes, 9 signals" in text
    assert "-85.94 deg" in text
    stage = Usd.Stage.Open(str(out))
    assert stage.GetPrimAtPath("/Cell/R1/Joints/shoulder").IsA(UsdPhysics.RevoluteJoint)
    names: Sequence[str] = stage.GetPrimAtPath("/Cell/R1").GetAppliedSchemas()
    assert "TwinTelemetryAPI:elbow_effort" in names
    stagetwin("import-robot", path, "--out", out, "--drive", "1", status=2)
    stagetwin("import-robot", tmp_path / "gone", "--out", out, status=2)
