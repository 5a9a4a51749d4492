"""What may go wrong with bodies.

ModelError
  BodiesError           a scene cannot be moved as the stage asks for
"""

from __future__ import annotations

from stagetwin_sim._errors import ModelError

__all__ = ["BodiesError"]


class BodiesError(ModelError):
    """A scene cannot be moved as the stage asks for; names the prim and what is allowed."""
