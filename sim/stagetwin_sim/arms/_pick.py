"""An arm that picks from a belt, as systems of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pxr import Usd

from stagetwin_sim._errors import ArmError, SnapshotError
from stagetwin_sim.arms._ik import ArmIk
from stagetwin_sim.arms._program import PickProgram, PickTask, Seen, tool_down
from stagetwin_sim.engine import Context, Saved, host_copy

__all__ = ["PickPlan", "PickSystem"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PickPlan:
    """The program of an arm, with its columns; a SystemPlan. It stands before the bodies.

    Attributes:
        name: unique in the plan.
        stage: with the arm; only read.
        arm: path of its root.
        tool: path of its tool.
        task: what is to be done.
        targets: columns of the joints' targets [rad], from the base on.
        close, holding: columns of the gripper.
        parts: columns of each part, x, y, z and the turn about Z.
        speed: column of the belt's speed [m/s].
        placed, missed, phase: columns to write, -1 for none.
    """

    name: str
    stage: Usd.Stage
    arm: str
    tool: str
    task: PickTask
    targets: Sequence[int]
    close: int
    holding: int
    parts: Sequence[tuple[int, int, int, int]]
    speed: int
    placed: int = -1
    missed: int = -1
    phase: int = -1

    def build(self, context: Context) -> PickSystem:
        """See SystemPlan."""
        return PickSystem(self, context)


class PickSystem:
    """The program of an arm in every world of an engine; a System.

    Raises:
        ArmError: the arm cannot wait where it is to, or not reach a place.
    """

    captured = False

    def __init__(self, plan: PickPlan, context: Context) -> None:
        self.name, self.rate = plan.name, 1 / context.frame
        self._plan, self._context = plan, context
        # A search begins at places that depend on a problem's number: one problem, so that a
        # world among many finds what it would find alone.
        search = ArmIk(plan.stage, plan.arm, plan.tool)
        self._follow = ArmIk(
            plan.stage, plan.arm, plan.tool, problems=context.worlds, tolerance=5e-3
        )
        if len(plan.targets) != len(search.chain.joints):
            raise ArmError(f"{plan.arm}: {len(search.chain.joints)} joints need targets")
        home = search.solve(tool_down(plan.task.waiting), _bent(search)).require()[0]
        for x, y, z, turn in plan.task.places:
            above = (x, y, z + max(plan.task.heights), turn)
            search.solve(tool_down(above), home).require()
        self.programs = [PickProgram(plan.task, search, home) for _ in range(context.worlds)]

    def launch(self, dt: float, substeps: int) -> None:
        """See System."""
        plan = self._plan
        bus = host_copy(self._context.bus)
        parts = np.array([list(columns) for columns in plan.parts])
        asked = [
            program.turn(
                Seen(bus[w][parts], bool(bus[w, plan.holding] > 0.5), float(bus[w, plan.speed]))
            )
            for w, program in enumerate(self.programs)
        ]
        near = np.array([program.angles for program in self.programs])
        asked_poses = {w: ask.pose for w, ask in enumerate(asked) if ask.pose is not None}
        if asked_poses:
            # Every world has its row, so that none depends on who else asks.
            goals = np.tile([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], (len(near), 1))
            for w, pose in asked_poses.items():
                goals[w] = tool_down(pose)
            found = self._follow.follow(goals, near)
            for w in asked_poses:
                self.programs[w].done(found.angles[w], bool(found.reached[w]))
        for w, program in enumerate(self.programs):
            bus[w, list(plan.targets)] = program.angles
            bus[w, plan.close] = program.close
            for column, value in (
                (plan.placed, program.placed),
                (plan.missed, program.missed),
                (plan.phase, program.phase),
            ):
                if column >= 0:
                    bus[w, column] = value
        self._context.bus.assign(bus)

    def save(self) -> Saved:
        """See System."""
        return {"program": np.array([program.numbers for program in self.programs])}

    def load(self, saved: Saved) -> None:
        """See System."""
        given = saved.get("program")
        shape = (len(self.programs), len(self.programs[0].numbers))
        if given is None or given.shape != shape:
            got = None if given is None else given.shape
            raise SnapshotError(f"{self.name}: program has shape {shape}, got {got}")
        for program, numbers in zip(self.programs, given, strict=True):
            program.numbers = numbers


def _bent(search: ArmIk) -> Floats:
    """Return angles with the tool down and the elbow up, where most searches end well."""
    angles: Floats = np.zeros(len(search.chain.joints))
    if len(angles) == _SIX:
        angles[:] = (0.0, 0.4, 0.2, 0.0, 1.0, 0.0)
    return angles


_SIX = 6
