"""Reading the plant as its own files say, whatever a session says on top."""

from __future__ import annotations

from dataclasses import dataclass

from pxr import Sdf, Tf, Usd

from stagetwin import StagetwinError
from stagetwin.bindings import BindingTable, read_bindings
from stagetwin.guards import GuardStage, guard_hashes
from stagetwin.opening import open_stage
from stagetwin.simulation import wire
from stagetwin_sim._errors import ModelError
from stagetwin_sim.plant import PlantModel, read_plant

__all__ = ["Opened", "open_plant"]


@dataclass(frozen=True)
class Opened:
    """A plant as its files say.

    Attributes:
        stage: opened on the root layers, with a session of its own.
        bindings: of the stage.
        plant: its models.
        guards: hash of the guards of each asset that claims to be a twin, by prim path.
    """

    stage: Usd.Stage
    bindings: BindingTable
    plant: PlantModel
    guards: dict[str, str]


def open_plant(request: wire.Open) -> Opened:
    """Read the plant that a service names; files that changed since are read anew.

    Raises:
        StagetwinError: a layer cannot be read.
    """
    files = request.files
    try:
        for layer in Sdf.Layer.GetLoadedLayers():
            if not layer.anonymous:
                layer.Reload()
        opened = open_stage(files.stage, files.sidecars, files.endpoints)
        stage = GuardStage(opened.GetRootLayer()).stage
        bindings = read_bindings(stage)
        plant = read_plant(stage, bindings, frame=request.frame, seed=request.seed)
    except StagetwinError:
        raise
    except Tf.ErrorException as error:
        raise ModelError(f"{files.stage} cannot be read: {error}") from None
    return Opened(stage, bindings, plant, guard_hashes(bindings))
