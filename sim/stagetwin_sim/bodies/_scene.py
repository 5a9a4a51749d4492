"""A part of a stage as newton's builder: read once, and where each of its prims went."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import newton
import numpy as np
import numpy.typing as npt
from pxr import Tf, Usd, UsdGeom, UsdPhysics

from stagetwin.bindings import Problem, Severity, is_below
from stagetwin_sim._errors import BodiesError
from stagetwin_sim.bodies._articulations import articulate
from stagetwin_sim.bodies._poses import PoseFrames, read_frames
from stagetwin_sim.bodies._units import set_defaults, to_si

__all__ = ["BodyScene", "Joint", "read_scene", "read_scene_once"]

_EARTH = 9.81
"""Where a scene does not say [m/s2]: as UsdPhysics' default, gravity of the Earth."""

_ONE_AXIS = {newton.JointType.REVOLUTE: "rad", newton.JointType.PRISMATIC: "m"}


@dataclass(frozen=True)
class Joint:
    """A joint of one axis, in one world.

    Attributes:
        index: newton's.
        coordinate: of its position among joint coordinates.
        freedom: of its velocity among joint velocities.
        unit: `rad` or `m`.
        driven: whether a drive or an actuator follows its target.
    """

    index: int
    coordinate: int
    freedom: int
    unit: str
    driven: bool


@dataclass(frozen=True, kw_only=True)
class BodyScene:
    """Everything physical below a prim, in SI units with Z up.

    Attributes:
        root: path of the prim.
        builder: newton's, of one world; not to be changed.
        bodies, shapes: index by prim path.
        joints: those with one axis, by prim path.
        statics: paths of shapes on no body.
        gravity: [m/s2], shape (3,).
        unit: length of a unit of the stage [m].
        frames: from newton's poses to transforms of prims.
        problems: what could not be read, and was left out.
        revision: fingerprint of all that.
    """

    root: str
    builder: Any
    bodies: Mapping[str, int]
    shapes: Mapping[str, int]
    joints: Mapping[str, Joint]
    statics: frozenset[str]
    gravity: npt.NDArray[np.float64]
    unit: float
    frames: PoseFrames
    problems: Sequence[Problem]
    revision: str


def read_scene(stage: Usd.Stage, root: str, *, visuals: bool = False) -> BodyScene:
    """Read everything physical below a prim.

    Args:
        stage: only read.
        root: path of the prim.
        visuals: whether what is only seen becomes a shape too, as for sensors.

    Raises:
        BodiesError: there is no such prim, nothing rigid below it, or newton cannot read it.
    """
    prim = stage.GetPrimAtPath(root)
    if not prim:
        raise BodiesError(f"{root}: there is no such prim")
    metre = UsdGeom.GetStageMetersPerUnit(stage)
    kilogram = UsdPhysics.GetStageKilogramsPerUnit(stage)
    builder: Any = newton.ModelBuilder()
    newton.solvers.SolverSteel.register_custom_attributes(builder)
    set_defaults(builder, metre, kilogram)
    problems: list[Problem] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            read = builder.add_usd(
                stage,
                root_path=root,
                load_visual_shapes=visuals,
                load_sites=False,
                schema_resolvers=[
                    newton.usd.SchemaResolverNewton(),
                    newton.usd.SchemaResolverPhysx(),
                ],
            )
        except Exception as error:
            # newton raises whatever its readers raise; only the prim helps who authored it.
            raise BodiesError(f"{root}: newton cannot read what is below: {error}") from error
    for warning in caught:
        text = str(warning.message)
        if "non-unit linear units" not in text:  # we convert them
            problems.append(_problem(root, text))
    if not builder.body_count:
        raise BodiesError(f"{root}: no prim with PhysicsRigidBodyAPI below it", "bodies_empty")
    articulate(builder, root)
    to_si(builder, metre, kilogram)
    gravity = _gravity(stage, root, metre)
    builder.gravity = tuple(float(g) for g in gravity)
    bodies = {str(path): int(i) for path, i in read["path_body_map"].items()}
    shapes = {str(path): int(i) for path, i in read["path_shape_map"].items()}
    return BodyScene(
        root=root,
        builder=builder,
        bodies=bodies,
        shapes=shapes,
        joints=_joints(builder, read["path_joint_map"]),
        statics=frozenset(path for path, i in shapes.items() if builder.shape_body[i] < 0),
        gravity=gravity,
        unit=metre,
        frames=read_frames(stage, bodies, builder.body_q, metre),
        problems=problems,
        revision=_revision(builder, gravity),
    )


