"""What may go wrong in a model.

StagetwinError
  ModelError            a model cannot be what the stage asks for, or its file cannot be used
    BodiesError         a scene of bodies cannot be moved as the stage asks for
      ArmError          an arm cannot do what is asked of it
    SnapshotError       a saved state does not fit
    CalibrationError    parameters cannot be fitted to this telemetry, or a set of them not applied
    UnforkableError     something of the present cannot be copied into a future
    DivergedError       a model left the finite numbers
    FaultError          a fault cannot be given to what it is meant for
    ScenarioError       a scenario asks for what is not there, or may not be
    FleetError          a fleet cannot be made or moved as asked
    TaskError           an environment cannot be composed, or not be stepped, as asked
    TrainingError       a training cannot be begun, or not be gone on with, as asked
    PolicyError         a policy cannot be described, exported or run as asked
      BundleError       a policy's file is damaged, unsigned, or signed by nobody who is trusted
    TrafficError        a fleet's traffic cannot run as asked
    RobotError          a robot's file cannot be read, or not be written to a stage
    CancelledError      whoever asked wants no answer any more
"""

from __future__ import annotations

from stagetwin import StagetwinError

__all__ = [
    "ArmError",
    "BodiesError",
    "BundleError",
    "CalibrationError",
    "CancelledError",
    "DivergedError",
    "FaultError",
    "FleetError",
    "FmuError",
    "ModelError",
    "PolicyError",
    "RobotError",
    "ScenarioError",
    "SnapshotError",
    "TaskError",
    "TrafficError",
    "TrainingError",
    "UnforkableError",
]


class ModelError(StagetwinError):
    """A model cannot be what the stage asks for; names the prim and what is allowed."""


class BodiesError(ModelError):
    """A scene of bodies cannot be moved as the stage asks for; names the prim.

    Attributes:
        code: of the problem on the stage.
    """

    def __init__(self, message: str, code: str = "bodies_import") -> None:
        super().__init__(message)
        self.code = code


class ArmError(BodiesError):
    """An arm cannot do what is asked of it; names the prim, and what is left of the way."""


class SnapshotError(ModelError):
    """A saved state does not fit the plan that it is given to."""


class RobotError(ModelError):
    """A robot's file cannot be read, or not be written to a stage; names the file and the part."""


class UnforkableError(ModelError):
    """Something of the present cannot be copied into a future; names the prim."""


class DivergedError(ModelError):
    """A model left the finite numbers; names the prim."""


class FmuError(ModelError):
    """An FMU cannot be used, or refused a call; names the file or the prim."""


class FaultError(ModelError):
    """A fault cannot be given to what it is meant for; names the prim and what is allowed."""


class FleetError(ModelError):
    """A fleet cannot be made or moved as asked; names the vehicle and what is allowed."""


class ScenarioError(ModelError):
    """A scenario asks for what is not there, or may not be; names the place and what is allowed."""


class TaskError(ModelError):
    """An environment cannot be composed or stepped as asked; names the task and the term."""


class TrainingError(ModelError):
    """A training cannot be begun, or not be gone on with; names the setting and what is allowed."""


class PolicyError(ModelError):
    """A policy cannot be described, exported or run as asked; names the term and its limits."""


class BundleError(PolicyError):
    """A policy's file is damaged, unsigned, or signed by nobody who is trusted; names the file."""


class TrafficError(ModelError):
    """A fleet's traffic cannot run as asked; names the place or the option, and what is allowed."""


class CancelledError(ModelError):
    """Whoever asked wants no answer any more."""


class CalibrationError(ModelError):
    """Parameters cannot be fitted, or a set of them cannot be used; names the model."""
