"""Arrays on their way between Warp and NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import warp as wp

__all__ = ["host_copy"]


def host_copy(array: wp.array[Any]) -> npt.NDArray[Any]:
    """Return a copy of an array in the host's memory, wherever it is; waits for its device."""
    values: Any = array.numpy()
    return np.array(values)
