"""What a system of bodies is made from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from stagetwin.bindings import is_below
from stagetwin_sim._errors import BodiesError
from stagetwin_sim.bodies._scene import BodyScene
from stagetwin_sim.engine import Context, Saved, fingerprint

if TYPE_CHECKING:
    from stagetwin_sim.bodies._system import BodiesSystem

__all__ = ["SOLVERS", "Belt", "BodiesPlan", "BodyHook", "JointDrive"]

SOLVERS = ("steel", "xpbd", "mujoco")
"""In the order of `param:solver`."""


@dataclass(frozen=True, slots=True)
class Belt:
    """A surface that carries what lies on it.

    Attributes:
        path: of the collider, a box or a mesh.
        speed: column of its speed [m/s].
        direction: where it runs at positive speed, in the world, Z up.
    """

    path: str
    speed: int
    direction: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class JointDrive:
    """A joint that meets the bus.

    Attributes:
        path: of the joint.
        target: column of the target [rad or m]; -1 leaves the target as it is authored.
        position, velocity, effort: columns to write, -1 for none.
        begin: column whose first value is where the joint begins [rad or m]; -1 begins as authored.
        corrected: whether an observer may set the joint to what it knows.
    """

    path: str
    target: int = -1
    position: int = -1
    velocity: int = -1
    effort: int = -1
    begin: int = -1
    corrected: bool = True


class BodyHook(Protocol):
    """Something that acts on bodies before each of their steps: a gripper, a wind."""

    def launch(self, state: Any, control: Any, dt: float) -> None:
        """Launch kernels that add to `state.body_f` or `control.joint_f`, or set targets."""
        ...

    def save(self) -> Saved:
        """Return what it remembers; the first axis of each array is the world."""
        ...

    def load(self, saved: Saved) -> None:
        """Take what `save` returned."""
        ...


@dataclass(frozen=True, kw_only=True)
class BodiesPlan:
    """Bodies of a scene, stepped together in every world; a SystemPlan.

    Attributes:
        scene: what moves.
        name: unique in the plan.
        rate: steps a second [Hz].
        solver: one of SOLVERS.
        iterations: of the solver; 0 is its own number.
        contacts: that fit, for each world; 0 estimates them from the shapes.
        belts: surfaces that run.
        drives: joints on the bus.
        contact_column, dropped_column: columns of how many contacts there are, and of how much was
            ever dropped; -1 for none.
        touchable: paths below which touching is meant, and no collision.
        friction: what the friction of all shapes is multiplied by at first.
        hooks: each makes something that acts before each step, once for each engine.

    Raises:
        BodiesError: it would not run.
    """

    scene: BodyScene
    name: str
    rate: float = 240.0
    solver: str = "steel"
    iterations: int = 0
    contacts: int = 0
    belts: Sequence[Belt] = ()
    drives: Sequence[JointDrive] = ()
    contact_column: int = -1
    dropped_column: int = -1
    touchable: Sequence[str] = ()
    friction: float = 1.0
    hooks: Sequence[Callable[[BodiesSystem], BodyHook]] = ()

    def __post_init__(self) -> None:
        root = self.scene.root
        if self.solver not in SOLVERS:
            raise BodiesError(
                f"{root}: the solver is one of {', '.join(SOLVERS)}, got {self.solver}"
            )
        if not 0 < self.rate < math.inf:
            raise BodiesError(f"{root}: rate must be positive and finite, got {self.rate} Hz")
        if self.solver == "mujoco" and self.belts:
            paths = ", ".join(belt.path for belt in self.belts)
            raise BodiesError(
                f"{root}: MuJoCo knows no belts, and here are {paths}; take steel or xpbd",
                "bodies_solver",
            )
        for belt in self.belts:
            check_belt(self.scene, belt.path)
            if not np.linalg.norm(belt.direction) > 0:  # also refuses NaN
                raise BodiesError(
                    f"{belt.path}: a belt's direction must have a length", "belt_direction"
                )
        for drive in self.drives:
            joint = self.scene.joints.get(drive.path)
            if joint is None:
                raise BodiesError(
                    f"{drive.path}: no joint with one axis below {root}", "joint_unknown"
                )
            if drive.target >= 0 and not joint.driven:
                raise BodiesError(
                    f"{drive.path}: it has no drive that could follow a target", "joint_undriven"
                )

    @property
    def revision(self) -> str:
        """Fingerprint of scene and settings."""
        settings = (
            self.rate,
            self.solver,
            self.iterations,
            self.contacts,
            self.friction,
            len(self.hooks),
        )
        return fingerprint(
            [self.scene.revision, repr(settings), repr(self.belts), repr(self.drives)]
        )

    @property
    def paths(self) -> Sequence[str]:
        """Paths of the prims of bodies, in the order of poses."""
        return self.scene.frames.paths

    @property
    def resets(self) -> Sequence[bool]:
        """Whether each pose is of the world; else it is of the prim's parent."""
        return [bool(reset) for reset in self.scene.frames.resets]

    def build(self, context: Context) -> BodiesSystem:
        """See SystemPlan."""
        from stagetwin_sim.bodies._system import BodiesSystem

        return BodiesSystem(self, context)

    def touching_is_meant(self, path: str) -> bool:
        """Return whether a prim is made to be touched."""
        return any(is_below(path, root) for root in self.touchable)


def check_belt(scene: BodyScene, path: str) -> None:
    """Raise BodiesError where a prim cannot be a belt."""
    import newton

    shape = scene.shapes.get(path)
    if shape is None:
        raise BodiesError(f"{path}: no collider below {scene.root}", "belt_surface")
    if path not in scene.statics:
        raise BodiesError(
            f"{path}: it belongs to a body that moves; a belt stands still", "belt_surface"
        )
    kind = newton.GeoType(scene.builder.shape_type[shape])
    if kind not in (newton.GeoType.BOX, newton.GeoType.MESH, newton.GeoType.CONVEX_MESH):
        raise BodiesError(
            f"{path}: a belt is a box or a mesh, got {kind.name.lower()}", "belt_surface"
        )
