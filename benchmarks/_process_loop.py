"""The machines of `benchmarks.process` as Python objects: same method, one after another."""

from __future__ import annotations

import math
from collections.abc import Mapping

from benchmarks._process_circuit import TWO_PI, Circuit

__all__ = ["Battery", "Train"]

Given = Mapping[str, float]


def _clamp(value: float, low: float, high: float) -> float:
    return low if value < low else high if value > high else value


class Train:
    """A drive, its motor, the motor's heat and its bearing.

    Args:
        drive, motor, thermal, bearing: parameters by name.
        setpoint: [rad/s].
        load_torque: [N.m].
        load: of the bearing [N].
    """

    def __init__(
        self,
        drive: Given,
        motor: Given,
        thermal: Given,
        bearing: Given,
        setpoint: float,
        load_torque: float,
        load: float,
    ) -> None:
        self.d, self.m, self.t, self.b = drive, motor, thermal, bearing
        self.setpoint, self.load_torque, self.load = setpoint, load_torque, load
        self.frames = 0
        self.reference = self.trim = 0.0
        self.sink = self.hot = self.shell = self.temperature = 295.15
        self.psd = self.psq = self.prd = self.prq = self.speed = 0.0
        self.energy = self.winding = self.frame = self.work = 0.0
        self.seen = self.seen2 = self.out = self.damage = 0.0
        self.warm = 293.15
        self.current = self.power = self.voltage = self.frequency = 0.0
        self.circuit = Circuit.of(motor)

    def step(self) -> None:
        """Move on by one frame."""
        self._drive(0.05)
        self._motor(0.001, 50)
        if self.frames % 20 == 0:
            self._thermal(1.0)
            self._bearing(1.0)
        self.frames += 1

    def _drive(self, dt: float) -> None:
        p = self.d
        target = _clamp(self.setpoint, p["minimum"], p["maximum"])
        up = 0.0 if self.current > p["current_limit"] else p["rate_up"] * dt
        before = self.reference
        self.reference = _clamp(target, before - p["rate_down"] * dt, before + up)
        if self.reference > 0:
            most = p["slip_limit"] * p["rated_frequency"]
            miss = self.reference - self.speed
            step = dt * p["control_gain"] * miss * p["pole_pairs"] / TWO_PI
            self.trim = _clamp(self.trim + step, -most, most)
            hertz = max(self.reference * p["pole_pairs"] / TWO_PI + self.trim, 0.0)
            share = p["boost"] + (1 - p["boost"]) * hertz / p["rated_frequency"]
            self.frequency = hertz
            self.voltage = p["rated_voltage"] * min(share, 1.0)
        else:
            self.trim = self.frequency = self.voltage = 0.0
        loss = max(self.power, 0.0) * (1 / p["efficiency"] - 1)
        end = 295.15 + loss * p["thermal_resistance"]
        self.sink = end + (self.sink - end) * math.exp(-dt / p["thermal_time"])

    def _motor(self, dt: float, substeps: int) -> None:
        p, own, half = self.m, self.circuit, 0.5 * dt
        lm, ls, lr, over, rr = own.lm, own.ls, own.lr, own.over, own.rr
        poles, friction, load = p["pole_pairs"], p["friction"], self.load_torque
        inertia = p["inertia"]
        rs = own.rs * (self.warm - 38.15) / 255.0
        gain = 1.5 * poles * lm * over
        v, supply = math.sqrt(2 / 3) * self.voltage, TWO_PI * self.frequency
        a_re, a_im = 1 + half * rs * lr * over, half * supply
        b, g = half * rs * lm * over, half * rr * lm * over
        e_re = 1 + half * rr * ls * over
        core = 1.5 * v * v * own.core
        d_half, d_full = inertia + 0.5 * half * friction, inertia + half * friction
        psd, psq, prd, prq, speed = self.psd, self.psq, self.prd, self.prq, self.speed
        energy, winding, frame, work = self.energy, self.winding, self.frame, self.work
        for _ in range(substeps):
            before = gain * (psq * prd - psd * prq)
            free = (speed * (inertia - 0.5 * half * friction) + half * before) / d_half
            middle = math.copysign(max(abs(free) - half * load / d_half, 0.0), free)
            e_im = half * (supply - poles * middle)
            e_square = e_re * e_re + e_im * e_im
            i_re, i_im = e_re / e_square, -e_im / e_square
            q_re, q_im = a_re - b * g * i_re, a_im - b * g * i_im
            r_re = psd + half * v + b * (prd * i_re - prq * i_im)
            r_im = psq + b * (prd * i_im + prq * i_re)
            q_square = q_re * q_re + q_im * q_im
            sd = (r_re * q_re + r_im * q_im) / q_square
            sq = (r_im * q_re - r_re * q_im) / q_square
            t_re, t_im = prd + g * sd, prq + g * sq
            rd, rq = t_re * i_re - t_im * i_im, t_re * i_im + t_im * i_re
            psd, psq = sd + sd - psd, sq + sq - psq
            prd, prq = rd + rd - prd, rq + rq - prq
            torque = gain * (sq * rd - sd * rq)
            isd, isq = (lr * sd - lm * rd) * over, (lr * sq - lm * rq) * over
            ird, irq = (ls * rd - lm * sd) * over, (ls * rq - lm * sq) * over
            energy += dt * (1.5 * v * isd + core)
            winding += dt * 1.5 * rs * (isd * isd + isq * isq)
            frame += dt * (1.5 * rr * (ird * ird + irq * irq) + core)
            free = (speed * (inertia - half * friction) + dt * torque) / d_full
            after = math.copysign(max(abs(free) - dt * load / d_full, 0.0), free)
            mean = 0.5 * (speed + after)
            frame += dt * friction * mean * mean
            work += mean * (dt * (torque - friction * mean) - inertia * (after - speed))
            speed = after
        self.psd, self.psq, self.prd, self.prq, self.speed = psd, psq, prd, prq, speed
        self.energy, self.winding, self.frame, self.work = energy, winding, frame, work
        line = (lr * psd - lm * prd) * over + v * own.core
        isq = (lr * psq - lm * prq) * over
        self.current = math.sqrt(line * line + isq * isq) / math.sqrt(2.0)
        self.power = 1.5 * v * line

    def _thermal(self, dt: float) -> None:
        p = self.t
        winding, frame = (self.winding - self.seen) / dt, (self.frame - self.seen2) / dt
        self.seen, self.seen2 = self.winding, self.frame
        fan = min(abs(self.speed) / p["rated_speed"], 1.0)
        outward = p["frame_conductance"] + p["fan_conductance"] * fan
        k1, k2 = 2 * p["winding_capacity"] / dt, 2 * p["frame_capacity"] / dt
        g = p["winding_conductance"]
        a, d = k1 + g, k2 + g + outward
        r1, r2 = winding + k1 * (self.hot - 295.15), frame + k2 * (self.shell - 295.15)
        over = 1 / (a * d - g * g)
        m1, m2 = (r1 * d + g * r2) * over, (a * r2 + g * r1) * over
        self.hot = 2 * (m1 + 295.15) - self.hot
        self.shell = 2 * (m2 + 295.15) - self.shell
        self.out += dt * outward * m2
        self.warm = self.hot

    def _bearing(self, dt: float) -> None:
        p, speed = self.b, abs(self.speed)
        load = max(abs(self.load), 1e-3 * p["dynamic_rating"])
        life = 1e6 * p["life_factor"] * (p["dynamic_rating"] / load) ** p["exponent"]
        heat = 0.5 * p["friction"] * abs(self.load) * p["bore"] * speed
        heat *= 1 + p["friction_growth"] * self.damage
        self.damage = min(self.damage + p["wear_factor"] * speed / TWO_PI * dt / life, 1.0)
        k = 2 * p["heat_capacity"] / dt
        middle = (heat + k * (self.temperature - 295.15)) / (k + p["conductance"])
        self.temperature = 2 * (middle + 295.15) - self.temperature