_read: WeakKeyDictionary[Usd.Stage, tuple[dict[str, BodyScene], *tuple[object, ...]]] = (
    WeakKeyDictionary()
)
"""What was read of a stage since it last changed, and who listens for that."""


def read_scene_once(stage: Usd.Stage, root: str) -> BodyScene:
    """Read a scene, or return what was read of it since the stage last changed.

    Raises:
        BodiesError: see read_scene.
    """
    if stage not in _read:
        scenes: dict[str, BodyScene] = {}

        def forget(_notice: object, _sender: object) -> None:
            scenes.clear()

        listening = Tf.Notice.Register(Usd.Notice.ObjectsChanged, forget, stage)
        _read[stage] = (scenes, listening, forget)  # USD holds a listener weakly
    known = _read[stage][0]
    if root not in known:
        known[root] = read_scene(stage, root)
    return known[root]


def _joints(builder: Any, found: Mapping[str, int]) -> dict[str, Joint]:
    driven = {int(i) for entry in builder.actuator_entries.values() for i in entry.indices}
    joints: dict[str, Joint] = {}
    for path, index in found.items():
        unit = _ONE_AXIS.get(newton.JointType(builder.joint_type[index]))
        freedom = int(builder.joint_qd_start[index])
        if unit is None:
            continue
        gains = builder.joint_target_ke[freedom], builder.joint_target_kd[freedom]
        joints[str(path)] = Joint(
            int(index),
            int(builder.joint_q_start[index]),
            freedom,
            unit,
            any(gain > 0 for gain in gains) or freedom in driven,
        )
    return joints


def _gravity(stage: Usd.Stage, root: str, metre: float) -> npt.NDArray[np.float64]:
    """Return the gravity of the scene below the prim, else of the first on the stage; Z up."""
    scenes = [p for p in stage.Traverse() if p.GetTypeName() == "PhysicsScene"]
    scenes.sort(key=lambda p: not is_below(str(p.GetPath()), root))
    up = np.array([0.0, 1.0, 0.0] if UsdGeom.GetStageUpAxis(stage) == "Y" else [0.0, 0.0, 1.0])
    direction, size = -up, _EARTH
    if scenes:
        scene = UsdPhysics.Scene(scenes[0])
        given = np.array(scene.GetGravityDirectionAttr().Get() or (0, 0, 0), np.float64)
        if np.linalg.norm(given) > 0:
            direction = given / np.linalg.norm(given)
        magnitude = float(scene.GetGravityMagnitudeAttr().Get())
        if magnitude >= 0 and np.isfinite(magnitude):  # otherwise it is the Earth's
            size = magnitude * metre
    vector = direction * size
    return np.array([vector[0], -vector[2], vector[1]]) if up[1] else vector


def _problem(root: str, text: str) -> Problem:
    """Return a warning of newton's as a problem of the prim that it names."""
    words = (word.strip("'\"`.,:;()") for word in text.split())
    prim = next((word for word in words if is_below(word, root) and word != root), root)
    return Problem(prim, "", "bodies_import", text, Severity.WARNING)


def _revision(builder: Any, gravity: npt.NDArray[np.float64]) -> str:
    state = hashlib.blake2b(digest_size=12)
    for name in ("body", "shape", "joint"):
        state.update("\0".join(getattr(builder, f"{name}_label")).encode())
    numbers = (
        "body_q", "body_mass", "body_inertia", "body_com", "shape_transform", "shape_scale",
        "shape_type", "shape_material_mu", "joint_X_p", "joint_X_c", "joint_q", "joint_target_ke",
        "joint_target_kd", "joint_effort_limit", "joint_limit_lower", "joint_limit_upper",
    )  # fmt: skip
    for name in numbers:
        state.update(np.asarray(getattr(builder, name), np.float64).tobytes())
    state.update(gravity.tobytes())
    return state.hexdigest()
