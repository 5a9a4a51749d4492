"""Worlds of jointed bodies that newton moves; importing it imports newton."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import newton
import warp as wp

__all__ = ["NewtonWorlds"]


class NewtonWorlds:
    """Copies of a jointed scene without contacts, by newton's reduced coordinates; a Simulation.

    Args:
        builder: of one world; not changed.
        worlds: how many.
        device: Warp's name of it.
        dt: of a step [s].
        substeps: for each step of the environment.
        efforts: whether joints are moved by `effort`; otherwise by their drives to `target`.

    Attributes:
        model: newton's.
        arrays: `joint_q`, `joint_qd` and `effort`, or `target`, `stiffness` and `damping`, shape
            (worlds, joints).
    """

    def __init__(
        self,
        builder: Any,
        worlds: int,
        device: str,
        *,
        dt: float,
        substeps: int,
        efforts: bool,
    ) -> None:
        many: Any = newton.ModelBuilder()
        many.replicate(builder, worlds)
        many.rigid_contact_max = 0
        self.model: Any = many.finalize(device=device)
        given: dict[str, Any] = {}
        if self.model.device.is_cuda:  # a CPU has one order
            given["deterministic"] = wp.DeterministicMode.RUN_TO_RUN
        freedoms = len(builder.joint_qd)
        self._solver = newton.solvers.SolverSteel(
            self.model,
            enable_joint_limits=True,
            joint_limit_activation_gap=0.1,
            articulation_constraint_max=max(8, 2 * freedoms),
            free_body_constraint_max=8,
            warn_constraint_overflow=False,
            **given,
        )
        self._here, self._there = self.model.state(), self.model.state()
        self._control = self.model.control()
        self._dt, self._substeps = dt, substeps

        def rows(array: Any) -> Any:
            return array.reshape((worlds, freedoms))

        self.arrays: Mapping[str, Any] = {
            "joint_q": rows(self._here.joint_q),
            "joint_qd": rows(self._here.joint_qd),
        }
        if efforts:
            self.arrays |= {"effort": rows(self._control.joint_f)}
        else:
            self.arrays |= {
                "target": rows(self._control.joint_target_q),
                "stiffness": rows(self.model.joint_target_ke),
                "damping": rows(self.model.joint_target_kd),
            }
        self.begin()

    def launch(self) -> None:
        """See Simulation."""
        here, there = self._here, self._there
        for _ in range(self._substeps):
            here.clear_forces()
            self._solver.step(here, there, self._control, None, self._dt)
            here, there = there, here
        if self._substeps % 2:  # a graph goes by addresses: what is new must lie where the old was
            for name in ("joint_q", "joint_qd", "body_q", "body_qd"):
                wp.copy(getattr(self._here, name), getattr(self._there, name))

    def begin(self) -> None:
        """See Simulation."""
        newton.eval_fk(self.model, self._here.joint_q, self._here.joint_qd, self._here)
