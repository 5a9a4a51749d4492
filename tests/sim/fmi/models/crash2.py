"""Ends the process that it runs in, as a native fault does."""

import os

from pythonfmu import Fmi2Causality, Fmi2Slave, Real


class Crash2(Fmi2Slave):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.y = 0.0
        self.register_variable(Real("y", causality=Fmi2Causality.output))

    def do_step(self, current_time, step_size):
        os.abort()
