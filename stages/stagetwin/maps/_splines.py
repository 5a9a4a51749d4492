"""Curves to polylines: NURBS as VDA 5050 trajectories and USD have them, and USD's cubic bases."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stagetwin._errors import MapError
from stagetwin.maps.geometry import Point

__all__ = ["basis_curve", "nurbs_curve", "nurbs_points"]

Table = npt.NDArray[np.float64]

STEPS = 16
"""Straight pieces of a span between two knots."""

_BASES = {
    "bezier": ((1, 0, 0, 0), (-3, 3, 0, 0), (3, -6, 3, 0), (-1, 3, -3, 1)),
    "bspline": (
        (1 / 6, 4 / 6, 1 / 6, 0),
        (-0.5, 0, 0.5, 0),
        (0.5, -1, 0.5, 0),
        (-1 / 6, 0.5, -0.5, 1 / 6),
    ),
    "catmullRom": ((0, 1, 0, 0), (-0.5, 0, 0.5, 0), (1, -2.5, 2, -0.5), (-0.5, 1.5, -1.5, 0.5)),
}
"""Rows: powers of the parameter, columns: control points."""


def nurbs_points(
    degree: int,
    knots: Sequence[float],
    control: Sequence[Point],
    weights: Sequence[float] | None = None,
    *,
    steps: int = STEPS,
    where: str = "trajectory",
) -> tuple[Point, ...]:
    """Return points on a NURBS curve in the plane, its ends included.

    Args:
        degree: of the pieces; 1 gives the control polygon itself.
        knots: not falling, as many as control points plus degree plus one.
        control: control points [m].
        weights: of the control points, above 0; all 1 where None.
        steps: straight pieces of each span between two knots.
        where: what an error begins with.

    Raises:
        MapError: the numbers describe no curve; says which.
    """
    table = nurbs_curve(
        np.array(control, np.float64).reshape(-1, 2),
        degree,
        knots,
        weights,
        steps=1 if degree == 1 else steps,
        where=where,
    )
    return tuple((float(x), float(y)) for x, y in table.tolist())


def nurbs_curve(
    control: Table,
    degree: int,
    knots: Sequence[float],
    weights: Sequence[float] | None = None,
    *,
    steps: int = STEPS,
    where: str = "curve",
) -> Table:
    """Return points on a NURBS curve, shape (point_count, dimension); see `nurbs_points`.

    Source: C. de Boor, "A Practical Guide to Splines" (1978), chapter X, in homogeneous
    coordinates (L. Piegl, W. Tiller, "The NURBS Book", 2nd ed. (1997), section 4.1).
    """
    u = np.array(knots, np.float64)
    count = len(control)
    weight = np.ones(count) if weights is None else np.array(weights, np.float64)
    _check(control, degree, u, weight, where)
    low, high = u[degree], u[count]
    inner = np.unique(u[degree : count + 1])
    shares = np.arange(steps) / steps
    spans = [a + (b - a) * shares for a, b in pairwise(inner)]
    places = np.concatenate([*spans, [high]])
    lifted = np.concatenate([control * weight[:, None], weight[:, None]], axis=1)
    # The span of each place; the last place belongs to the last span that has a length.
    span = np.clip(np.searchsorted(u, places, side="right") - 1, degree, count - 1)
    last = np.searchsorted(u, high, side="left") - 1
    span[-1] = max(int(last), degree)
    d = lifted[span[:, None] - degree + np.arange(degree + 1)]
    for r in range(1, degree + 1):
        for j in range(degree, r - 1, -1):
            left = u[span - degree + j]
            width = u[span + 1 + j - r] - left
            share = np.where(width > 0, (places - left) / np.where(width > 0, width, 1.0), 0.0)
            d[:, j] = (1 - share)[:, None] * d[:, j - 1] + share[:, None] * d[:, j]
    found: Table = d[:, degree, :-1] / d[:, degree, -1:]
    if low == u[0] == u[degree] and (u[count:] == high).all():
        found[0], found[-1] = control[0], control[-1]  # clamped: exactly its ends
    return found


def _check(control: Table, degree: int, knots: Table, weights: Table, where: str) -> None:
    count = len(control)
    wrong = ""
    if degree < 1:
        wrong = f"degree must be 1 or more, got {degree}"
    elif count <= degree:
        wrong = f"degree {degree} needs {degree + 1} control points or more, got {count}"
    elif len(knots) != count + degree + 1:
        wrong = (
            f"{count} control points of degree {degree} need {count + degree + 1} knots, "
            f"got {len(knots)}"
        )
    elif not (np.isfinite(knots).all() and (np.diff(knots) >= 0).all()):
        wrong = "knots must be finite and not fall"
    elif not knots[degree] < knots[count]:
        wrong = f"the knots leave no curve: {knots[degree]:g} to {knots[count]:g}"
    elif len(weights) != count:
        wrong = f"{count} control points need as many weights, got {len(weights)}"
    elif not (np.isfinite(weights).all() and (weights > 0).all()):
        wrong = "weights must be finite and above 0"
    elif not np.isfinite(control).all():
        wrong = "control points must be finite"
    if wrong:
        raise MapError(f"{where}: {wrong}")


def basis_curve(control: Table, basis: str, wrap: str, where: str) -> Table:
    """Return points on a cubic curve as BasisCurves describes it, shape (point_count, 3).

    Raises:
        MapError: an unknown basis, or too few points.
    """
    if basis not in _BASES:
        allowed = ", ".join(sorted(_BASES))
        raise MapError(f"{where}: the basis of a cubic curve must be one of {allowed}, got {basis}")
    step = 3 if basis == "bezier" else 1
    if wrap == "periodic":
        control = np.concatenate([control, control[: 4 - step]])
    elif wrap == "pinned" and step == 1 and len(control) > 1:
        # A phantom point on each side lets the curve begin and end on its points.
        ends = 2 * control[0] - control[1], 2 * control[-1] - control[-2]
        control = np.concatenate([ends[:1], control, ends[1:]])
    segments = (len(control) - 4) // step + 1
    if segments < 1:
        raise MapError(f"{where}: a cubic curve needs 4 points or more, got {len(control)}")
    powers = (np.arange(STEPS + 1) / STEPS)[:, None] ** np.arange(4)
    blend = powers @ np.array(_BASES[basis], np.float64)
    four = control[step * np.arange(segments)[:, None] + np.arange(4)]
    places = np.einsum("tk,skx->stx", blend, four)
    found: Table = np.concatenate([places[:, :-1].reshape(-1, control.shape[1]), places[-1:, -1]])
    return found
