"""The task `navigation` by NumPy: all worlds at once, by the same method."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks._environment_vector import Changes, Floats, VectorKinematics, wrap
from stagetwin_sim.environments import NavigationConfig

__all__ = ["VectorNavigation"]


class VectorNavigation(VectorKinematics):
    """A vehicle among pillars and others, with rays, noise and dropout; every level is 1."""

    def __init__(self, config: NavigationConfig, worlds: int, seed: int = 0) -> None:
        self.half = np.float32(config.room / 2)
        rear = config.vehicle.length - config.vehicle.front
        front, side = config.vehicle.front, config.vehicle.width / 2
        self.long, self.middle, self.side = (front + rear) / 2, (front - rear) / 2, side
        self.radius = np.hypot(max(front, rear), side)
        self.pillars = np.zeros((worlds, config.pillars, 3), np.float32)
        self.others = np.zeros((worlds, config.others, 4), np.float32)
        self.targets = np.zeros((worlds, config.others, 2), np.float32)
        self.noise = np.concatenate(
            [np.full(t.term.size, t.noise / t.term.scale) for t in config.observations]
        ).astype(np.float32)
        self.noisy = True
        self.field: Any = config.layout().values["field"]
        self.patience: int = config.layout().values["patience"]
        self.near = np.float32(next(t.params[0] for t in config.rewards if t.name == "too_near"))
        self.clear = np.full(worlds, 1e6, np.float32)
        self.close = np.zeros(worlds, np.bool_)
        fan = next(t for t in config.observations if t.name == "lidar")
        self.rays, self.dropout = fan.term.size, fan.dropout
        super().__init__(config, worlds, seed)

    def room_to(self, points: Floats, which: npt.NDArray[np.int64]) -> Floats:
        """Return how far points are from walls and pillars [m]; shape (n,)."""
        room = self.half - np.abs(points).max(-1)
        pillars = self.pillars[which]
        away = np.linalg.norm(points[:, None] - pillars[..., :2], axis=-1) - pillars[..., 2]
        away = np.where(pillars[..., 2] > 0.0, away, np.float32(1e6))
        return np.asarray(np.minimum(room, away.min(1)), np.float32)

    def search(self, which: Any, draw: Any, wanted: float, judge: Any) -> Floats:
        """Return the first drawn places that are clear enough, else the clearest of 24."""
        best = np.full(len(which), -1e6, np.float32)
        found: Floats = np.zeros_like(draw(len(which)))
        for _ in range(24):
            open_ones = np.flatnonzero(best < wanted)
            if not len(open_ones):
                break
            points = draw(len(which))[open_ones]
            room = judge(points, which[open_ones])
            better = room > best[open_ones]
            best[open_ones[better]] = room[better]
            found[open_ones[better]] = points[better]
        return found

    def place(self, which: npt.NDArray[np.int64]) -> None:
        """Put pillars, vehicles, others and goals of new episodes."""
        gap, random, count = self.config.gap, self.random, len(which)
        self.clear[which] = 1e6
        pillars = self.pillars.shape[1]
        share = 0.5 + 0.5 * random.random(count)
        tried = (pillars * share + 0.5).astype(int)
        self.pillars[which] = (0.0, 0.0, -1.0)
        for i in range(pillars):
            size = random.uniform(0.2, 0.5, count).astype(np.float32)
            waiting = tried > i
            for _ in range(24):
                most = (self.half - size - gap)[:, None]
                points = (random.uniform(-1, 1, (count, 2)) * most).astype(np.float32)
                fits = waiting & (self.room_to(points, which) > size + gap)
                self.pillars[which[fits], i] = np.concatenate([points, size[:, None]], 1)[fits]
                waiting &= ~fits
        half = float(self.half)

        def anywhere(n: int) -> Floats:
            return random.uniform(-half, half, (n, 2)).astype(np.float32)

        at = self.search(which, anywhere, self.radius + 0.3, self.room_to)
        self.pose[which, :2] = at
        self.pose[which, 2] = random.uniform(-np.pi, np.pi, count)
        own = self.config.other_radius
        for i in range(self.others.shape[1]):

            def judge(points: Floats, rows: Any, until: int = i) -> Floats:
                room = self.room_to(points, rows) - own
                to_me = np.linalg.norm(points - self.pose[rows, :2], axis=1)
                room = np.minimum(room, to_me - self.radius - 2 * own)
                for k in range(until):
                    to_other = np.linalg.norm(points - self.others[rows, k, :2], axis=1)
                    room = np.minimum(room, to_other - 2 * own)
                return np.asarray(room, np.float32)

            at = self.search(which, anywhere, 0.1, judge)
            self.others[which, i, :2] = at
            self.others[which, i, 2] = random.uniform(-np.pi, np.pi, count)
            self.others[which, i, 3] = random.uniform(0.2, 0.6, count)
        most = half - own
        self.targets[which] = random.uniform(-most, most, (count, self.others.shape[1], 2))
        start = self.pose[which, :2]

        def around(n: int) -> Floats:
            far, angle = random.uniform(1.5, 8.0, n), random.uniform(-np.pi, np.pi, n)
            way = np.stack([far * np.cos(angle), far * np.sin(angle)], 1)
            return np.asarray(start + way, np.float32)

        self.goal[which, :2] = self.search(which, around, self.radius + 0.2, self.room_to)
        self.goal[which, 2] = random.uniform(-np.pi, np.pi, count)

    def move_others(self) -> None:
        """Move the others on, one after another in all worlds."""
        dt, own = np.float32(self.config.dt), np.float32(self.config.other_radius)
        heed = self.physics[:, self.column["courtesy"]]
        wide = own + np.float32(self.radius)
        for i in range(self.others.shape[1]):
            other = self.others[:, i]
            to = self.targets[:, i] - other[:, :2]
            left = wrap(np.arctan2(to[:, 1], to[:, 0]) - other[:, 2])
            theta = wrap(other[:, 2] + np.clip(left, -dt, dt))
            c, n = np.cos(theta), np.sin(theta)
            me = self.pose[:, :2] - other[:, :2]
            ahead = c * me[:, 0] + n * me[:, 1]
            sideways = np.abs(c * me[:, 1] - n * me[:, 0])
            yields = (ahead > 0.0) & (ahead < wide + heed) & (sideways < wide)
            go = other[:, :2] + np.stack([c, n], 1) * (other[:, 3] * dt)[:, None]
            free = self.room_to(go, self.rows) > own
            for k in range(self.others.shape[1]):
                if k != i:
                    apart = self.others[:, k, :2] - go
                    free &= (apart * apart).sum(1) > 4 * own * own
            tries = (np.abs(left) < 0.5) & ~yields
            moves = tries & free
            other[moves, :2] = go[moves]
            other[:, 2] = theta
            weary = yields & (self.step_of % self.patience == self.patience - 1)
            elsewhere = ((to * to).sum(1) < 0.09) | (tries & ~free) | weary
            most = self.half - own
            fresh = self.random.uniform(-most, most, (int(elsewhere.sum()), 2))
            self.targets[elsewhere, i] = fresh

    def beside(self, points: Floats, pose: Floats) -> Floats:
        """Return how far points are from the vehicles' footprints [m]; shape (worlds, n)."""
        c, n = np.cos(pose[:, 2])[:, None], np.sin(pose[:, 2])[:, None]
        way = points - pose[:, None, :2]
        out_x = np.abs(c * way[..., 0] + n * way[..., 1] - self.middle) - self.long
        out_y = np.abs(c * way[..., 1] - n * way[..., 0]) - self.side
        outside = np.hypot(np.maximum(out_x, 0.0), np.maximum(out_y, 0.0))
        return np.asarray(outside + np.minimum(np.maximum(out_x, out_y), 0.0), np.float32)

    def stops_clear(self, v: Floats, omega: Floats) -> npt.NDArray[np.bool_]:
        """Return who stays clear of everything going so and then braking.

        Whoever is within a tenth of a millimetre of the field's edge is noted in `close`: there
        rounding decides.
        """
        pose, dt, field = self.pose, np.float32(self.config.dt), self.field
        slow = np.abs(v) / np.float32(2.0 * field.deceleration)
        way = v * (dt + slow)
        spot = np.abs(omega) / np.float32(2.0 * field.rotation_deceleration)
        turn = omega * (dt + np.maximum(slow, spot))
        least = np.minimum(np.float32(field.clear), self.clear - np.float32(1e-4))
        room = np.full(self.worlds, 1e6, np.float32)
        for i in range(field.looks):
            share = np.float32((i + 1) / field.looks)
            half = np.float32(0.5) * turn * share
            x = pose[:, 0] + way * share * np.cos(pose[:, 2] + half)
            y = pose[:, 1] + way * share * np.sin(pose[:, 2] + half)
            there = np.stack([x, y, pose[:, 2] + 2 * half], 1)
            room = np.minimum(room, self.clearance(there))
        self.close |= np.abs(room - least) < 1e-4
        return np.asarray(room >= least)

    def guarded(self, asked: Floats, limits: Changes) -> Floats:
        """Return commands as the protective field lets them through."""
        vehicle, dt = self.vehicle, np.float32(self.config.dt)
        _, down, spin, follow = limits
        self.close[:] = False
        v, omega = self.twist[:, 0], self.twist[:, 1]
        up, most = vehicle.acceleration * dt, vehicle.rotation_acceleration * dt
        wanted = np.clip(asked[:, 0], -vehicle.reverse_speed, vehicle.speed)
        turn = np.clip(asked[:, 1], omega - most, omega + most)
        free = self.stops_clear(np.clip(wanted, v - up, v + up), turn)
        if free.all():
            return asked
        slower = np.maximum(np.abs(v) - down, 0.0)
        spot = (slower == 0.0) & self.stops_clear(np.zeros_like(v), turn)
        rate = np.maximum(np.abs(omega) - spin, 0.0)
        bend = np.abs(omega) * slower / np.maximum(np.abs(v), np.float32(1e-12))
        rate = np.where(slower > 0.0, bend, rate)

        def braked(now: Floats, then: Floats) -> Floats:
            command = np.maximum(np.abs(now) + (then - np.abs(now)) / follow, 0.0)
            held: Floats = np.sign(now) * np.where(then < np.abs(now), command, then)
            return held

        stopped = np.stack([braked(v, slower), braked(omega, rate)], 1)
        stopped[spot] = np.stack([np.zeros_like(v), asked[:, 1]], 1)[spot]
        return np.where(free[:, None], asked, stopped)

    def clearance(self, pose: Floats) -> Floats:
        """Return how far the vehicles at poses are from what is nearest [m]."""
        heading = pose[:, 2]
        c, n = np.cos(heading), np.sin(heading)
        x, y = pose[:, 0] + self.middle * c, pose[:, 1] + self.middle * n
        c, n = np.abs(c), np.abs(n)
        reach_x = np.abs(x) + c * self.long + n * self.side
        reach_y = np.abs(y) + n * self.long + c * self.side
        room = self.half - np.maximum(reach_x, reach_y)
        to_pillars = self.beside(self.pillars[..., :2], pose) - self.pillars[..., 2]
        to_pillars = np.where(self.pillars[..., 2] > 0.0, to_pillars, np.float32(1e6))
        to_others = self.beside(self.others[..., :2], pose) - self.config.other_radius
        return np.asarray(np.minimum(room, np.minimum(to_pillars.min(1), to_others.min(1))))

    def pose_left(self) -> Floats:
        """Return what is left of the way [m]."""
        far = self.left()
        turn = np.abs(wrap(self.goal[:, 2] - self.pose[:, 2]))
        return far + np.float32(self.config.turn_weight) * turn * np.exp(-far)

    def fan(self) -> Floats:
        """Return how far the rays reach [m]; shape (worlds, rays)."""
        reach = np.float32(self.config.reach)
        angles = np.arange(self.rays, dtype=np.float32) * np.float32(2 * np.pi / self.rays)
        angles = self.pose[:, 2:] + angles
        c, n = np.cos(angles), np.sin(angles)
        with np.errstate(divide="ignore"):
            away_x = (np.sign(c) * self.half - self.pose[:, :1]) / c
            away_y = (np.sign(n) * self.half - self.pose[:, 1:2]) / n
        shown = np.clip(np.minimum(away_x, away_y), 0.0, reach)
        size = np.full((self.worlds, self.others.shape[1]), self.config.other_radius, np.float32)
        circles = np.concatenate([self.pillars[..., :2], self.others[..., :2]], 1)
        sizes = np.concatenate([self.pillars[..., 2], size], 1)
        way = circles - self.pose[:, None, :2]
        ahead = c[:, :, None] * way[:, None, :, 0] + n[:, :, None] * way[:, None, :, 1]
        off = c[:, :, None] * way[:, None, :, 1] - n[:, :, None] * way[:, None, :, 0]
        inside = (sizes * sizes)[:, None] - off * off
        hits = (inside >= 0.0) & (ahead > 0.0) & (sizes > 0.0)[:, None]
        hit = np.where(hits, ahead - np.sqrt(np.maximum(inside, 0.0)), reach)
        return np.asarray(np.clip(np.minimum(shown, hit.min(2)), 0.0, reach), np.float32)

    def observe(self) -> Floats:
        """See VectorKinematics."""
        shown = self.numbers()
        turn = self.goal[:, 2] - self.pose[:, 2]
        fan = self.fan() / np.float32(self.config.reach)
        most = max(self.vehicle.payload, 1.0)
        load = np.clip((self.physics[:, self.column["mass"]] - self.vehicle.mass) / most, 0.0, 1.0)
        columns = [*shown[:3], np.cos(turn), np.sin(turn), *shown[3:], load]
        seen = np.concatenate([np.stack(columns, 1), fan], 1)
        if self.noisy:
            factor = self.physics[:, self.column["sensor_noise"], None]
            seen += factor * self.noise * self.random.standard_normal(seen.shape, np.float32)
            rays = seen[:, -self.rays :]
            rays[self.random.random(rays.shape, np.float32) < self.dropout] = 1.0
            seen = np.clip(seen, -1.0, 1.0)
            seen[:, -self.rays :] = np.maximum(rays, 0.0)
        return seen

    def step(self, actions: Floats) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """See VectorKinematics."""
        before = self.pose_left()
        command = self.take(actions)
        self.move_others()
        limits = self.changes()
        self.drive(self.guarded(self.asked(command), limits), limits)
        self.clear = clear = self.clearance(self.pose)
        self.step_of += 1
        hit, there = clear <= 0.0, self.arrived()
        done = hit | there | (self.step_of >= self.max_steps)
        change = ((self.said - self.before) ** 2).sum(1)
        near = np.clip(1.0 - clear / self.near, 0.0, 1.0)
        parts = (before - self.pose_left(), there, hit & ~there, near, change, 1.0)
        reward = sum(w * np.asarray(part) for w, part in zip(self.weights, parts, strict=True))
        if done.any():
            self.begin(np.flatnonzero(done))
        return self.observe(), np.asarray(reward, np.float32), done
