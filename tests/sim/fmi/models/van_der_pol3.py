"""The van der Pol oscillator, as in the Modelica Reference FMUs: explicit Euler of 10 ms.

x0' = x1, x1' = mu (1 - x0^2) x1 - x0; x0 = 2, x1 = 0 at first, mu = 1.
"""

from pythonfmu3 import Float64, Fmi3Causality, Fmi3Slave, Fmi3StepResult, Fmi3Variability


class VanDerPol3(Fmi3Slave):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.x0 = 2.0
        self.x1 = 0.0
        self.mu = 1.0
        self.left = 0.0
        out = {"causality": Fmi3Causality.output, "variability": Fmi3Variability.continuous}
        self.register_variable(Float64("x0", **out))
        self.register_variable(Float64("x1", **out))
        self.register_variable(
            Float64("mu", causality=Fmi3Causality.parameter, variability=Fmi3Variability.fixed)
        )

    def do_step(self, current_time, step_size):
        step = 0.01
        for _ in range(round(step_size / step)):
            slope = self.mu * (1 - self.x0**2) * self.x1 - self.x0
            self.x0, self.x1 = self.x0 + step * self.x1, self.x1 + step * slope
        return Fmi3StepResult()
