"""Bodies, belts and driven joints of a stage, planned together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from pxr import UsdGeom

from stagetwin.bindings import ModelBinding, is_below
from stagetwin_sim._errors import BodiesError
from stagetwin_sim.bodies._plan import SOLVERS, Belt, BodiesPlan, BodyHook, JointDrive, check_belt
from stagetwin_sim.bodies._scene import BodyScene, read_scene_once
from stagetwin_sim.bodies._system import BodiesSystem
from stagetwin_sim.engine import Parameter, PlanBuilder, Port, SystemPlan
from stagetwin_sim.plant import PortScope

__all__ = ["BODIES", "BodiesFamily"]

_PARAMETERS = (
    Parameter("solver", "1", 0, 0, len(SOLVERS) - 1, "0 Steel, 1 XPBD, 2 MuJoCo"),
    Parameter("iterations", "1", 0, 0, 1000, "of the solver; 0 is its own number"),
    Parameter("contacts", "1", 0, 0, 1e6, "that fit, for each world; 0 counts the shapes"),
    Parameter("friction", "1", 1, 0, 10, "what the friction of all shapes is multiplied by"),
)
_RATE = 240.0
"""Where the model has no `step` [Hz]."""

_DIRECTION = tuple(
    Parameter(f"direction_{axis}", "1", 1.0 if axis == "x" else 0.0, -1, 1, "where a belt runs")
    for axis in "xyz"
)
_SPEED = Port("speed", "m/s", 0.0, "of the belt")
_COUNTS = (
    Port("contacts", "1", 0.0, "between shapes"),
    Port("dropped", "1", 0.0, "what did not fit since the start"),
)
_PER_SECOND = {"rad": "rad/s", "m": "m/s"}
_EFFORT = {"rad": "N.m", "m": "N"}


@dataclass
class _Assembly:
    binding: ModelBinding
    scene: BodyScene
    numbers: list[float]
    belts: list[Belt] = field(default_factory=list)
    drives: list[JointDrive] = field(default_factory=list)
    members: list[ModelBinding] = field(default_factory=list)
    hooks: list[Callable[[BodiesSystem], BodyHook]] = field(default_factory=list)
    after: list[SystemPlan] = field(default_factory=list)


class BodiesFamily:
    """The models of kinds `bodies`, `belt-surface`, `joint-drive`, `live-arm` and `gripper`."""

    phase = "bodies"

    def plan(
        self, bindings: Sequence[ModelBinding], builder: PlanBuilder, scope: PortScope
    ) -> None:
        """See Family."""
        assemblies = self._assemblies([b for b in bindings if b.kind == "bodies"], scope)
        for binding in bindings:
            try:
                if binding.kind == "belt-surface":
                    _add_belts(binding, assemblies, scope)
                elif binding.kind == "joint-drive":
                    _add_drive(binding, assemblies, scope)
                elif binding.kind in ("live-arm", "gripper"):
                    _add_arm(binding, assemblies, builder, scope)
            except BodiesError as error:
                scope.report(binding, error.code, str(error))
        for assembly in assemblies:
            try:
                plan = _plan_of(assembly, builder, scope)
            except BodiesError as error:
                scope.report(assembly.binding, error.code, str(error))
                continue
            builder.add(plan)
            for system in assembly.after:
                builder.add(system)
            for i, member in enumerate([assembly.binding, *assembly.members]):
                scope.placed(member, None, plan.name, i)

    def _assemblies(self, bindings: Sequence[ModelBinding], scope: PortScope) -> list[_Assembly]:
        found: list[_Assembly] = []
        for binding in sorted(bindings, key=lambda b: b.prim):
            above = next((a for a in found if is_below(binding.prim, a.binding.prim)), None)
            if above is not None:
                text = f"{above.binding.path} moves everything below it already"
                scope.report(binding, "bodies_nested", text)
                continue
            try:
                scene = read_scene_once(scope.stage, binding.prim)
            except BodiesError as error:
                scope.report(binding, error.code, str(error))
                continue
            for problem in scene.problems:
                text = f"{problem.prim}: {problem.message}"
                scope.report(binding, problem.code, text, problem.severity)
            numbers = scope.parameters(binding, _PARAMETERS)
            found.append(_Assembly(binding, scene, numbers))
        return found


BODIES = BodiesFamily()
"""What the entry points name: one object, so that one plan sees bodies, belts and joints."""


def _of(path: str, assemblies: Sequence[_Assembly], what: str, code: str) -> _Assembly:
    for assembly in assemblies:
        if is_below(path, assembly.binding.prim):
            return assembly
    raise BodiesError(f"{path}: {what} must lie below a prim with a model of kind bodies", code)


def _add_belts(binding: ModelBinding, assemblies: Sequence[_Assembly], scope: PortScope) -> None:
    surfaces = scope.related(binding, "surface")
    if not surfaces:
        raise BodiesError(f"{binding.prim}: surface names no collider", "belt_surface")
    homes = [_of(path, assemblies, "a belt", "belt_surface") for path in surfaces]
    for path, home in zip(surfaces, homes, strict=True):
        check_belt(home.scene, path)
    direction = _direction(binding, scope)
    speed = scope.input(binding, _SPEED)
    for path, home in zip(surfaces, homes, strict=True):
        home.belts.append(Belt(path, speed, direction))
        if binding not in home.members:
            home.members.append(binding)


def _direction(binding: ModelBinding, scope: PortScope) -> tuple[float, float, float]:
    """Return where a belt runs, in the world with Z up."""
    own = np.array(scope.parameters(binding, _DIRECTION))
    prim = scope.stage.GetPrimAtPath(binding.prim)
    matrix = np.array(UsdGeom.XformCache().GetLocalToWorldTransform(prim))[:3, :3]
    along = own @ matrix
    if not np.linalg.norm(along) > 0:
        raise BodiesError(f"{binding.prim}: a belt's direction has a length", "belt_direction")
    if UsdGeom.GetStageUpAxis(scope.stage) == "Y":
        along = np.array([along[0], -along[2], along[1]])
    x, y, z = (along / np.linalg.norm(along)).tolist()
    return x, y, z


def _add_drive(binding: ModelBinding, assemblies: Sequence[_Assembly], scope: PortScope) -> None:
    joints = scope.related(binding, "joint")
    if len(joints) != 1:
        raise BodiesError(
            f"{binding.prim}: joint names one joint, got {len(joints)}", "joint_unknown"
        )
    home = _of(joints[0], assemblies, "a joint", "joint_unknown")
    joint = home.scene.joints.get(joints[0])
    if joint is None:
        raise BodiesError(f"{joints[0]}: it is no joint with one axis", "joint_unknown")
    asked = binding.reads or {"in:target", "param:target"} & {
        *binding.relations,
        *(f"param:{name}" for name in binding.parameters),
    }
    if asked and not joint.driven:
        raise BodiesError(
            f"{joints[0]}: it has no drive that could follow a target", "joint_undriven"
        )
    unit, builder = joint.unit, home.scene.builder
    start = float(builder.joint_q[joint.coordinate])
    wanted = float(builder.joint_target_q[joint.coordinate])
    drive = JointDrive(
        path=joints[0],
        target=scope.input(binding, Port("target", unit, wanted)) if joint.driven else -1,
        position=scope.output(binding, Port("position", unit, start)),
        velocity=scope.output(binding, Port("velocity", _PER_SECOND[unit])),
        effort=scope.output(binding, Port("effort", _EFFORT[unit])),
    )
    home.drives.append(drive)
    home.members.append(binding)


def _add_arm(
    binding: ModelBinding, assemblies: Sequence[_Assembly], builder: PlanBuilder, scope: PortScope
) -> None:
    from stagetwin_sim.arms import plan_gripper, plan_live_arm  # it is built on bodies

    live = binding.kind == "live-arm"
    named = scope.related(binding, "joints" if live else "tool")
    if not named:
        what = "joints names no joint" if live else "tool names no prim"
        raise BodiesError(f"{binding.prim}: {what}", "arm_chain" if live else "arm_tool")
    home = _of(named[0], assemblies, binding.kind, "joint_unknown" if live else "arm_tool")
    if live:
        arm = plan_live_arm(binding, home.scene, builder, scope)
        home.drives += arm.drives
        home.hooks.append(arm.ramp)
        home.after.append(arm.comparison)
    else:
        home.hooks.append(plan_gripper(binding, home.scene, scope))
    home.members.append(binding)


def _plan_of(assembly: _Assembly, builder: PlanBuilder, scope: PortScope) -> BodiesPlan:
    binding = assembly.binding
    solver, iterations, contacts, friction = assembly.numbers
    rate = 1 / binding.step if binding.step > 0 else _RATE
    steps = rate * builder.frame
    ratio = steps if steps >= 1 else 1 / steps
    if abs(ratio - round(ratio)) > 1e-9 * ratio:
        raise BodiesError(
            f"{binding.prim}: step must be a whole part or a whole multiple of "
            f"{builder.frame:g} s, got {binding.step:g} s",
            "step",
        )
    counted = [scope.output(binding, port) for port in _COUNTS]
    return BodiesPlan(
        scene=assembly.scene,
        name=f"bodies:{binding.prim}",
        rate=rate,
        solver=SOLVERS[round(solver)],
        iterations=round(iterations),
        contacts=round(contacts),
        belts=tuple(assembly.belts),
        drives=tuple(assembly.drives),
        contact_column=counted[0],
        dropped_column=counted[1],
        touchable=scope.related(binding, "touchable"),
        friction=friction,
        hooks=tuple(assembly.hooks),
    )
