"""What `stagetwin check` asks of models: whether a plan can be made of them."""

from __future__ import annotations

from pxr import Usd

from stagetwin.bindings import BindingTable, Problem

__all__ = ["check_models"]


def check_models(stage: Usd.Stage, table: BindingTable) -> list[Problem]:
    """Return what is wrong with the models of a stage.

    The plan is made as it is before a run, and no engine is built: FMUs are tried in a process of
    their own, bodies are read, and no kernel is compiled.

    Args:
        stage: the plant; only read.
        table: its bindings.
    """
    if not table.models:
        return []
    # These load Warp, which nobody needs to hear of.
    from stagetwin_sim._quiet import begin_quietly
    from stagetwin_sim.plant import read_plant

    begin_quietly()
    return read_plant(stage, table).problems
