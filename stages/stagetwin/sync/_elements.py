"""Array attributes of which each element is a channel: kept whole, written once a frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Sdf, Usd

from stagetwin._arrays import ArraySlot
from stagetwin._authoring import declared_value
from stagetwin.sync._frames import SectionKind
from stagetwin.sync._poses import matrices_of
from stagetwin.sync._values import made_of_numbers

__all__ = ["Elements"]

Array = npt.NDArray[Any]


class Elements:
    """One array attribute at its full length: a PointInstancer with short arrays draws nothing.

    Attributes:
        spec: where it is written.
        type_name: USD type of an element.
    """

    def __init__(
        self, attr: Usd.Attribute, spec: Sdf.AttributeSpec, count: int, ignored: frozenset[str]
    ) -> None:
        """Begin with what the plant says, neutral elements after it.

        Args:
            attr: composed array attribute.
            spec: its spec in the mirror's layer.
            count: least number of elements.
            ignored: identifiers of the mirror's layers.
        """
        self.spec = spec
        self.type_name = str(attr.GetTypeName().scalarType)
        seed = list(declared_value(attr, ignored) or ())
        self._slot = ArraySlot(attr, count, seed)
        whole = self._slot.set(())
        self._class = type(whole)
        numbers = np.array(whole)
        # Texts and time codes have no numpy form: they stay objects in the slot.
        self._numbers = numbers if numbers.dtype.kind in "fiub" and len(whole) else None
        if spec.HasDefaultValue() and len(spec.default) != len(whole):
            spec.default = whole

    def __len__(self) -> int:
        return len(self._slot)

    def value(self, element: int) -> Any:
        """Return an element as USD holds it."""
        return self.whole()[element]

    def put(self, kind: SectionKind, elements: Array, values: Array | Sequence[Any]) -> None:
        """Set elements from the values of a section; `whole` then has them."""
        if self._numbers is None or not isinstance(values, np.ndarray):
            made = values
            if isinstance(values, np.ndarray):
                made = made_of_numbers(self.type_name, kind, values)
            self._slot.set(zip(elements.tolist(), made, strict=True))
            if self._numbers is not None:
                self._numbers = np.array(self._slot.set(()))
            return
        if kind is SectionKind.POSE:
            values = matrices_of(values)
        self._numbers[elements] = values.reshape(len(elements), *self._numbers.shape[1:])

    def whole(self) -> Any:
        """Return the array as USD holds it."""
        if self._numbers is None:
            return self._slot.set(())
        return self._class.FromNumpy(self._numbers)
