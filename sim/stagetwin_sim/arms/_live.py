"""Arms and grippers as models of a stage: what a live arm should do, beside what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from stagetwin.bindings import ModelBinding, is_below
from stagetwin_sim._errors import ArmError
from stagetwin_sim.arms._arms_kernels import compare_joints
from stagetwin_sim.arms._chain import read_tool
from stagetwin_sim.arms._hooks import Gripper, TargetRamp
from stagetwin_sim.bodies import BodyScene, JointDrive
from stagetwin_sim.engine import Context, Parameter, PlanBuilder, Port, Saved
from stagetwin_sim.plant import PortScope

__all__ = ["JointComparison", "LiveArm", "plan_gripper", "plan_live_arm"]

_GRIPPER = (
    Parameter("reach", "m", 0.02, 0.0, 1.0, "from the tool to the box around a part"),
    Parameter("limit", "N", 0.0, 0.0, 1e6, "force at which it loses the part; 0 is none"),
)


@dataclass(frozen=True)
class LiveArm:
    """What a live arm adds to the bodies that it belongs to.

    Attributes:
        drives: of its joints.
        ramp: leads their targets from frame to frame.
        comparison: with what is measured; to be stepped after the bodies.
    """

    drives: Sequence[JointDrive]
    ramp: TargetRamp
    comparison: JointComparison


@dataclass(frozen=True)
class JointComparison:
    """Measured minus expected, of angles and of efforts; a SystemPlan.

    Attributes:
        name: unique in the plan.
        measured, expected, differences: columns, a row for angles and one for efforts; -1 of
            `measured` is what nobody measures.
        worst: column of the largest of each row.
    """

    name: str
    measured: Sequence[Sequence[int]]
    expected: Sequence[Sequence[int]]
    differences: Sequence[Sequence[int]]
    worst: Sequence[int]

    def build(self, context: Context) -> _Comparison:
        """See SystemPlan."""
        return _Comparison(self, context)


class _Comparison:
    captured = True

    def __init__(self, plan: JointComparison, context: Context) -> None:
        self.name, self.rate = plan.name, 1 / context.frame
        self._context = context
        self._rows = len(plan.measured)
        self._columns: list[wp.array[Any]] = [
            wp.array(np.array(columns, np.int32), dtype=wp.int32, device=context.device)
            for columns in (plan.measured, plan.expected, plan.differences, plan.worst)
        ]

    def launch(self, dt: float, substeps: int) -> None:
        """See System."""
        wp.launch(
            compare_joints,
            dim=(self._context.worlds, self._rows),
            inputs=self._columns,
            outputs=[self._context.bus],
            device=self._context.device,
        )

    def save(self) -> Saved:
        """See System."""
        return {}

    def load(self, saved: Saved) -> None:
        """See System."""


def plan_live_arm(
    binding: ModelBinding, scene: BodyScene, builder: PlanBuilder, scope: PortScope
) -> LiveArm:
    """Plan the model of kind `live-arm`.

    A joint without a set-point of its own follows its measured angle. It begins at the measured
    angle, and no observer corrects it: what it does differently is what is asked for.

    Args:
        binding: the model.
        scene: with the arm.
        builder: of the plan.
        scope: of the plan.

    Raises:
        ArmError: `joints` names what is no driven joint that turns.
    """
    paths = scope.related(binding, "joints")
    drives: list[JointDrive] = []
    columns: dict[str, list[tuple[int, int, int]]] = {"joint": [], "effort": []}
    for i, path in enumerate(paths, 1):
        joint = scene.joints.get(path)
        if joint is None or joint.unit != "rad" or not joint.driven:
            raise ArmError(
                f"{path}: no joint below {scene.root} that turns by a drive", "arm_chain"
            )
        start = float(scene.builder.joint_q[joint.coordinate])
        measured = scope.input(binding, Port(f"joint{i}", "rad", start, "measured angle"))
        known = _fed(builder, measured)
        target = scope.input(binding, Port(f"target{i}", "rad", start, "set-point"))
        authored = f"target{i}" in binding.parameters
        if known and not authored and not _fed(builder, target):
            target = measured
        effort = scope.input(binding, Port(f"effort{i}", "N.m", 0.0, "measured torque"))
        position = scope.output(binding, Port(f"joint{i}", "rad", start, "expected angle"))
        torque = scope.output(binding, Port(f"effort{i}", "N.m", 0.0, "expected torque"))
        drives.append(
            JointDrive(
                path=path,
                target=target,
                position=position,
                effort=torque,
                begin=measured if known else target,
                corrected=False,
            )
        )
        for name, given, expected, unit in (
            ("joint", measured, position, "rad"),
            ("effort", effort, torque, "N.m"),
        ):
            port = Port(f"{name}_difference{i}", unit, 0.0, "measured minus expected")
            fed = given if _fed(builder, given) else -1
            columns[name].append((fed, expected, scope.output(binding, port)))
    worst = [
        scope.output(binding, Port(f"{name}_deviation", unit, 0.0, "largest of the differences"))
        for name, unit in (("joint", "rad"), ("effort", "N.m"))
    ]
    return LiveArm(
        drives=drives,
        ramp=TargetRamp(paths, [drive.target for drive in drives]),
        comparison=JointComparison(
            name=f"comparison:{binding.path}",
            measured=[[row[0] for row in rows] for rows in columns.values()],
            expected=[[row[1] for row in rows] for rows in columns.values()],
            differences=[[row[2] for row in rows] for rows in columns.values()],
            worst=worst,
        ),
    )


def plan_gripper(binding: ModelBinding, scene: BodyScene, scope: PortScope) -> Gripper:
    """Plan the model of kind `gripper`.

    Args:
        binding: the model.
        scene: with the tool and the parts.
        scope: of the plan.

    Raises:
        ArmError: `tool` lies on no body, or `parts` names none.
    """
    tool = read_tool(scope.stage, scene, scope.related(binding, "tool")[0])
    roots = scope.related(binding, "parts")
    parts = [
        path
        for path in scene.bodies
        if path != tool.body and any(is_below(path, root) for root in roots)
    ]
    if not parts:
        raise ArmError(f"{binding.prim}: parts names no body", "gripper_part")
    reach, limit = scope.parameters(binding, _GRIPPER)
    return Gripper(
        site=tool,
        parts=parts,
        close=scope.input(binding, Port("close", "1", 0.0, "1 holds")),
        reach=reach,
        limit=limit,
        holding=scope.output(binding, Port("holding", "1", 0.0, "1 while it holds a part")),
        force=scope.output(binding, Port("force", "N", 0.0, "that holds the part")),
    )


def _fed(builder: PlanBuilder, column: int) -> bool:
    """Return whether something from outside, or a model, gives a column its value."""
    return builder.described(column).role != "constant"
