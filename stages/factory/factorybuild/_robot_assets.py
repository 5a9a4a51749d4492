"""The six-axis arm: a model that joint angles turn, and rigid bodies that physics moves.

The model is a chain of nested frames, each turned by one joint signal. The bodies are flat
siblings, joined by UsdPhysics joints into one articulation; they are guides, so that a viewer
draws the arm once and a simulator finds it by its physics schemas.
"""

from dataclasses import dataclass
from pathlib import Path

from pxr import Gf, Sdf, UsdGeom, UsdPhysics

from ._parameters import InterfaceSpec
from ._process_assets import driven_op, machine
from ._shapes import Shapes, subcomponent, xyz


@dataclass(frozen=True)
class Joint:
    """One axis of the arm.

    Attributes:
        axis: Axis of rotation in the joint's frame.
        offset: Position in the frame of the axis before [m].
        seed: Angle until telemetry arrives [deg].
        mass: Mass of the link that the joint moves [kg].
        reach: End of the link's collision capsule in the joint's frame [m].
        radius: Radius of the capsule [m].
    """

    axis: str
    offset: tuple[float, float, float]
    seed: float
    mass: float
    reach: tuple[float, float, float]
    radius: float
    stiffness: float
    max_force: float


JOINTS = (
    Joint("Z", (0.0, 0.0, 0.45), 0.0, 95.0, (0.3, 0.0, 0.35), 0.2, 4.0e4, 3000.0),
    Joint("Y", (0.3, 0.0, 0.35), 12.0, 70.0, (0.0, 0.0, 0.9), 0.13, 4.0e4, 3000.0),
    Joint("Y", (0.0, 0.0, 0.9), 14.0, 45.0, (0.3, 0.0, 0.12), 0.15, 2.0e4, 1500.0),
    Joint("X", (0.35, 0.0, 0.12), 0.0, 25.0, (0.6, 0.0, 0.0), 0.1, 4.0e3, 400.0),
    Joint("Y", (0.65, 0.0, 0.0), 64.0, 8.0, (0.1, 0.0, 0.0), 0.08, 2.0e3, 250.0),
    Joint("X", (0.14, 0.0, 0.0), 0.0, 4.0, (0.05, 0.0, 0.0), 0.06, 1.0e3, 120.0),
)


def _draw_model(shapes: Shapes) -> str:
    """The visible chain; the path of the last frame is returned."""
    subcomponent(shapes.group("Model"))
    shapes.cylinder("Model/Base/Plate", 0.36, 0.06, (0, 0, 0.03), "Anthracite")
    shapes.cylinder("Model/Base/Body", 0.27, 0.3, (0, 0, 0.2), "Anthracite")
    shapes.cylinder("Model/Base/Ring", 0.29, 0.06, (0, 0, 0.38), "SteelDark")
    frame = "Model"
    frames = []
    for index, joint in enumerate(JOINTS, 1):
        frame += f"/J{index}"
        prim = shapes.group(frame, joint.offset)
        driven_op(prim, f"rotate{joint.axis}", "joint", joint.seed)
        frames.append(frame)
    j1, j2, j3, j4, j5, j6 = (f"{name}/" for name in frames)
    shapes.cylinder(j1 + "Turret", 0.27, 0.16, (0, 0, 0.04), "Orange")
    shapes.box(j1 + "Cheek", (0.4, 0.22, 0.4), (0.16, 0, 0.24), "Orange", (0, -20, 0))
    shapes.cylinder(j1 + "Shoulder", 0.2, 0.4, (0.3, 0, 0.35), "Orange", "Y")
    shapes.cylinder(j1 + "MotorA", 0.1, 0.24, (-0.12, 0.12, 0.2), "Anthracite")
    shapes.cylinder(j1 + "MotorB", 0.12, 0.2, (0.3, 0.29, 0.35), "Anthracite", "Y")
    shapes.box(j2 + "Arm", (0.2, 0.16, 0.78), (0, -0.02, 0.45), "Orange")
    shapes.cylinder(j2 + "Lower", 0.17, 0.17, (0, -0.02, 0), "Orange", "Y")
    shapes.cylinder(j2 + "Upper", 0.15, 0.18, (0, -0.02, 0.9), "Orange", "Y")
    shapes.tube(j2 + "Hose", (-0.14, 0.02, 0.1), (-0.14, 0.02, 0.85), 0.025, "Black")
    shapes.cylinder(j3 + "Elbow", 0.14, 0.36, (0, 0, 0), "Anthracite", "Y")
    shapes.box(j3 + "Housing", (0.44, 0.26, 0.24), (0.1, 0, 0.12), "Orange")
    shapes.cylinder(j3 + "Motor", 0.08, 0.22, (-0.2, 0, 0.14), "Anthracite", "X")
    shapes.cylinder(j4 + "Forearm", 0.1, 0.5, (0.22, 0, 0), "Orange", "X")
    shapes.cylinder(j4 + "Collar", 0.115, 0.06, (0.0, 0, 0), "SteelDark", "X")
    shapes.box(j4 + "ForkLeft", (0.24, 0.05, 0.15), (0.56, 0.09, 0), "Orange")
    shapes.box(j4 + "ForkRight", (0.24, 0.05, 0.15), (0.56, -0.09, 0), "Orange")
    shapes.cylinder(j5 + "Wrist", 0.075, 0.24, (0, 0, 0), "Anthracite", "Y")
    shapes.cylinder(j5 + "Nose", 0.065, 0.14, (0.06, 0, 0), "Orange", "X")
    shapes.cylinder(j6 + "Flange", 0.06, 0.03, (0.01, 0, 0), "Chrome", "X")
    return frame


