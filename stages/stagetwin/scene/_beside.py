"""Large meshes, worked on while the thread that owns the stage goes on."""

from __future__ import annotations

import threading

from stagetwin.scene._mesh import mesh_geometry
from stagetwin.scene._mesh_source import MeshSource
from stagetwin.scene._shape import Geometry

__all__ = ["LARGE", "PATIENCE", "Beside"]

LARGE = 20_000
"""Corners of a mesh from which on it is worked on beside the thread that owns the stage."""

PATIENCE = 0.001
"""How long that thread waits for it at a time [s]."""


class Beside:
    """One mesh in a thread of its own. Most of the work is numpy's, which lets others run."""

    def __init__(self, source: MeshSource) -> None:
        self._source = source
        self._geometry: Geometry | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="scene mesh", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._geometry = mesh_geometry(self._source)
        except Exception as error:
            self._error = error

    def done(self, patience: float) -> bool:
        """Wait for a while [s]; tell whether it is done."""
        self._thread.join(patience)
        return not self._thread.is_alive()

    def result(self) -> Geometry:
        """Return the triangles, or raise what came in between."""
        if self._error is not None:
            raise self._error
        assert self._geometry is not None
        return self._geometry
