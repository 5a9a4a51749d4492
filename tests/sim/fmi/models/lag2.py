"""A first-order lag, solved exactly in each step: y' = (gain u - y) / tau."""

import math

from pythonfmu import Fmi2Causality, Fmi2Slave, Fmi2Variability, Real


class Lag2(Fmi2Slave):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.u = 0.0
        self.y = 0.0
        self.tau = 0.5
        self.gain = 1.0
        fixed = {"causality": Fmi2Causality.parameter, "variability": Fmi2Variability.tunable}
        self.register_variable(Real("u", causality=Fmi2Causality.input))
        self.register_variable(Real("y", causality=Fmi2Causality.output))
        self.register_variable(Real("tau", **fixed))
        self.register_variable(Real("gain", **fixed))

    def do_step(self, current_time, step_size):
        decay = math.exp(-step_size / self.tau)
        self.y = self.gain * self.u + (self.y - self.gain * self.u) * decay
        return True