def _draw_tools(shapes: Shapes, flange: str) -> None:
    """A variant set of tools at the flange."""
    variant_set = shapes.variants("tool", ["gripper", "vacuum", "none"], "gripper")
    tool = f"{flange}/Tool"
    variant_set.SetVariantSelection("gripper")
    with variant_set.GetVariantEditContext():
        shapes.box(f"{tool}/Palm", (0.1, 0.36, 0.12), (0.08, 0, 0), "Aluminium")
        for side, y in (("Left", 0.16), ("Right", -0.16)):
            shapes.box(f"{tool}/Finger{side}", (0.22, 0.03, 0.1), (0.22, y, 0), "SteelDark")
            shapes.box(f"{tool}/Pad{side}", (0.12, 0.02, 0.1), (0.27, y * 0.85, 0), "Rubber")
    variant_set.SetVariantSelection("vacuum")
    with variant_set.GetVariantEditContext():
        shapes.box(f"{tool}/Frame", (0.05, 0.44, 0.32), (0.09, 0, 0), "Aluminium")
        for index in range(4):
            y, z = 0.17 * (1 - 2 * (index % 2)), 0.12 * (1 - 2 * (index // 2))
            shapes.cylinder(f"{tool}/Cup{index}", 0.05, 0.07, (0.15, y, z), "Rubber", "X")
    variant_set.SetVariantSelection("gripper")


def _add_bodies(shapes: Shapes, interface: InterfaceSpec) -> None:
    """Rigid bodies with colliders and masses, and the joints of one articulation."""
    stage = shapes.stage
    limits = {signal.name: signal.hard for signal in interface.signals}
    UsdPhysics.ArticulationRootAPI.Apply(stage.GetDefaultPrim())
    UsdGeom.Imageable(shapes.group("Bodies")).CreatePurposeAttr(UsdGeom.Tokens.guide)
    UsdGeom.Scope.Define(stage, shapes.path("Joints"))
    _add_body(shapes, 0, Gf.Vec3d(0), 120.0, (0.0, 0.0, 0.3), 0.27)
    anchor = UsdPhysics.FixedJoint.Define(stage, shapes.path("Joints/Anchor"))
    anchor.CreateBody1Rel().SetTargets([shapes.path("Bodies/Link0")])
    at = Gf.Vec3d(0)
    for index, joint in enumerate(JOINTS, 1):
        at += Gf.Vec3d(*joint.offset)
        _add_body(shapes, index, at, joint.mass, joint.reach, joint.radius)
        revolute = UsdPhysics.RevoluteJoint.Define(stage, shapes.path(f"Joints/Axis{index}"))
        revolute.CreateBody0Rel().SetTargets([shapes.path(f"Bodies/Link{index - 1}")])
        revolute.CreateBody1Rel().SetTargets([shapes.path(f"Bodies/Link{index}")])
        revolute.CreateAxisAttr(joint.axis)
        revolute.CreateLocalPos0Attr(Gf.Vec3f(*joint.offset))
        revolute.CreateLocalRot0Attr(Gf.Quatf(1))
        revolute.CreateLocalPos1Attr(Gf.Vec3f(0))
        revolute.CreateLocalRot1Attr(Gf.Quatf(1))
        low, high = limits[f"joint{index}"] or (-180.0, 180.0)
        revolute.CreateLowerLimitAttr(low)
        revolute.CreateUpperLimitAttr(high)
        drive = UsdPhysics.DriveAPI.Apply(revolute.GetPrim(), "angular")
        drive.CreateTypeAttr("force")
        drive.CreateStiffnessAttr(joint.stiffness)
        drive.CreateDampingAttr(joint.stiffness / 10)
        drive.CreateMaxForceAttr(joint.max_force)
        drive.CreateTargetPositionAttr(joint.seed)


def _add_body(
    shapes: Shapes,
    index: int,
    at: Gf.Vec3d,
    mass: float,
    reach: tuple[float, float, float],
    radius: float,
) -> None:
    """One link: a rigid body whose collider is a capsule from its joint to `reach` [m]."""
    name = f"Bodies/Link{index}"
    body = shapes.group(name, xyz(at))
    UsdPhysics.RigidBodyAPI.Apply(body)
    span = Gf.Vec3d(*reach)
    length = span.Normalize()
    turn = Gf.Rotation(Gf.Vec3d(0, 0, 1), span).GetQuat()
    capsule = UsdGeom.Capsule.Define(shapes.stage, shapes.path(f"{name}/Collider"))
    capsule.CreateRadiusAttr(radius)
    capsule.CreateHeightAttr(length)
    capsule.CreateAxisAttr("Z")
    half = Gf.Vec3f(radius, radius, length / 2 + radius)
    capsule.CreateExtentAttr([-half, half])
    capsule.AddTranslateOp().Set(Gf.Vec3d(*reach) * 0.5)
    capsule.AddOrientOp().Set(Gf.Quatf(turn))
    UsdPhysics.CollisionAPI.Apply(capsule.GetPrim())
    mass_api = UsdPhysics.MassAPI.Apply(body)
    mass_api.CreateMassAttr(mass)
    mass_api.CreateCenterOfMassAttr(Gf.Vec3f(*reach) * 0.5)


def make_arm(folder: Path, interface: InterfaceSpec) -> None:
    """Six-axis arm of 2 m reach; joint limits are those of the interface's signals."""
    shapes = machine(folder, "arm", "Arm")
    flange = _draw_model(shapes)
    _draw_tools(shapes, flange)
    _add_bodies(shapes, interface)
    shapes.stage.GetDefaultPrim().CreateAttribute(
        "twin:var:model", Sdf.ValueTypeNames.String, True, Sdf.VariabilityUniform
    ).Set("six-axis-2000")
    shapes.stage.Save()
