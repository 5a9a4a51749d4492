"""What did not fit newton's buffers, counted by cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim.bodies._bodies_kernels import count_dropped, note_lost_bits, note_lost_rows
from stagetwin_sim.engine import host_copy

__all__ = ["Losses"]

_ROWS = "constraint rows"


class Losses:
    """Counts what was lost, on the device, step by step.

    The buffers of a collision pass are shared by all worlds: what one cannot take counts for each.

    Args:
        pipeline, contacts, solver: newton's.
        worlds: how many.
        device: Warp's name of it.

    Attributes:
        counts: shape (worlds, causes), int32.
    """

    def __init__(self, pipeline: Any, contacts: Any, solver: Any, worlds: int, device: str) -> None:
        self._device = device
        self._worlds = worlds
        narrow = pipeline.narrow_phase
        buffers = {
            "contacts": (contacts.rigid_contact_count, contacts.rigid_contact_max),
            "pairs of shapes": (pipeline.broad_phase_pair_count, pipeline.shape_pairs_max),
        }
        for cause, count, pairs in (
            ("pairs of convex shapes", "gjk_candidate_pairs_count", "gjk_candidate_pairs"),
            ("meshes", "shape_pairs_mesh_count", "shape_pairs_mesh"),
            ("triangles", "triangle_pairs_count", "triangle_pairs"),
            ("meshes on planes", "shape_pairs_mesh_plane_count", "shape_pairs_mesh_plane"),
            ("meshes on meshes", "shape_pairs_mesh_mesh_count", "shape_pairs_mesh_mesh"),
        ):
            counter, buffer = getattr(narrow, count, None), getattr(narrow, pairs, None)
            if counter is not None and buffer is not None:
                buffers[cause] = (counter, buffer.shape[0])
        reducer = narrow.global_contact_reducer
        if reducer is not None:
            buffers["contacts of triangles"] = (reducer.buffer_overflows, 0)
            buffers["places of contacts of triangles"] = (reducer.ht_insert_failures, 0)
        self._held = [counter for counter, _ in buffers.values()]  # the addresses are theirs
        self._addresses: wp.array[Any] = wp.array(
            [counter.ptr for counter in self._held], dtype=wp.uint64, device=device
        )
        self._capacities: wp.array[Any] = wp.array(
            [int(size) for _, size in buffers.values()], dtype=wp.int32, device=device
        )
        self._causes = [*buffers, _ROWS]
        self._flags = getattr(solver, "constraint_overflow", None)
        data = getattr(solver, "mjw_data", None)
        self._bits = getattr(data, "overflow", None)
        self.counts: wp.array[Any] = wp.zeros(
            (worlds, len(self._causes)), dtype=wp.int32, device=device
        )

    def count(self) -> None:
        """Count what the last step lost; only launches kernels."""
        wp.launch(
            count_dropped,
            dim=(self._worlds, len(self._held)),
            inputs=[self._addresses, self._capacities],
            outputs=[self.counts],
            device=self._device,
        )
        if self._flags is not None:
            wp.launch(
                note_lost_rows,
                dim=self._worlds,
                inputs=[self._flags, len(self._held)],
                outputs=[self.counts],
                device=self._device,
            )
        if self._bits is not None:
            wp.launch(
                note_lost_bits,
                dim=self._worlds,
                inputs=[self._bits, len(self._held)],
                outputs=[self.counts],
                device=self._device,
            )

    def named(self) -> Mapping[str, npt.NDArray[np.int64]]:
        """Return the losses of each world by cause, those with a loss alone."""
        counts = host_copy(self.counts).astype(np.int64)
        lost = {cause: counts[:, i] for i, cause in enumerate(self._causes)}
        return {cause: values for cause, values in lost.items() if values.any()}