class Battery:
    """A battery.

    Args:
        parameters: by name.
        current: positive charges [A].
    """

    def __init__(self, parameters: Given, current: float) -> None:
        self.p, self.current = parameters, current
        self.soc = parameters["soc"]
        self.pair = self.energy = self.heat = self.terminal = 0.0
        self.temperature = 295.15

    def step(self, dt: float = 0.05) -> None:
        """Move on by one frame."""
        p, soc, capacity = self.p, self.soc, self.p["capacity"]
        current = self.current
        if (current > 0 and soc >= 1) or (current < 0 and soc <= 0):
            current = 0.0
        current = _clamp(current, -soc * capacity / dt, (1 - soc) * capacity / dt)
        after = _clamp(soc + current * dt / capacity, 0.0, 1.0)
        lag = p["polarisation_resistance"] * p["polarisation_capacitance"]
        fade, end = math.exp(-dt / lag), p["polarisation_resistance"] * current
        pair = end + (self.pair - end) * fade
        area = end * dt + (self.pair - end) * lag * (1 - fade)
        chemical = self._stored(after) - self._stored(soc)
        given = chemical + p["resistance"] * current * current * dt + current * area
        held = 0.5 * p["polarisation_capacitance"] * (pair * pair - self.pair * self.pair)
        heat = given - chemical - held
        k = 2 * p["heat_capacity"] / dt
        middle = (heat / dt + k * (self.temperature - 295.15)) / (k + p["conductance"])
        self.temperature = 2 * (middle + 295.15) - self.temperature
        self.soc, self.pair = after, pair
        self.energy += given
        self.heat += heat
        cell = p["ocv_constant"] + after * (
            p["ocv_linear"] + after * (p["ocv_square"] + after * p["ocv_cube"])
        )
        cell += p["ocv_knee"] * math.exp(-p["ocv_rate"] * after)
        self.terminal = p["cells"] * cell + p["resistance"] * current + pair

    def _stored(self, soc: float) -> float:
        p = self.p
        inner = p["ocv_square"] / 3 + soc * p["ocv_cube"] / 4
        cell = soc * (p["ocv_constant"] + soc * (0.5 * p["ocv_linear"] + soc * inner))
        cell += p["ocv_knee"] / p["ocv_rate"] * (1 - math.exp(-p["ocv_rate"] * soc))
        return p["cells"] * p["capacity"] * cell
