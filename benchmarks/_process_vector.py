"""The machines of `benchmarks.process` in NumPy: same method, all of a kind at once, float64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from benchmarks._process_circuit import TWO_PI, Circuit

Floats = npt.NDArray[np.float64]
Named = dict[str, Floats]

__all__ = ["VectorPlant"]


class VectorPlant:
    """Drives, motors, their heat and bearings, and batteries; a frame is 50 ms.

    Args:
        parameters: by kind and name, shape (count,).
        inputs: those that hold, by kind and name.
        states: first ones, by kind and name.
    """

    def __init__(
        self,
        parameters: Mapping[str, Named],
        inputs: Mapping[str, Named],
        states: Mapping[str, Named],
    ) -> None:
        self.p, self.u = parameters, inputs
        self.x = {kind: {k: v.copy() for k, v in named.items()} for kind, named in states.items()}
        self.frames = 0
        count = len(parameters["motor"]["rated_power"])
        self.speed = np.zeros(count)
        self.current, self.power = np.zeros(count), np.zeros(count)
        self.warm = np.full(count, 293.15)
        self.voltage, self.frequency = np.zeros(count), np.zeros(count)
        self.circuit = Circuit.of(parameters["motor"])

    def step(self) -> None:
        """Move on by one frame."""
        self._drive(0.05)
        self._motor(0.001, 50)
        self._battery(0.05)
        if self.frames % 20 == 0:
            self._thermal(1.0)
            self._bearing(1.0)
        self.frames += 1

    def step_batteries(self) -> None:
        """Move the batteries alone on by one frame."""
        self._battery(0.05)

    def _drive(self, dt: float) -> None:
        p, u, x = self.p["drive"], self.u["drive"], self.x["drive"]
        target = np.where(u["run"] > 0.5, np.clip(u["setpoint"], p["minimum"], p["maximum"]), 0.0)
        up = np.where(self.current > p["current_limit"], 0.0, p["rate_up"] * dt)
        before = x["reference"]
        x["reference"] = np.clip(target, before - p["rate_down"] * dt, before + up)
        most = p["slip_limit"] * p["rated_frequency"]
        miss = x["reference"] - self.speed
        step = dt * p["control_gain"] * miss * p["pole_pairs"] / TWO_PI
        x["trim"] = np.where(x["reference"] > 0, np.clip(x["trim"] + step, -most, most), 0.0)
        loss = np.maximum(self.power, 0.0) * (1 / p["efficiency"] - 1)
        end = u["ambient"] + loss * p["thermal_resistance"]
        x["temperature"] = end + (x["temperature"] - end) * np.exp(-dt / p["thermal_time"])
        hertz = np.maximum(x["reference"] * p["pole_pairs"] / TWO_PI + x["trim"], 0.0)
        share = p["boost"] + (1 - p["boost"]) * hertz / p["rated_frequency"]
        runs = x["reference"] > 0
        self.frequency = np.where(runs, hertz, 0.0)
        self.voltage = np.where(runs, p["rated_voltage"] * np.minimum(share, 1.0), 0.0)

    def _motor(self, dt: float, substeps: int) -> None:
        p, u, x = self.p["motor"], self.u["motor"], self.x["motor"]
        own, half = self.circuit, 0.5 * dt
        lm, ls, lr, over, rr = own.lm, own.ls, own.lr, own.over, own.rr
        poles, friction, load = p["pole_pairs"], p["friction"], u["load_torque"]
        inertia = p["inertia"]
        rs = own.rs * (self.warm - 38.15) / 255.0
        gain = 1.5 * poles * lm * over
        v, supply = np.sqrt(2 / 3) * self.voltage, TWO_PI * self.frequency
        a_re, a_im = 1 + half * rs * lr * over, half * supply
        b, g = half * rs * lm * over, half * rr * lm * over
        e_re = 1 + half * rr * ls * over
        core = 1.5 * v * v * own.core
        d_half, d_full = inertia + 0.5 * half * friction, inertia + half * friction
        psd, psq, prd, prq = (x[k] for k in ("sd", "sq", "rd", "rq"))
        speed, energy, winding, frame, work = (
            x[k] for k in ("speed", "energy", "winding", "frame", "work")
        )
        for _ in range(substeps):
            before = gain * (psq * prd - psd * prq)
            free = (speed * (inertia - 0.5 * half * friction) + half * before) / d_half
            middle = np.sign(free) * np.maximum(np.abs(free) - half * load / d_half, 0.0)
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
            energy = energy + dt * (1.5 * v * isd + core)
            winding = winding + dt * 1.5 * rs * (isd * isd + isq * isq)
            frame = frame + dt * (1.5 * rr * (ird * ird + irq * irq) + core)
            free = (speed * (inertia - half * friction) + dt * torque) / d_full
            after = np.sign(free) * np.maximum(np.abs(free) - dt * load / d_full, 0.0)
            mean = 0.5 * (speed + after)
            frame = frame + dt * friction * mean * mean
            work = work + mean * (dt * (torque - friction * mean) - inertia * (after - speed))
            speed = after
        x.update(sd=psd, sq=psq, rd=prd, rq=prq, speed=speed)
        x.update(energy=energy, winding=winding, frame=frame, work=work)
        isd, isq = (lr * psd - lm * prd) * over, (lr * psq - lm * prq) * over
        line = isd + v * own.core
        self.speed = speed
        self.current = np.sqrt(line * line + isq * isq) / np.sqrt(2.0)
        self.power = 1.5 * v * line

    def _thermal(self, dt: float) -> None:
        p, u, x, m = self.p["thermal"], self.u["thermal"], self.x["thermal"], self.x["motor"]
        winding, frame = (m["winding"] - x["seen"]) / dt, (m["frame"] - x["seen2"]) / dt
        x["seen"], x["seen2"] = m["winding"], m["frame"]
        fan = np.minimum(np.abs(self.speed) / p["rated_speed"], 1.0)
        outward = p["frame_conductance"] + p["fan_conductance"] * fan
        k1, k2 = 2 * p["winding_capacity"] / dt, 2 * p["frame_capacity"] / dt
        g, ambient = p["winding_conductance"], u["ambient"]
        a, d = k1 + g, k2 + g + outward
        r1 = winding + k1 * (x["hot"] - ambient)
        r2 = frame + k2 * (x["shell"] - ambient)
        over = 1 / (a * d - g * g)
        m1, m2 = (r1 * d + g * r2) * over, (a * r2 + g * r1) * over
        x["hot"] = 2 * (m1 + ambient) - x["hot"]
        x["shell"] = 2 * (m2 + ambient) - x["shell"]
        x["out"] = x["out"] + dt * outward * m2
        self.warm = x["hot"]

    def _bearing(self, dt: float) -> None:
        p, u, x = self.p["bearing"], self.u["bearing"], self.x["bearing"]
        speed = np.abs(self.speed)
        load = np.maximum(np.abs(u["load"]), 1e-3 * p["dynamic_rating"])
        life = 1e6 * p["life_factor"] * (p["dynamic_rating"] / load) ** p["exponent"]
        heat = 0.5 * p["friction"] * np.abs(u["load"]) * p["bore"] * speed
        heat = heat * (1 + p["friction_growth"] * x["damage"])
        x["damage"] = np.minimum(x["damage"] + p["wear_factor"] * speed / TWO_PI * dt / life, 1.0)
        k = 2 * p["heat_capacity"] / dt
        middle = (heat + k * (x["temperature"] - u["ambient"])) / (k + p["conductance"])
        x["temperature"] = 2 * (middle + u["ambient"]) - x["temperature"]

    def _battery(self, dt: float) -> None:
        p, u, x = self.p["battery"], self.u["battery"], self.x["battery"]
        soc, capacity = x["soc"], p["capacity"]
        stopped = ((u["current"] > 0) & (soc >= 1)) | ((u["current"] < 0) & (soc <= 0))
        current = np.where(stopped, 0.0, u["current"])
        current = np.clip(current, -soc * capacity / dt, (1 - soc) * capacity / dt)
        after = np.clip(soc + current * dt / capacity, 0.0, 1.0)
        lag = p["polarisation_resistance"] * p["polarisation_capacitance"]
        fade, end = np.exp(-dt / lag), p["polarisation_resistance"] * current
        pair = end + (x["pair"] - end) * fade
        area = end * dt + (x["pair"] - end) * lag * (1 - fade)
        chemical = self._stored(after) - self._stored(soc)
        given = chemical + p["resistance"] * current * current * dt + current * area
        held = 0.5 * p["polarisation_capacitance"] * (pair * pair - x["pair"] * x["pair"])
        heat = given - chemical - held
        k = 2 * p["heat_capacity"] / dt
        middle = (heat / dt + k * (x["temperature"] - u["ambient"])) / (k + p["conductance"])
        x["temperature"] = 2 * (middle + u["ambient"]) - x["temperature"]
        x.update(soc=after, pair=pair, energy=x["energy"] + given, heat=x["heat"] + heat)
        cell = p["ocv_constant"] + after * (
            p["ocv_linear"] + after * (p["ocv_square"] + after * p["ocv_cube"])
        )
        cell = cell + p["ocv_knee"] * np.exp(-p["ocv_rate"] * after)
        self.terminal = p["cells"] * cell + p["resistance"] * current + pair

    def _stored(self, soc: Floats) -> Floats:
        p = self.p["battery"]
        inner = p["ocv_square"] / 3 + soc * p["ocv_cube"] / 4
        cell = soc * (p["ocv_constant"] + soc * (0.5 * p["ocv_linear"] + soc * inner))
        cell = cell + p["ocv_knee"] / p["ocv_rate"] * (1 - np.exp(-p["ocv_rate"] * soc))
        stored: Floats = p["cells"] * p["capacity"] * cell
        return stored
