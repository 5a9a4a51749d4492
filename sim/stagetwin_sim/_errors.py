"""What may go wrong in a model.

StagetwinError
  ModelError            a model cannot be what the stage asks for, or its file cannot be used
    SnapshotError       a saved state does not fit
    UnforkableError     something of the present cannot be copied into a future
    DivergedError       a model left the finite numbers
"""

from __future__ import annotations

from stagetwin import StagetwinError

__all__ = ["DivergedError", "ModelError", "SnapshotError", "UnforkableError"]


class ModelError(StagetwinError):
    """A model cannot be what the stage asks for; names the prim and what is allowed."""


class SnapshotError(ModelError):
    """A saved state does not fit the plan that it is given to."""


class UnforkableError(ModelError):
    """Something of the present cannot be copied into a future; names the prim."""


class DivergedError(ModelError):
    """A model left the finite numbers; names the prim."""
