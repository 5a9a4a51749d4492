"""Curves as polylines."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from stagetwin.maps import MapError, nurbs_points
from stagetwin.maps._splines import STEPS, basis_curve

COORDINATES = st.integers(-100, 100).map(float)
CLAMPED = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]


def test_a_rational_quarter_circle_is_round() -> None:
    half = math.sqrt(0.5)
    points = nurbs_points(2, [0, 0, 0, 1, 1, 1], [(1, 0), (1, 1), (0, 1)], [1, half, 1])
    assert points[0] == (1.0, 0.0)
    assert points[-1] == (0.0, 1.0)
    assert len(points) == STEPS + 1
    assert max(abs(math.hypot(x, y) - 1) for x, y in points) < 1e-12


def test_degree_one_is_the_control_polygon() -> None:
    control = [(0.0, 0.0), (3.0, 1.0), (4.0, -2.0)]
    assert nurbs_points(1, [0, 0, 0.4, 1, 1], control) == tuple(control)


@given(
    degree=st.integers(1, 5),
    control=st.lists(st.tuples(COORDINATES, COORDINATES), min_size=6, max_size=9),
    steps=st.lists(st.integers(0, 3), min_size=20, max_size=20),
)
def test_curves_are_those_of_another_implementation(
    degree: int, control: list[tuple[float, float]], steps: list[int]
) -> None:
    """Against SciPy's B-splines, with knots that repeat and need not be clamped."""
    knots = np.cumsum([0, *steps])[: len(control) + degree + 1].astype(float)
    low, high = knots[degree], knots[len(control)]
    if not low < high:
        with pytest.raises(MapError, match="no curve"):
            nurbs_points(degree, knots.tolist(), control)
        return
    inner = np.unique(knots[degree : len(control) + 1])
    if any(np.count_nonzero(knots == value) > degree for value in inner[1:-1]):
        return  # it breaks there, and which side counts is a matter of taste
    if np.count_nonzero(knots == high) > degree + 1 or np.count_nonzero(knots == low) > degree + 1:
        return
    steps_in = 1 if degree == 1 else STEPS
    share = np.arange(steps_in) / steps_in
    places = [a + (b - a) * share for a, b in pairwise(inner)]
    # Just before the end, for SciPy leaves it to the span behind where knots go on.
    places.append(np.array([high]))
    at = np.concatenate(places)
    wanted = BSpline(knots, np.array(control), degree, extrapolate=False)(at[:-1])
    points = np.array(nurbs_points(degree, knots.tolist(), control))
    assert np.abs(points[:-1] - wanted).max() < 1e-9
    ahead = BSpline(knots, np.array(control), degree)(high - 1e-9 * (high - low))
    assert np.abs(points[-1] - ahead).max() < 1e-4


@pytest.mark.parametrize(
    ("degree", "knots", "control", "weights", "says"),
    [
        (3, [0, 1, 2], [(0, 0), (1, 1)], None, "needs 4 control points or more, got 2"),
        (0, CLAMPED, [(0, 0)] * 4, None, "degree must be 1 or more, got 0"),
        (3, CLAMPED[1:], [(0, 0)] * 4, None, "need 8 knots, got 7"),
        (3, CLAMPED[::-1], [(0, 0)] * 4, None, "not fall"),
        (3, [0.0] * 8, [(0, 0)] * 4, None, "no curve"),
        (3, CLAMPED, [(0, 0)] * 4, [1, 1, 1], "as many weights, got 3"),
        (3, CLAMPED, [(0, 0)] * 4, [1, 1, 0, 1], "above 0"),
        (3, CLAMPED, [(0, 0), (0, 0), (0, 0), (math.nan, 0)], None, "finite"),
        (3, [*CLAMPED[:-1], math.inf], [(0, 0)] * 4, None, "finite"),
    ],
)
def test_what_is_no_curve_is_said(
    degree: int,
    knots: list[float],
    control: list[tuple[float, float]],
    weights: list[float] | None,
    says: str,
) -> None:
    with pytest.raises(MapError, match=says) as caught:
        nurbs_points(degree, knots, control, weights, where="edge 7")
    assert str(caught.value).startswith("edge 7: ")


@pytest.mark.parametrize("basis", ["bezier", "bspline", "catmullRom"])
def test_cubic_bases_are_splines(basis: str) -> None:
    control = np.array([(0.0, 0, 0), (1, 2, 0), (3, 2, 0), (4, 0, 0)])
    curve = basis_curve(control, basis, "nonperiodic", "here")
    if basis == "catmullRom":
        assert np.allclose(curve[[0, -1]], control[[1, 2]])
        return
    knots = np.array(CLAMPED) if basis == "bezier" else np.arange(-3.0, 5.0)
    wanted = BSpline(knots, control, 3)(np.linspace(0, 1, STEPS + 1))
    assert np.allclose(curve, wanted)


def test_pinned_curves_begin_and_end_on_their_points() -> None:
    control = np.array([(0.0, 0, 0), (1, 2, 0), (3, 2, 0)])
    for basis in ("bspline", "catmullRom"):
        curve = basis_curve(control, basis, "pinned", "here")
        assert np.allclose(curve[[0, -1]], control[[0, 2]])
    with pytest.raises(MapError, match="needs 4 points"):
        basis_curve(control, "bezier", "nonperiodic", "here")
    with pytest.raises(MapError, match=r"bezier, bspline, catmullRom, got hermite"):
        basis_curve(control, "hermite", "nonperiodic", "here")
