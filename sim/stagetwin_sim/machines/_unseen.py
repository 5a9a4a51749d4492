"""Models for a part of a stage, and the machines elsewhere that they are coupled to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pxr import Usd

from stagetwin.bindings import BindingTable

if TYPE_CHECKING:
    from stagetwin_sim.standin import Physics

__all__ = ["Found", "models_of"]


class Found(NamedTuple):
    """Models, and bindings of the machines that are somebody else's and yet feed them."""

    physics: Physics
    unseen: BindingTable


def models_of(
    stage: Usd.Stage, table: BindingTable, whole: BindingTable | None, seed: int
) -> Found | None:
    """Return the models that stand in for machines; None where there are none.

    Args:
        stage: the plant; only read.
        table: bindings of the machines.
        whole: of the stage; None for no models.
        seed: of everything random.
    """
    if whole is None:
        return None
    here = {b.asset for b in (*table.telemetry.values(), *table.commands)}
    if not whole.models:
        return None
    # Warp is loaded for those who have models alone.
    from stagetwin_sim.standin import Physics, models_for

    wanted = models_for(whole, here)
    if not wanted:
        return None
    physics = Physics(stage, replace(whole, models=wanted), seed)
    heard = set(physics.heard)
    others = {
        b.asset
        for b in (*whole.telemetry.values(), *whole.commands)
        if b.target in heard and b.asset not in here
    }
    return Found(
        physics,
        BindingTable(
            telemetry={i: b for i, b in whole.telemetry.items() if b.asset in others},
            commands=[c for c in whole.commands if c.asset in others],
        ),
    )
