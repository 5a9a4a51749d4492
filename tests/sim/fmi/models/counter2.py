"""Counts rising edges and sums time: integers, booleans, and a memory that is no variable."""

from pythonfmu import Boolean, Fmi2Causality, Fmi2Slave, Integer, Real


class Counter2(Fmi2Slave):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.trigger = False
        self.step_by = 1
        self.count = 0
        self.even = True
        self.clock = 0.0
        self.before = False
        self.register_variable(Boolean("trigger", causality=Fmi2Causality.input))
        self.register_variable(Integer("step_by", causality=Fmi2Causality.input))
        self.register_variable(Integer("count", causality=Fmi2Causality.output))
        self.register_variable(Boolean("even", causality=Fmi2Causality.output))
        self.register_variable(Real("clock", causality=Fmi2Causality.output))

    def _get_fmu_state(self):
        return {**super()._get_fmu_state(), "before": self.before}

    def do_step(self, current_time, step_size):
        if self.trigger and not self.before:
            self.count += self.step_by
        self.before = self.trigger
        self.even = self.count % 2 == 0
        self.clock = current_time + step_size
        return True
