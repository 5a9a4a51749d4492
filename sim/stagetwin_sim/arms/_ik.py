"""Angles that bring a tool to a pose: newton's batched Levenberg-Marquardt."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import newton.ik as ik
import numpy as np
import numpy.typing as npt
import warp as wp
from pxr import Usd

from stagetwin_sim._errors import ArmError
from stagetwin_sim.arms._chain import ArmChain, Floats, read_chain
from stagetwin_sim.bodies._poses import matrices
from stagetwin_sim.bodies._scene import read_scene_once
from stagetwin_sim.engine import host_copy

__all__ = ["ArmIk", "IkSolution"]

_SEEDS = 16
"""Starts of a free search: some of them end in another branch, or in none."""
_SPREAD = 0.7
"""Their standard deviation about where the arm is [rad]."""
_LIMIT_WEIGHT = 10.0
_TURN_WEIGHT = 0.5
"""What a radian of a wrong orientation counts against a metre."""


@dataclass(frozen=True)
class IkSolution:
    """Angles for a number of poses.

    Attributes:
        tool: path of the prim that was to be brought there.
        targets: what was asked, (x, y, z, qx, qy, qz, qw) [m], shape (n, 7).
        angles: of the joints [rad], shape (n, joints); the nearest found where not reached.
        position_errors: how far the tool is from its target [m], shape (n,).
        rotation_errors: the same of its orientation [rad], shape (n,).
        reached: whether both are within tolerance and all joints within their limits, shape (n,).
    """

    tool: str
    targets: Floats
    angles: Floats
    position_errors: Floats
    rotation_errors: Floats
    reached: npt.NDArray[np.bool_]

    def require(self) -> Floats:
        """Return the angles.

        Raises:
            ArmError: a pose was not reached; names the tool, the pose and what is left.
        """
        if not self.reached.all():
            i = int(np.flatnonzero(~self.reached)[0])
            x, y, z = self.targets[i, :3]
            raise ArmError(
                f"{self.tool}: cannot reach ({x:.3f}, {y:.3f}, {z:.3f}) m as asked: "
                f"{self.position_errors[i]:.3g} m and {self.rotation_errors[i]:.3g} rad are left",
                "arm_reach",
            )
        return self.angles


class ArmIk:
    """Solves for the joints of one arm on a stage, any number of poses at a time.

    Args:
        stage: with the arm.
        root: path of the arm; nothing else below it moves.
        tool: path of the prim on its last body that is to be brought to poses.
        problems: how many poses at a time.
        device: Warp's name of it.
        tolerance: what counts as reached [m].
        turn_tolerance: the same of the orientation [rad].

    Attributes:
        chain: joints and tool.

    Raises:
        ArmError: there is no such tool, or no chain of joints leads to it.
        BodiesError: the arm cannot be read.
    """

    def __init__(
        self,
        stage: Usd.Stage,
        root: str,
        tool: str,
        *,
        problems: int = 1,
        device: str = "cpu",
        tolerance: float = 1e-3,
        turn_tolerance: float = 5e-3,
    ) -> None:
        scene = read_scene_once(stage, root)
        self.chain: ArmChain = read_chain(stage, scene, tool)
        if len(self.chain.joints) != scene.builder.joint_coord_count:
            raise ArmError(f"{root}: something else than the arm of {tool} moves", "arm_chain")
        self._problems = problems
        self._device = device
        self._tolerance, self._turn_tolerance = tolerance, turn_tolerance
        self._model: Any = scene.builder.finalize(device=device)
        self._body = scene.bodies[self.chain.site.body]
        self._goals: wp.array[Any] = wp.zeros(problems, dtype=wp.vec3, device=device)
        self._turns: wp.array[Any] = wp.zeros(problems, dtype=wp.vec4, device=device)
        self._angles: wp.array[Any] = wp.zeros(
            (problems, len(self.chain.joints)), dtype=wp.float32, device=device
        )
        self._solvers: dict[int, Any] = {}
        self._graphs: dict[tuple[int, int], Any] = {}

    def solve(self, targets: npt.ArrayLike, near: npt.ArrayLike | None = None) -> IkSolution:
        """Search angles: from where the arm is, and where that fails from several starts about it.

        Args:
            targets: (x, y, z, qx, qy, qz, qw) in the world, Z up [m], shape (n, 7).
            near: where the arm is [rad], shape (joints,) or (n, joints); None is zero.
        """
        first = self._run(targets, near, 1, 40)
        if first.reached.all():
            return first
        second = self._run(targets, near, _SEEDS, 40)
        better = second.reached | (second.position_errors < first.position_errors)
        pick = np.where(first.reached, False, better)
        angles = np.where(pick[:, None], second.angles, first.angles)
        return self._judged(first.targets, angles)

    def follow(self, targets: npt.ArrayLike, near: npt.ArrayLike) -> IkSolution:
        """Search angles close to others: the arm stays in its branch.

        Args:
            targets: as of `solve`.
            near: where the arm is [rad], shape (joints,) or (n, joints).
        """
        return self._run(targets, near, 1, 12)

    def _run(
        self, targets: npt.ArrayLike, near: npt.ArrayLike | None, seeds: int, iterations: int
    ) -> IkSolution:
        asked = np.atleast_2d(np.asarray(targets, np.float64))
        count = len(self.chain.joints)
        if asked.ndim != 2 or asked.shape[1] != 7 or not np.isfinite(asked).all():
            raise ArmError(f"{self.chain.site.path}: a pose is 7 finite numbers", "arm_pose")
        lengths = np.linalg.norm(asked[:, 3:], axis=1, keepdims=True)
        if not (lengths > 0).all():
            raise ArmError(f"{self.chain.site.path}: a quaternion has a length", "arm_pose")
        asked = np.concatenate([asked[:, :3], asked[:, 3:] / lengths], axis=1)
        start = np.zeros(count) if near is None else np.asarray(near, np.float64)
        starts = np.broadcast_to(start, (len(asked), count))
        parts = [
            self._batch(asked[i : i + self._problems], starts[i : i + self._problems], seeds,
                        iterations)
            for i in range(0, len(asked), self._problems)
        ]  # fmt: skip
        return self._judged(asked, np.concatenate(parts))

    def _batch(self, asked: Floats, starts: Floats, seeds: int, iterations: int) -> Floats:
        count = len(asked)
        rows = np.minimum(np.arange(self._problems), count - 1)
        self._goals.assign(asked[rows, :3].astype(np.float32))
        self._turns.assign(asked[rows, 3:].astype(np.float32))
        self._angles.assign(np.ascontiguousarray(starts[rows]).astype(np.float32))
        self._search(seeds, iterations)
        found = host_copy(self._angles)[:count].astype(np.float64)
        # Whole turns too many are taken back where a joint's limits have room for it.
        middle = (self.chain.lower + self.chain.upper) / 2
        wide = self.chain.upper - self.chain.lower >= 2 * np.pi
        around = np.where(wide, starts, middle)
        turned = found - 2 * np.pi * np.round((found - around) / (2 * np.pi))
        fits = (turned >= self.chain.lower) & (turned <= self.chain.upper)
        return np.where(fits, turned, found)

    def _search(self, seeds: int, iterations: int) -> None:
        if (seeds, iterations) in self._graphs:
            wp.capture_launch(self._graphs[seeds, iterations])
            return
        solver = self._solver(seeds)
        kept = host_copy(self._angles)
        # Once by hand: that loads the kernels, which no capture may hold.
        for capturing in (False, True):
            self._angles.assign(kept)
            with wp.ScopedCapture(device=self._device) if capturing else nullcontext() as capture:
                solver.reset()  # the same starts for the same question
                solver.step(self._angles, self._angles, iterations=iterations)
            if capture is not None:
                self._graphs[seeds, iterations] = capture.graph
        wp.capture_launch(self._graphs[seeds, iterations])

    def _solver(self, seeds: int) -> Any:
        if seeds not in self._solvers:
            pose = self.chain.site.pose
            many = seeds > 1
            self._solvers[seeds] = ik.IKSolver(
                self._model,
                self._problems,
                [
                    ik.IKObjectivePosition(self._body, wp.vec3(*pose[:3]), self._goals),
                    ik.IKObjectiveRotation(
                        self._body, wp.quat(*pose[3:]), self._turns, weight=_TURN_WEIGHT
                    ),
                    ik.IKObjectiveJointLimit(
                        self._model.joint_limit_lower,
                        self._model.joint_limit_upper,
                        weight=_LIMIT_WEIGHT,
                    ),
                ],
                jacobian_mode=ik.IKJacobianType.ANALYTIC,
                sampler=ik.IKSampler.GAUSS if many else ik.IKSampler.NONE,
                n_seeds=seeds,
                noise_std=_SPREAD,
                lambda_initial=0.01,
            )
        return self._solvers[seeds]

    def _judged(self, asked: Floats, angles: Floats) -> IkSolution:
        chain = self.chain
        tools, goals = chain.tools(angles), matrices(asked)
        away = np.linalg.norm(tools[:, 3, :3] - goals[:, 3, :3], axis=1)
        between = tools[:, :3, :3] @ np.transpose(goals[:, :3, :3], (0, 2, 1))
        cosine = (np.trace(between, axis1=1, axis2=2) - 1) / 2
        apart = np.stack([between[:, 1, 2] - between[:, 2, 1],
                          between[:, 2, 0] - between[:, 0, 2],
                          between[:, 0, 1] - between[:, 1, 0]], axis=1)  # fmt: skip
        turned = np.arctan2(np.linalg.norm(apart, axis=1) / 2, cosine)
        within = (angles >= chain.lower - _SLACK) & (angles <= chain.upper + _SLACK)
        reached = (away <= self._tolerance) & (turned <= self._turn_tolerance)
        return IkSolution(
            chain.site.path, asked, angles, away, turned, reached & within.all(axis=1)
        )


_SLACK = 1e-3
"""How far a solution may be beyond a limit [rad]: of single precision, and of the penalty."""
