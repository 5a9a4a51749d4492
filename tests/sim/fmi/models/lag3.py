"""A first-order lag for FMI 3, solved exactly, with units: a pressure in bar follows its target."""

import math

from pythonfmu3 import (
    Boolean,
    Float64,
    Fmi3Causality,
    Fmi3Slave,
    Fmi3Status,
    Fmi3StepResult,
    Fmi3Variability,
    Int64,
    Unit,
)


class Lag3(Fmi3Slave):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.target = 1.0
        self.pressure = 1.0
        self.tau = 0.5
        self.longest = 10.0
        self.last = 1e9
        self.steps = 0
        self.settled = True
        self.register_units([Unit("bar", kg=1, m=-1, s=-2, factor=1e5), Unit("s", s=1)])
        real = {"variability": Fmi3Variability.continuous}
        fixed = {"causality": Fmi3Causality.parameter, "variability": Fmi3Variability.fixed}
        out = {"causality": Fmi3Causality.output}
        self.register_variable(Float64("target", causality=Fmi3Causality.input, unit="bar", **real))
        self.register_variable(Float64("pressure", unit="bar", **out, **real))
        self.register_variable(Float64("tau", unit="s", **fixed))
        self.register_variable(Float64("longest", unit="s", **fixed))
        self.register_variable(Float64("last", unit="s", **fixed))
        self.register_variable(Int64("steps", **out, variability=Fmi3Variability.discrete))
        self.register_variable(Boolean("settled", **out, variability=Fmi3Variability.discrete))

    def do_step(self, current_time, step_size):
        if step_size > self.longest:
            return Fmi3StepResult(status=Fmi3Status.discard)
        if current_time + step_size > self.last:
            self.log("past its last time", Fmi3Status.error)
            return Fmi3StepResult(status=Fmi3Status.error)
        decay = math.exp(-step_size / self.tau)
        self.pressure = self.target + (self.pressure - self.target) * decay
        self.steps += 1
        self.settled = abs(self.pressure - self.target) < 0.01
        return Fmi3StepResult(status=Fmi3Status.ok)
