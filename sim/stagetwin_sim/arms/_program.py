"""The program of an arm that takes parts from a moving belt, one world's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from stagetwin_sim.arms._chain import ArmChain
from stagetwin_sim.arms._ik import ArmIk
from stagetwin_sim.arms._motion import JointMotion, plan_motion

__all__ = ["Ask", "Phase", "PickProgram", "PickTask", "Seen"]

Floats = npt.NDArray[np.float64]


class Phase(IntEnum):
    """What the arm is doing."""

    WAIT = 0
    REACH = 1
    TRACK = 2
    CLOSE = 3
    LIFT = 4
    CARRY = 5
    LOWER = 6
    OPEN = 7
    RAISE = 8
    RETURN = 9


_TIMES = {
    Phase.TRACK: 0.8,
    Phase.CLOSE: 0.5,
    Phase.LIFT: 0.8,
    Phase.LOWER: 1.0,
    Phase.OPEN: 0.3,
    Phase.RAISE: 0.6,
}
"""How long what is no motion from rest to rest takes [s]; of CLOSE the longest."""
_DROP_SPEED = 0.5
"""Mean speed at which a part is put down [m/s]."""


@dataclass(frozen=True, kw_only=True)
class PickTask:
    """What is to be done.

    Attributes:
        waiting: where the tool waits, x, y, z [m] and its turn about Z [rad].
        entry: low and high corner of the box in which a part is noticed, in the world [m].
        direction: where the belt runs, in the world, of length 1.
        heights: how far the top of each part is above its origin [m].
        places: where origins of parts are to end, x, y, z [m] and the turn about Z [rad].
        clear: how far above a part, and above a place, the tool comes and goes [m].
        speeds, accelerations: limits of the joints [rad/s, rad/s2].
        frame: time between two turns [s].
    """

    waiting: tuple[float, float, float, float]
    entry: tuple[tuple[float, float, float], tuple[float, float, float]]
    direction: tuple[float, float, float]
    heights: tuple[float, ...]
    places: tuple[tuple[float, float, float, float], ...]
    clear: float = 0.2
    speeds: tuple[float, ...] | float = 2.0
    accelerations: tuple[float, ...] | float = 8.0
    frame: float = 0.05


@dataclass(frozen=True)
class Seen:
    """What the arm knows at a turn.

    Attributes:
        parts: x, y, z [m] and the turn about Z [rad], shape (n, 4).
        holding: whether its tool holds something.
        speed: of the belt [m/s].
    """

    parts: Floats
    holding: bool
    speed: float


@dataclass
class Ask:
    """What the arm is to do next: angles, or a pose of the tool to be followed.

    Attributes:
        angles: of the joints [rad], or None.
        pose: x, y, z [m] and the turn about Z [rad], or None.
    """

    angles: Floats | None = None
    pose: Floats | None = None


def tool_down(pose: npt.ArrayLike) -> Floats:
    """Return x, y, z and a turn about Z as (x, y, z, qx, qy, qz, qw) of a tool that looks down."""
    x, y, z, turn = np.asarray(pose, np.float64)
    return np.array([x, y, z, math.cos(turn / 2), math.sin(turn / 2), 0.0, 0.0])


class PickProgram:
    """A program, and where it is.

    Attributes:
        numbers: its whole state, shape (n,).
    """

    def __init__(self, task: PickTask, search: ArmIk, home: Floats) -> None:
        self._task, self._search, self._home = task, search, home
        chain: ArmChain = search.chain
        self._joints = len(chain.joints)
        speeds = np.minimum(np.broadcast_to(task.speeds, home.shape), chain.speeds)
        self._limits = speeds, np.broadcast_to(task.accelerations, home.shape)
        self.part, self.place, self.placed, self.missed = -1, 0, 0, 0
        self.close = False
        self.angles = chain.starts.copy()
        self._from = np.zeros(4)
        self._drop = 0.0
        self._move(Phase.RETURN, home)

    # -- the whole state

    @property
    def numbers(self) -> Floats:
        """Return the whole state."""
        motion = self._motion
        head = [self.phase, self.time, self.part, self.place, self.placed, self.missed, self.close]
        return np.concatenate([
            head, [motion.ramp, motion.duration, self._drop], motion.start, motion.end,
            self.angles, self._from,
        ]).astype(np.float64)  # fmt: skip

    @numbers.setter
    def numbers(self, given: Floats) -> None:
        head, rest = given[:10], given[10:]
        n = self._joints
        self.phase, self.time = Phase(round(head[0])), float(head[1])
        self.part, self.place, self.placed, self.missed = (round(x) for x in head[2:6])
        self.close = bool(head[6])
        start, end, self.angles = (rest[i * n : (i + 1) * n].copy() for i in range(3))
        self._motion = JointMotion(start, end, float(head[7]), float(head[8]))
        self._drop, self._from = float(head[9]), rest[3 * n :].copy()

    # -- a turn

    def turn(self, seen: Seen) -> Ask:
        """Decide what to do until the next turn."""
        self.time += self._task.frame
        match self.phase:
            case Phase.WAIT:
                self._look(seen)
                return Ask(angles=self.angles)
            case Phase.REACH | Phase.CARRY | Phase.RETURN:
                angles = self.angles = self._motion.at(self.time)
                if self.time >= self._motion.duration:
                    self._arrived(seen)
                return Ask(angles=angles)
            case _:
                return Ask(pose=self._along(seen))

    def done(self, angles: Floats, reached: bool) -> None:
        """Take the angles of a pose that was asked for, or that there are none."""
        if not reached:
            self._give_up()
            return
        self.angles = angles

    def _go(self, phase: Phase, at: Floats | None = None) -> None:
        self.phase, self.time = phase, 0.0
        if at is not None:
            self._from = at

    def _move(self, phase: Phase, end: Floats) -> None:
        self._motion = plan_motion(self.angles, end, *self._limits)
        self._go(phase)

    def _give_up(self) -> None:
        self.missed += 1
        self.close = False
        self._move(Phase.RETURN, self._home)

    # -- its phases

    def _look(self, seen: Seen) -> None:
        """Choose the foremost part in sight, and go where it will be."""
        if self.place >= len(self._task.places):
            return
        low, high = (np.array(corner) for corner in self._task.entry)
        places = seen.parts[:, :3]
        inside = np.all(np.logical_and(places >= low, places <= high), axis=1)
        along = places @ np.array(self._task.direction)
        for part in np.argsort(-along):
            if not inside[part]:
                continue
            self.part = int(part)
            if self._meet(seen):
                return
        self.part = -1

    def _meet(self, seen: Seen) -> bool:
        above, motion = self._over(seen, 0.0), JointMotion(self.angles, self.angles, 0.0, 1.0)
        for _ in range(4):  # where it will be depends on when the arm is there
            above = self._over(seen, motion.duration)
            above[2] += self._task.clear
            found = self._search.solve(tool_down(above), self.angles)
            if not found.reached.all():
                return False
            motion = plan_motion(self.angles, found.angles[0], *self._limits)
        self._motion = motion
        self._go(Phase.REACH, above)
        return True

    def _over(self, seen: Seen, later: float) -> Floats:
        """Return the pose of the tool on the top of its part, some time from now [s]."""
        task = self._task
        x, y, z, turn = seen.parts[self.part]
        ahead = seen.speed * later * np.array(task.direction)
        at = np.array([x, y, z + task.heights[self.part]]) + ahead
        return np.array([*at, task.waiting[3] + _half_turns(turn - task.waiting[3])])

    def _arrived(self, seen: Seen) -> None:
        if self.phase == Phase.REACH:
            self._go(Phase.TRACK)
        elif self.phase == Phase.CARRY:
            self._go(Phase.LOWER)
        else:
            self._motion = JointMotion(self._home, self._home, 0.0, 0.0)
            self._go(Phase.WAIT)

    def _along(self, seen: Seen) -> Floats:
        """Return the pose of the tool at the end of this frame."""
        task, phase = self._task, self.phase
        whole = self._time_of(phase)
        share = _smooth(self.time / whole)
        over = self.time >= whole - 1e-9
        pose = self._from.copy()
        if phase == Phase.TRACK:
            goal = self._over(seen, task.frame)
            pose += share * (goal - pose)
            pose[2] = goal[2] + (1 - share) * task.clear
            if over:
                self.close = True
                self._go(Phase.CLOSE)
        elif phase == Phase.CLOSE:
            pose = self._over(seen, task.frame)
            if seen.holding:
                self._go(Phase.LIFT, pose)
            elif over:
                self._give_up()
        elif phase == Phase.LIFT:
            time = min(self.time, whole)
            brake = seen.speed * (time - time**2 / (2 * whole))
            pose[:3] += brake * np.array(task.direction)
            pose[2] += share * task.clear
            if over:
                self._carry(seen, pose)
        elif phase == Phase.LOWER:
            pose[2] -= share * self._drop
            if over:
                self.close = False
                self._go(Phase.OPEN, pose)
        elif phase == Phase.OPEN:
            if over:
                self.placed += 1
                self.place += 1
                self._go(Phase.RAISE)
        elif phase == Phase.RAISE:
            pose[2] += share * self._drop
            if over:
                self._move(Phase.RETURN, self._home)
        return pose

    def _carry(self, seen: Seen, pose: Floats) -> None:
        """Go above the next place, so that the part, as it hangs, will be right there."""
        if not seen.holding:
            self._give_up()
            return
        away = seen.parts[self.part] - pose
        x, y, z, turn = self._task.places[self.place]
        turned = _half_turns(turn - seen.parts[self.part][3])
        c, s = math.cos(turned), math.sin(turned)
        above = np.array([
            x - (c * away[0] - s * away[1]),
            y - (s * away[0] + c * away[1]),
            z - away[2],
            pose[3] + turned,
        ])  # fmt: skip
        # As high as it is now: on its way there it passes over the belt's edge.
        drop = max(self._task.clear, pose[2] - above[2])
        above[2] += drop
        found = self._search.solve(tool_down(above), self.angles)
        if not found.reached.all():
            self._give_up()
            return
        self._move(Phase.CARRY, found.angles[0])
        self._from, self._drop = above, drop

    def _time_of(self, phase: Phase) -> float:
        if phase in (Phase.LOWER, Phase.RAISE):
            return max(_TIMES[phase], self._drop / _DROP_SPEED)
        return _TIMES[phase]


def _smooth(share: float) -> float:
    """Return a share that begins and ends at rest."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def _half_turns(angle: float) -> float:
    """Return an angle without half turns, in [-pi/2, pi/2): a part looks the same from behind."""
    return (angle + math.pi / 2) % math.pi - math.pi / 2
