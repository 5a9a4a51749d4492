"""The circuit of the motors of `benchmarks.process`, as its peers take it from parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["TWO_PI", "Circuit"]

TWO_PI = 2 * math.pi
Number = TypeVar("Number", float, npt.NDArray[np.float64])


@dataclass(frozen=True)
class Circuit(Generic[Number]):
    """What of a circuit never changes, of one motor or of many, shape (count,).

    Attributes:
        rs, rr: resistance of stator and rotor [Ohm].
        lm, ls, lr: inductance, magnetising, of stator and of rotor [H].
        over: one over the determinant of the inductances [1/H2].
        core: conductance of the losses in iron [S].
    """

    rs: Number
    rr: Number
    lm: Number
    ls: Number
    lr: Number
    over: Number
    core: Number

    @classmethod
    def of(cls, motor: Mapping[str, Number]) -> Circuit[Number]:
        """Return the circuit of parameters by name."""
        base = motor["rated_voltage"] ** 2 / motor["rated_power"]
        henry = base / (TWO_PI * motor["rated_frequency"])
        lm = motor["magnetizing_reactance"] * henry
        ls = motor["stator_leakage"] * henry + lm
        lr = motor["rotor_leakage"] * henry + lm
        return cls(
            rs=motor["stator_resistance"] * base,
            rr=motor["rotor_resistance"] * base,
            lm=lm,
            ls=ls,
            lr=lr,
            over=1 / (ls * lr - lm**2),
            core=motor["core_loss"] / base,
        )
