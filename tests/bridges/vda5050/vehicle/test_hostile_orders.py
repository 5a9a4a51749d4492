"""Orders that would block a vehicle, or come back in a state that no schema lets out."""

from __future__ import annotations

import time

import pytest

from stagetwin_bridges.vda5050.messages import ControlPoint, Trajectory
from tests.bridges.vda5050.vehicle.stand import Stand, box, order

WAY = (("a", 0.0, 0.0), ("b", 2.0, 0.0))
KNOTS = (0.0, 0.0, 0.0, 1.0, 1.0, 1.0)


def curve(*points: tuple[float, float], degree: int = 2, knots: object = None) -> Trajectory:
    """Return a trajectory."""
    return Trajectory(
        degree=degree,
        knot_vector=knots,  # type: ignore[arg-type]
        control_points=tuple(ControlPoint(x=x, y=y) for x, y in points),
    )


@pytest.mark.parametrize(
    "trajectory",
    [
        curve((0, 0), (1e9, 0), (2, 0)),
        curve((0, 0), (1e9, 0), (2, 0), degree=1),
        curve((0, 0), (1e308, -1e308), (-1e308, 1e308), (2, 0)),
        curve(*((k / 700, 0.0) for k in range(1400)), degree=1399),
    ],
    ids=["far", "far and straight", "farther than a number goes", "a degree beyond reason"],
)
def test_a_curve_that_is_too_much_to_sample_is_refused_at_once(trajectory: Trajectory) -> None:
    stand = Stand()
    began = time.monotonic()
    stand.give(order(WAY, edge={"trajectory": trajectory}))
    assert time.monotonic() - began < 2.0
    assert stand.error("VALIDATION_FAILURE") is not None
    assert stand.vehicle.order_id == ""


@pytest.mark.parametrize("version", ["2.1.0", "3.0.0"])
@pytest.mark.parametrize("last", [1e300, 1.5])
def test_knots_beyond_one_are_refused_since_no_state_could_show_them(
    version: str, last: float
) -> None:
    stand = Stand(version)
    good = curve((0, 0), (1, 0.2), (2, 0), knots=KNOTS)
    bad = curve((0, 0), (1, 0.2), (2, 0), knots=(*KNOTS[:5], last))
    stand.give(order(WAY, edge={"trajectory": bad}))
    assert stand.vehicle.order_id == ""
    kind = "validationError" if version == "2.1.0" else "VALIDATION_FAILURE"
    assert {e.error_type for e in stand.state.errors} & {kind, "VALIDATION_FAILURE"}
    stand.give(order(WAY, edge={"trajectory": good}))
    assert stand.vehicle.order_id == "o"


def test_numbers_whose_squares_are_none_end_no_step() -> None:
    stand = Stand(navigation="FREELY_NAVIGATING")
    stand.zones(box("fast", "SPEED_LIMIT", 1.0, 1.5, maximum_speed=1e308))
    narrow = order([("a", 0.05, 0.0), ("b", 2.0, 0.0)], deviation=1e-200)
    stand.give(narrow)
    stand.until(lambda: stand.vehicle.last_node_id == "b")
    stand.give(order([("b", 2.0, 0.0), ("c", 1e200, 0.0)], name="far"))
    assert stand.error("NO_ROUTE_TO_TARGET") is not None
    assert stand.vehicle.order_id == "o"
    stand.give(order([("b", 2.0, 0.0), ("c", 1990.0, 0.0)], name="far"))
    stand.step(5)
    assert stand.vehicle.order_id == "far"
