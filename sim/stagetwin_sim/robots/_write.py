"""Robots from URDF and MJCF to a stage."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import newton
import numpy as np
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdPhysics

from stagetwin_sim._errors import RobotError
from stagetwin_sim.robots._bindings import QUANTITIES, Telemetry, bind_joint
from stagetwin_sim.robots._joints import axes_of, write_joint
from stagetwin_sim.robots._layout import body_poses
from stagetwin_sim.robots._shapes import Materials, place, write_shape
from stagetwin_sim.robots._source import Source, read_source
from stagetwin_sim.robots._turns import quaternion_of

__all__ = ["ImportedRobot", "import_robot", "joint_rows"]

_TYPES = Sdf.ValueTypeNames


@dataclass(frozen=True, kw_only=True)
class ImportedRobot:
    """What came of a robot's file.

    Attributes:
        layer: the layer that was written.
        prim: path of the robot's prim.
        bodies: paths of its bodies, by the names of links.
        joints: paths of its joints, by their names.
        signals: names of its telemetry.
        shapes: how many shapes were written.
        notes: what of the file is not in it as it stood there.
    """

    layer: Sdf.Layer
    prim: str
    bodies: dict[str, str]
    joints: dict[str, str]
    signals: tuple[str, ...]
    shapes: int
    notes: tuple[str, ...]


def import_robot(
    path: str | Path,
    out: str | Path | None = None,
    *,
    prim: str = "",
    identity: str = "",
    telemetry: Telemetry | None = None,
    floating: bool | None = None,
    drive: tuple[float, float] | None = None,
    packages: Sequence[str | Path] = (),
) -> ImportedRobot:
    """Read a robot and write it to a layer: bodies, joints, shapes, and telemetry of its joints.

    Args:
        path: URDF or MJCF file.
        out: layer that is written, replaced where it is there; None writes none.
        prim: path of the robot's prim; empty is its own name at the root.
        identity: its `twin:id`; empty is the prim's name.
        telemetry: where the telemetry of its joints comes from.
        floating: whether its base moves freely; None is as the file says (MJCF) or fixed (URDF).
        drive: stiffness [N.m/rad or N/m] and damping of drives for joints that the file gives none;
            None leaves these without.
        packages: folders in which `package://` names are looked for.

    Raises:
        RobotError: the file cannot be read, or the layer not be written; names what and where.
    """
    source = read_source(Path(path), floating=floating, packages=[Path(p) for p in packages])
    name = Tf.MakeValidIdentifier(source.name)
    root = Sdf.Path(prim or f"/{name}")
    if not (root.IsAbsolutePath() and root.IsPrimPath()):
        raise RobotError(f"a robot is written to the path of a prim such as /Robot, got {prim}")
    if drive is not None:
        _drive_all(source.builder, drive)
    told = telemetry if telemetry is not None else Telemetry()
    strange = set(told.quantities) - set(QUANTITIES)
    if strange:
        allowed = ", ".join(QUANTITIES)
        raise RobotError(f"telemetry is of {allowed}, got {', '.join(sorted(strange))}")
    written = _Writer(source, root).write(identity or root.name, told)
    if out is not None:
        _save(written.layer, Path(out))
    return written


def joint_rows(robot: ImportedRobot) -> list[tuple[str, ...]]:
    """Return for each joint its name, kind, limits and drive, as text for people."""
    stage = Usd.Stage.Open(robot.layer)
    rows: list[tuple[str, ...]] = []
    for name, path in robot.joints.items():
        prim = stage.GetPrimAtPath(path)
        kind = str(prim.GetTypeName()).removeprefix("Physics").removesuffix("Joint").lower()
        unit = {"revolute": "deg", "prismatic": "m"}.get(kind, "")
        bounds = [prim.GetAttribute(f"physics:{end}Limit").Get() for end in ("lower", "upper")]
        limits = [f"{b:.4g} {unit}" if b is not None and math.isfinite(b) else "" for b in bounds]
        gains = [
            prim.GetAttribute(f"drive:{axis}:physics:stiffness").Get()
            for axis in ("angular", "linear")
        ]
        drive = next((f"{gain:.4g} per {unit}" for gain in gains if gain), "")
        rows.append((name, kind or "generic", *limits, drive))
    return rows


def _drive_all(builder: Any, drive: tuple[float, float]) -> None:
    stiffness, damping = drive
    if not all(math.isfinite(gain) and gain >= 0 for gain in drive):
        raise RobotError(f"a drive's stiffness and damping must be 0 or more, got {drive}")
    followers = {j for j, leader in enumerate(builder.joint_mimic_joint) if leader >= 0}
    for j in range(builder.joint_count):
        if j in followers or not axes_of(builder, j):
            continue
        first = int(builder.joint_qd_start[j])
        for i in range(first, first + sum(builder.joint_dof_dim[j])):
            if not (builder.joint_target_ke[i] or builder.joint_target_kd[i]):
                builder.joint_target_ke[i] = stiffness
                builder.joint_target_kd[i] = damping


@dataclass
class _Writer:
    """A robot while it is written."""

    source: Source
    root: Sdf.Path
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.builder = self.source.builder
        # Held by itself: a stage's own layer ends with the stage.
        self.layer = Sdf.Layer.CreateAnonymous(f"{self.root.name}.usda")
        self.stage = Usd.Stage.Open(self.layer)
        self.notes += self.source.notes
        UsdGeom.SetStageUpAxis(self.stage, UsdGeom.Tokens.z)
        UsdGeom.SetStageMetersPerUnit(self.stage, 1.0)
        UsdPhysics.SetStageKilogramsPerUnit(self.stage, 1.0)

    def write(self, identity: str, telemetry: Telemetry) -> ImportedRobot:
        top = self.root.GetPrefixes()[0]
        for path in self.root.GetPrefixes():
            UsdGeom.Xform.Define(self.stage, path)
        self.stage.SetDefaultPrim(self.stage.GetPrimAtPath(top))
        robot = self.stage.GetPrimAtPath(self.root)
        Usd.ModelAPI(robot).SetKind("component")
        UsdPhysics.ArticulationRootAPI.Apply(robot)
        names = _unique(self.builder.body_label, {"Joints", "Surfaces", "Ground"})
        bodies = [self.root.AppendChild(name) for name in names]
        for i, pose in enumerate(body_poses(self.builder)):
            self._body(bodies[i], i, pose)
        shapes = self._shapes(bodies)
        joints = self._joints(bodies)
        self._mimics(joints)
        self._asset(robot, identity, telemetry)
        signals: list[str] = []
        for j, path in joints.items():
            axes = axes_of(self.builder, j)
            for i, axis in enumerate(axes):
                name = path.name if len(axes) == 1 else f"{path.name}_{i}"
                signals += bind_joint(robot, name, axis, telemetry)
        own = [label.rpartition("/")[2] for label in self.builder.body_label]
        return ImportedRobot(
            layer=self.layer,
            prim=str(self.root),
            bodies={name: str(path) for name, path in zip(own, bodies, strict=True)},
            joints={path.name: str(path) for path in joints.values()},
            signals=tuple(signals),
            shapes=shapes,
            notes=tuple(self.notes),
        )

    def _asset(self, robot: Usd.Prim, identity: str, telemetry: Telemetry) -> None:
        robot.AddAppliedSchema("TwinAssetAPI")
        values = {"id": (_TYPES.String, identity), "kind": (_TYPES.Token, "asset")}
        if telemetry.connection:
            values["connection"] = (_TYPES.Token, telemetry.connection)
        for name, (kind, value) in values.items():
            attr = robot.CreateAttribute(f"twin:{name}", kind, False, Sdf.VariabilityUniform)
            attr.Set(value)

    def _body(self, path: Sdf.Path, i: int, pose: Any) -> None:
        prim = UsdGeom.Xform.Define(self.stage, path).GetPrim()
        place(prim, pose)
        UsdPhysics.RigidBodyAPI.Apply(prim)
        mass = float(self.builder.body_mass[i])
        if not mass > 0:
            self.notes.append(f"body {path.name!r} has no mass: what is simulated gives it some")
            return
        api = UsdPhysics.MassAPI.Apply(prim)
        api.CreateMassAttr(mass)
        api.CreateCenterOfMassAttr(Gf.Vec3f(*(float(v) for v in self.builder.body_com[i])))
        inertia = np.array(self.builder.body_inertia[i], np.float64).reshape(3, 3)
        moments, axes = _principal(inertia)
        api.CreateDiagonalInertiaAttr(Gf.Vec3f(*moments))
        qx, qy, qz, qw = axes
        api.CreatePrincipalAxesAttr(Gf.Quatf(qw, qx, qy, qz))

    def _shapes(self, bodies: list[Sdf.Path]) -> int:
        builder = self.builder
        materials = Materials(self.stage, self.root.AppendChild("Surfaces"))
        visible = int(newton.ShapeFlags.VISIBLE)
        seen = {
            int(b)
            for b, f in zip(builder.shape_body, builder.shape_flags, strict=True)
            if int(f) & visible
        }
        numbers: dict[tuple[Sdf.Path, str], int] = {}
        count = 0
        for shape in range(builder.shape_count):
            body = int(builder.shape_body[shape])
            parent = bodies[body] if body >= 0 else self.root.AppendChild("Ground")
            if body < 0 and not self.stage.GetPrimAtPath(parent):
                UsdGeom.Xform.Define(self.stage, parent)
            collides = int(builder.shape_flags[shape]) & int(newton.ShapeFlags.COLLIDE_SHAPES)
            name = "Collider" if collides else "Visual"
            number = numbers.setdefault((parent, name), 0)
            numbers[parent, name] = number + 1
            path = parent.AppendChild(f"{name}{number}")
            wrong = write_shape(self.stage, path, builder, shape, materials, body in seen)
            if wrong:
                self.notes.append(f"{parent.name!r}: {wrong}; it is left out")
            count += not wrong
        return count

    def _joints(self, bodies: list[Sdf.Path]) -> dict[int, Sdf.Path]:
        builder = self.builder
        scope = self.root.AppendChild("Joints")
        names = _unique(builder.joint_label, set())
        found: dict[int, Sdf.Path] = {}
        for j in range(builder.joint_count):
            if newton.JointType(builder.joint_type[j]) is newton.JointType.FREE:
                continue  # a body that no joint holds moves freely
            if not found:
                UsdGeom.Scope.Define(self.stage, scope)
            path = scope.AppendChild(names[j])
            wrong = write_joint(self.stage, path, builder, j, bodies)
            if wrong:
                raise RobotError(f"joint {names[j]!r} cannot be written: {wrong}")
            found[j] = path
        return found

    def _mimics(self, joints: dict[int, Sdf.Path]) -> None:
        builder = self.builder
        for j, path in joints.items():
            leader = int(builder.joint_mimic_joint[j])
            if leader < 0:
                continue
            if builder.joint_type[j] != builder.joint_type[leader]:
                text = f"joint {path.name!r} follows one of another kind: that is left out"
                self.notes.append(text)
                continue
            offset, factor = (float(v) for v in builder.joint_mimic_coeffs[j])
            turn = axes_of(builder, j)[0].turn
            prim = self.stage.GetPrimAtPath(path)
            prim.AddAppliedSchema("NewtonMimicAPI")
            prim.CreateRelationship("newton:mimicJoint", False).SetTargets([joints[leader]])
            for name, value in (("Coef0", offset * turn), ("Coef1", factor)):
                prim.CreateAttribute(f"newton:mimic{name}", _TYPES.Float, False).Set(value)


def _principal(inertia: Any) -> tuple[list[float], list[float]]:
    """Return principal moments of inertia and the quaternion (x, y, z, w) of their axes."""
    if np.allclose(inertia, np.diag(np.diag(inertia)), rtol=0, atol=1e-9 * np.abs(inertia).max()):
        return [float(v) for v in np.diag(inertia)], [0.0, 0.0, 0.0, 1.0]
    moments, axes = np.linalg.eigh((inertia + inertia.T) / 2)
    if np.linalg.det(axes) < 0:
        axes[:, 0] = -axes[:, 0]
    return [float(v) for v in moments], [float(v) for v in quaternion_of(axes)]


def _unique(labels: Iterable[str], taken: set[str]) -> list[str]:
    """Return names of prims for labels such as `robot/link`, each once."""
    names: list[str] = []
    for label in labels:
        name = base = Tf.MakeValidIdentifier(label.rpartition("/")[2] or "Part")
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        names.append(name)
    return names


def _save(layer: Sdf.Layer, out: Path) -> None:
    if out.suffix.lower() not in (".usda", ".usdc", ".usd"):
        raise RobotError(f"a robot is written to a layer (.usda, .usdc, .usd), got {out}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
            draft = Path(folder) / out.name
            if not layer.Export(str(draft)):
                raise RobotError(f"{out}: cannot be written")
            os.replace(draft, out)
    except (OSError, Tf.ErrorException) as error:
        raise RobotError(f"{out}: cannot be written: {error}") from None
