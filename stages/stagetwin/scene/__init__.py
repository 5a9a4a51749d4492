"""Scenes: the composed stage, converted to GLB and a manifest for viewers without USD."""

from stagetwin.scene._export import export_glb
from stagetwin.scene._reader import SceneReader, convert_stage, driven_properties
from stagetwin.scene._reading import moving_prims
from stagetwin.scene._scene import Scene, SceneProblem

__all__ = [
    "Scene",
    "SceneProblem",
    "SceneReader",
    "convert_stage",
    "driven_properties",
    "export_glb",
    "moving_prims",
]
