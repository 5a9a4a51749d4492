"""Kinds of models that a third party installed."""

from tests.sim.plant.conftest import installed

__all__ = ["installed"]
