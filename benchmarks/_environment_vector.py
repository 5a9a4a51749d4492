"""The tasks `kinematics` and `navigation` by NumPy: all worlds at once, by the same method."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin_sim.environments import NavigationConfig

__all__ = ["VectorKinematics", "VectorNavigation"]

Floats = npt.NDArray[Any]
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

    def drive(self, command: Floats) -> None:
        """Move the vehicles on."""
        c, physics, vehicle = self.column, self.physics, self.vehicle
        dt = np.float32(self.config.dt)
        heavier = np.float32(vehicle.mass) / physics[:, c["mass"]]
        held = physics[:, c["friction"]] * GRAVITY
        up = np.minimum(vehicle.acceleration * heavier, held) * dt
        down = np.minimum(vehicle.deceleration * heavier, held) * dt
        spin = vehicle.rotation_acceleration * heavier * dt
        follow = 1.0 - np.exp(-dt / physics[:, c["lag"]])
        v, omega = self.twist[:, 0], self.twist[:, 1]
        asked = np.clip(
            command[:, 0] * physics[:, c["speed_gain"]], -vehicle.reverse_speed, vehicle.speed
        )
        asked = v + (asked - v) * follow
        sign = np.where(v < 0.0, np.float32(-1.0), np.float32(1.0))
        now, want = sign * v, sign * asked
        through = np.maximum(want, -up * (1.0 - now / np.maximum(down, 1e-12)))
        slower = np.where(now > down, now - down, through)
        faster = np.minimum(np.maximum(want, now - down), now + up)
        v = sign * np.where(want >= 0.0, faster, slower)
        most = np.float32(vehicle.rotation_speed)
        turn = np.clip(command[:, 1] * physics[:, c["rotation_gain"]], -most, most)
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
        self.drive(self.take(actions))
        self.step_of += 1
        success = self.arrived()
        done = success | (self.step_of >= self.max_steps)
        parts = (before - self.left(), success, np.ones(self.worlds))
        reward = sum(w * part for w, part in zip(self.weights, parts, strict=True))
        if done.any():
            self.begin(np.flatnonzero(done))
        return self.observe(), np.asarray(reward, np.float32), done


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
            elsewhere = ((to * to).sum(1) < 0.09) | (tries & ~free)
            most = self.half - own
            fresh = self.random.uniform(-most, most, (int(elsewhere.sum()), 2))
            self.targets[elsewhere, i] = fresh

    def beside(self, points: Floats) -> Floats:
        """Return how far points are from the vehicles' footprints [m]; shape (worlds, n)."""
        c, n = np.cos(self.pose[:, 2])[:, None], np.sin(self.pose[:, 2])[:, None]
        way = points - self.pose[:, None, :2]
        out_x = np.abs(c * way[..., 0] + n * way[..., 1] - self.middle) - self.long
        out_y = np.abs(c * way[..., 1] - n * way[..., 0]) - self.side
        outside = np.hypot(np.maximum(out_x, 0.0), np.maximum(out_y, 0.0))
        return np.asarray(outside + np.minimum(np.maximum(out_x, out_y), 0.0), np.float32)

    def clearance(self) -> Floats:
        """Return how far the vehicles are from what is nearest [m]."""
        heading = self.pose[:, 2]
        c, n = np.cos(heading), np.sin(heading)
        x, y = self.pose[:, 0] + self.middle * c, self.pose[:, 1] + self.middle * n
        c, n = np.abs(c), np.abs(n)
        reach_x = np.abs(x) + c * self.long + n * self.side
        reach_y = np.abs(y) + n * self.long + c * self.side
        room = self.half - np.maximum(reach_x, reach_y)
        to_pillars = self.beside(self.pillars[..., :2]) - self.pillars[..., 2]
        to_pillars = np.where(self.pillars[..., 2] > 0.0, to_pillars, np.float32(1e6))
        to_others = self.beside(self.others[..., :2]) - self.config.other_radius
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
        columns = [*shown[:3], np.cos(turn), np.sin(turn), *shown[3:]]
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
        self.drive(command)
        clear = self.clearance()
        self.step_of += 1
        hit, there = clear <= 0.0, self.arrived()
        done = hit | there | (self.step_of >= self.max_steps)
        change = ((self.said - self.before) ** 2).sum(1)
        near = np.clip(1.0 - clear / np.float32(0.3), 0.0, 1.0)
        parts = (before - self.pose_left(), there, hit & ~there, near, change, 1.0)
        reward = sum(w * np.asarray(part) for w, part in zip(self.weights, parts, strict=True))
        if done.any():
            self.begin(np.flatnonzero(done))
        return self.observe(), np.asarray(reward, np.float32), done
