"""What a conversion yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Scene", "SceneProblem"]


@dataclass(frozen=True, slots=True, order=True)
class SceneProblem:
    """Something that is not shown, or not as it is.

    Attributes:
        path: path of the prim.
        reason: what is missing and why.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A composed stage, converted.

    Attributes:
        epoch: number of the scene, from 1 on.
        manifest: JSON object of docs/scene.md.
        glbs: GLB by hash.
        problems: what is not shown as it is.
    """

    epoch: int
    manifest: Mapping[str, Any]
    glbs: Mapping[str, bytes]
    problems: tuple[SceneProblem, ...]
