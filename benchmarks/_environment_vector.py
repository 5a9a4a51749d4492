"""The task `kinematics` by NumPy: all worlds at once, by the same method."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Changes", "Floats", "VectorKinematics", "wrap"]

Floats = npt.NDArray[Any]
Changes = tuple[Floats, Floats, Floats, Floats]
GRAVITY = np.float32(9.81)


def wrap(angle: Floats) -> Floats:
    """Return an angle in (-pi, pi]."""
    turn = np.float32(2 * np.pi)
    return angle - turn * np.floor(angle / turn + np.float32(0.5))


class VectorKinematics:
    """The bare vehicle in many worlds; see the task for what the numbers mean.

    Args:
        config: of the task, with its default randomisation.
        worlds: how many.
        seed: of its own numbers.
    """

    actions = 2

    def __init__(self, config: Any, worlds: int, seed: int = 0) -> None:
        self.config, self.worlds = config, worlds
        self.random = np.random.default_rng(seed)
        self.max_steps = round(config.episode / config.dt)
        layout = config.layout()
        self.names = [p.name for p in layout.physics] + ["delay.speed", "delay.rotation"]
        drawn = {term.parameter: term.range for term in config.randomization}
        self.low = np.array([drawn[n].low if n in drawn else 0 for n in self.names], np.float32)
        self.high = np.array([drawn[n].high if n in drawn else 3 for n in self.names], np.float32)
        self.column = {name: i for i, name in enumerate(self.names)}
        self.scales = np.array([term.term.scale for term in config.actions], np.float32)
        self.least = np.array([term.term.low for term in config.actions], np.float32)
        self.most = np.array([term.term.high for term in config.actions], np.float32)
        self.weights = np.array(
            [t.weight * (1.0 if t.once else config.dt) for t in config.rewards], np.float32
        )
        self.arrive = next(t.params for t in config.terminations if t.name == "goal")
        self.vehicle = config.vehicle
        self.pose, self.goal = (np.zeros((worlds, 3), np.float32) for _ in range(2))
        self.twist = np.zeros((worlds, 2), np.float32)
        self.said, self.before = (np.zeros((worlds, 2), np.float32) for _ in range(2))
        self.ring = np.zeros((worlds, 4, 2), np.float32)
        self.step_of = np.zeros(worlds, np.int32)
        self.physics = np.zeros((worlds, len(self.names)), np.float32)
        self.rows = np.arange(worlds)
        self.begin(self.rows)

    def begin(self, which: npt.NDArray[np.int64]) -> None:
        """Begin episodes."""
        count = len(which)
        share = self.random.random((count, len(self.names)), np.float32)
        self.physics[which] = self.low + share * (self.high - self.low)
        whole = self.low[-2:] + np.floor(share[:, -2:] * (self.high[-2:] - self.low[-2:] + 1))
        self.physics[which, -2:] = whole
        self.twist[which] = self.said[which] = self.before[which] = 0.0
        self.ring[which] = 0.0
        self.step_of[which] = 0
        self.place(which)

    def place(self, which: npt.NDArray[np.int64]) -> None:
        """Put vehicles and goals of new episodes."""
        share = self.random.random((len(which), 4), np.float32)
        pi = np.float32(np.pi)
        self.pose[which] = 0.0
        self.pose[which, 2] = (2 * share[:, 0] - 1) * pi
        far, angle = 2.0 + 4.0 * share[:, 1], (2 * share[:, 2] - 1) * pi
        self.goal[which, 0] = far * np.cos(angle)
        self.goal[which, 1] = far * np.sin(angle)
        self.goal[which, 2] = (2 * share[:, 3] - 1) * pi

    def take(self, actions: Floats) -> Floats:
        """Return the commands that are due."""
        slot = self.step_of & 3
        self.before, self.said = self.said, np.clip(actions, -1.0, 1.0)
        self.ring[self.rows, slot] = np.clip(self.said * self.scales, self.least, self.most)
        delay = (self.physics[:, -2:] + 0.5).astype(np.int32)
        due = (slot[:, None] - delay) & 3
        return np.stack([self.ring[self.rows, due[:, j], j] for j in range(2)], 1)

    def changes(self) -> Changes:
        """Return how much a step may change: speed up, down, rotation; and the lag's share."""
        c, physics, vehicle = self.column, self.physics, self.vehicle
        dt = np.float32(self.config.dt)
        heavier = np.float32(vehicle.mass) / physics[:, c["mass"]]
        held = physics[:, c["friction"]] * GRAVITY
        up = np.minimum(vehicle.acceleration * heavier, held) * dt
        down = np.minimum(vehicle.deceleration * heavier, held) * dt
        spin = vehicle.rotation_acceleration * heavier * dt
        return up, down, spin, 1.0 - np.exp(-dt / physics[:, c["lag"]])

    def asked(self, command: Floats) -> Floats:
        """Return what the drives are asked for [m/s, rad/s]."""
        c = self.column
        return command * self.physics[:, [c["speed_gain"], c["rotation_gain"]]]

    def drive(self, asked_of: Floats, limits: Changes) -> None:
        """Move the vehicles on."""
        c, physics, vehicle = self.column, self.physics, self.vehicle
        dt = np.float32(self.config.dt)
        up, down, spin, follow = limits
        v, omega = self.twist[:, 0], self.twist[:, 1]
        asked = np.clip(asked_of[:, 0], -vehicle.reverse_speed, vehicle.speed)
        asked = v + (asked - v) * follow
        sign = np.where(v < 0.0, np.float32(-1.0), np.float32(1.0))
        now, want = sign * v, sign * asked
        through = np.maximum(want, -up * (1.0 - now / np.maximum(down, 1e-12)))
        slower = np.where(now > down, now - down, through)
        faster = np.minimum(np.maximum(want, now - down), now + up)
        v = sign * np.where(want >= 0.0, faster, slower)
        most = np.float32(vehicle.rotation_speed)
        turn = np.clip(asked_of[:, 1], -most, most)
        turn = omega + (turn - omega) * follow
        omega = np.clip(turn, omega - spin, omega + spin)
        ground = v * (1.0 - physics[:, c["slip"]]) * dt
        half = 0.5 * omega * (1.0 - physics[:, c["rotation_slip"]]) * dt
        bent = np.abs(half) > 1e-3
        chord = ground * np.where(bent, np.sin(half) / np.where(bent, half, 1.0), 1.0)
        middle = self.pose[:, 2] + half
        self.pose[:, 0] += chord * np.cos(middle)
        self.pose[:, 1] += chord * np.sin(middle)
        self.pose[:, 2] = wrap(self.pose[:, 2] + 2.0 * half)
        self.twist[:, 0], self.twist[:, 1] = v, omega

    def left(self) -> Floats:
        """Return how far the goals are [m]."""
        way = self.goal[:, :2] - self.pose[:, :2]
        far: Floats = np.sqrt(way[:, 0] * way[:, 0] + way[:, 1] * way[:, 1])
        return far

    def arrived(self) -> npt.NDArray[np.bool_]:
        """Return who has arrived."""
        turn = np.abs(wrap(self.goal[:, 2] - self.pose[:, 2]))
        near, least_turn, slow = self.arrive
        still = np.abs(self.twist[:, 0]) <= slow
        return np.asarray((self.left() <= near) & (turn <= least_turn) & still)

    def numbers(self) -> list[Floats]:
        """Return the values that a policy sees before they become its numbers."""
        way = self.goal[:, :2] - self.pose[:, :2]
        far = self.left()
        near = 1.0 / np.maximum(far, 1e-6)
        c, n = np.cos(self.pose[:, 2]) * near, np.sin(self.pose[:, 2]) * near
        return [
            np.clip(far / 10.0, 0.0, 1.0),
            np.clip(c * way[:, 0] + n * way[:, 1], -1.0, 1.0),
            np.clip(c * way[:, 1] - n * way[:, 0], -1.0, 1.0),
            np.clip(self.twist[:, 0] / self.vehicle.speed, -1.0, 1.0),
            np.clip(self.twist[:, 1] / self.vehicle.rotation_speed, -1.0, 1.0),
            self.said[:, 0],
            self.said[:, 1],
        ]

    def observe(self) -> Floats:
        """Return what the policy sees."""
        return np.stack(self.numbers(), 1)

    def step(self, actions: Floats) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """Move on; return observation, reward and who ended."""
        before = self.left()
        self.drive(self.asked(self.take(actions)), self.changes())
        self.step_of += 1
        success = self.arrived()
        done = success | (self.step_of >= self.max_steps)
        parts = (before - self.left(), success, np.ones(self.worlds))
        reward = sum(w * part for w, part in zip(self.weights, parts, strict=True))
        if done.any():
            self.begin(np.flatnonzero(done))
        return self.observe(), np.asarray(reward, np.float32), done
