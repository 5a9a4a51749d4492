"""Gives 1/(limit - time), until it fails in the way it is told to."""

from pythonfmu import Fmi2Causality, Fmi2Slave, Fmi2Variability, Integer, Real
from pythonfmu.enums import Fmi2Status


class Faulty2(Fmi2Slave):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.limit = 0.2
        self.manner = 0
        self.y = 0.0
        fixed = {"causality": Fmi2Causality.parameter, "variability": Fmi2Variability.fixed}
        self.register_variable(Real("limit", **fixed))
        self.register_variable(Integer("manner", **fixed))
        self.register_variable(Real("y", causality=Fmi2Causality.output))

    def do_step(self, current_time, step_size):
        if current_time + step_size > self.limit:
            if self.manner == 0:
                self.log("the limit is passed", Fmi2Status.warning)
                return False
            if self.manner == 1:
                raise RuntimeError("the limit is passed")
            self.y = float("nan")
            return True
        self.y = current_time + step_size
        return True
