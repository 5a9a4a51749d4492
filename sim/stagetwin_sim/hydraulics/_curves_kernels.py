"""Laws of pumps, pipes, valves and tanks as Warp functions; differentiable."""

# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = [
    "friction_factor",
    "pump_delivery",
    "pump_efficiency",
    "pump_head",
    "pump_npsh",
    "pump_power",
    "tank_fill",
    "tank_surface",
    "valve_share",
]

GRAVITY = wp.constant(wp.float64(9.80665))
PI = wp.constant(wp.float64(3.141592653589793))
LN10 = wp.constant(wp.float64(2.302585092994046))
LAMINAR = wp.constant(wp.float64(2000.0))
TURBULENT = wp.constant(wp.float64(4000.0))
SWAMEE = wp.constant(wp.float64(5.74 / 4000.0**0.9))
OVERLOAD = wp.constant(wp.float64(1.6))
STRAINER = wp.constant(wp.float64(0.02))
TAIL = wp.constant(wp.float64(0.1))


@wp.func
def pump_efficiency(
    flow: wp.float64,
    speed: wp.float64,
    rated_flow: wp.float64,
    rated_speed: wp.float64,
    rated_efficiency: wp.float64,
):
    """Return the efficiency that a sound pump has at a flow and speed [1].

    A parabola through rest whose top is the rated point, moved along by the affinity laws
    (Ulanicki, Kahler & Coulbeck, J. Water Resour. Plann. Manage. 134, 2008).
    """
    share = flow * rated_speed / (rated_flow * wp.max(speed, wp.float64(1e-9) * rated_speed))
    x = wp.clamp(share, wp.float64(0.0), wp.float64(2.0))
    return rated_efficiency * x * (wp.float64(2.0) - x)


@wp.func
def pump_head(
    flow: wp.float64,
    speed: wp.float64,
    rated_flow: wp.float64,
    rated_head: wp.float64,
    shutoff_head: wp.float64,
    rated_speed: wp.float64,
    wear: wp.float64,
    leak: wp.float64,
    blockage: wp.float64,
):
    """Return the head between the flanges [m].

    H = n^2 H0 - k q|q|, n the share of rated speed (affinity laws; Guelich, Centrifugal Pumps,
    2014, section 3.4). `wear` is the share of head that is lost, `leak` flows back through the
    rings, as a share of rated flow, in proportion to speed, `blockage` is the share of the
    suction's area that is closed; a clean strainer takes 2 % of rated head at rated flow, and the
    curve includes it.
    """
    n = speed / rated_speed
    through = flow + leak * rated_flow * n
    fall = (shutoff_head - rated_head) / (rated_flow * rated_flow)
    sound = n * n * shutoff_head - fall * through * wp.abs(through)
    return (wp.float64(1.0) - wear) * sound - pump_strainer(
        rated_flow, rated_head, blockage
    ) * flow * wp.abs(flow)


@wp.func
def pump_strainer(rated_flow: wp.float64, rated_head: wp.float64, blockage: wp.float64):
    """Return what a partly blocked suction loses more than a clean one [m/(m3/s)2]."""
    free = wp.float64(1.0) - blockage
    more = wp.float64(1.0) / (free * free) - wp.float64(1.0)
    return STRAINER * rated_head / (rated_flow * rated_flow) * more


@wp.func
def pump_power(
    flow: wp.float64,
    speed: wp.float64,
    rated_flow: wp.float64,
    rated_head: wp.float64,
    shutoff_head: wp.float64,
    rated_speed: wp.float64,
    rated_efficiency: wp.float64,
    leak: wp.float64,
    density: wp.float64,
):
    """Return the power that the shaft takes [W].

    P = rho g Q H / eta of the flow through the impeller, with the efficiency's parabola, whose zero
    at no flow cancels; beyond 1.6 times the flow of best efficiency it stays as it is there. It
    goes with the cube of speed.
    """
    n = wp.max(speed, wp.float64(0.0)) / rated_speed
    turning = wp.max(n, wp.float64(1e-9))
    x = wp.clamp(flow / (rated_flow * turning) + leak, wp.float64(0.0), OVERLOAD)
    head = shutoff_head - (shutoff_head - rated_head) * x * x
    most = density * GRAVITY * rated_flow / rated_efficiency
    return n * n * n * most * wp.max(head, wp.float64(0.0)) / (wp.float64(2.0) - x)


@wp.func
def pump_npsh(
    flow: wp.float64,
    speed: wp.float64,
    rated_flow: wp.float64,
    rated_speed: wp.float64,
    rated_npsh: wp.float64,
):
    """Return the suction head that is required [m].

    NPSH = a u^2 + b c^2: one part with the square of speed, one with the square of flow (Guelich,
    section 6.2.4, of blade and meridional velocity); 40 and 60 % at the rated point.
    """
    n = speed / rated_speed
    x = flow / rated_flow
    return rated_npsh * (wp.float64(0.4) * n * n + wp.float64(0.6) * x * x)


@wp.func
def pump_delivery(
    head: wp.float64,
    speed: wp.float64,
    rated_flow: wp.float64,
    rated_head: wp.float64,
    shutoff_head: wp.float64,
    rated_speed: wp.float64,
):
    """Return the flow that a sound pump delivers against a head [m3/s]; 0 above its shut-off."""
    n = speed / rated_speed
    fall = (shutoff_head - rated_head) / (rated_flow * rated_flow)
    return wp.sqrt(wp.max((n * n * shutoff_head - head) / fall, wp.float64(0.0)))


@wp.func
def friction_factor(reynolds: wp.float64, roughness: wp.float64):
    """Return Darcy's friction factor and its slope over the Reynolds number.

    64/Re up to 2,000, Swamee & Jain (J. Hydraul. Div. ASCE 102, 1976) from 4,000 on, the cubic
    between that has the value and slope of both (Dunlop 1991); so in EPANET 2.2 (Rossman et al.
    2020, section 12.1).

    Args:
        reynolds: above 0.
        roughness: relative to 3.7 diameters.
    """
    if reynolds <= LAMINAR:
        f = wp.float64(64.0) / reynolds
        return wp.vec2d(f, -f / reynolds)
    if reynolds >= TURBULENT:
        smooth = wp.float64(5.74) * wp.exp(wp.float64(-0.9) * wp.log(reynolds))
        y = roughness + smooth
        ln = wp.log(y)
        f = wp.float64(0.25) * LN10 * LN10 / (ln * ln)
        return wp.vec2d(f, wp.float64(1.8) * f * smooth / (reynolds * y * ln))
    y = roughness + SWAMEE
    ln = wp.log(y)
    last = wp.float64(0.25) * LN10 * LN10 / (ln * ln)
    width = TURBULENT - LAMINAR
    last_slope = wp.float64(1.8) * last * SWAMEE / (TURBULENT * y * ln) * width
    first = wp.float64(64.0) / LAMINAR
    first_slope = -first / LAMINAR * width
    t = (reynolds - LAMINAR) / width
    a = wp.float64(2.0) * (first - last) + first_slope + last_slope
    b = wp.float64(3.0) * (last - first) - wp.float64(2.0) * first_slope - last_slope
    f = first + t * (first_slope + t * (b + t * a))
    slope = (first_slope + t * (wp.float64(2.0) * b + wp.float64(3.0) * t * a)) / width
    return wp.vec2d(f, slope)


@wp.func
def valve_share(opening: wp.float64, characteristic: wp.float64, rangeability: wp.float64):
    """Return the flow coefficient at an opening, as a share of that of the open valve.

    Inherent characteristics of IEC 60534-2-4: linear x, equal percentage R^(x-1), and quick opening
    sqrt(x). An equal percentage valve goes evenly to zero below an opening of 0.1.
    """
    x = wp.clamp(opening, wp.float64(0.0), wp.float64(1.0))
    share = x
    if characteristic > wp.float64(1.5):
        share = wp.sqrt(x)
    elif characteristic > wp.float64(0.5):
        above = wp.pow(rangeability, wp.max(x, TAIL) - wp.float64(1.0))
        share = above * wp.min(x / TAIL, wp.float64(1.0))
    return share


@wp.func
def tank_fill(share: wp.float64, shape: wp.float64):
    """Return the share of the volume below a share of the height.

    Upright (0): itself. Lying cylinder (1): the segment of a circle. Sphere (2): its cap.
    """
    y = wp.clamp(share, wp.float64(0.0), wp.float64(1.0))
    fill = y
    if shape > wp.float64(1.5):
        fill = y * y * (wp.float64(3.0) - wp.float64(2.0) * y)
    elif shape > wp.float64(0.5):
        c = wp.float64(1.0) - wp.float64(2.0) * y
        fill = (wp.acos(c) - c * wp.sqrt(wp.max(wp.float64(1.0) - c * c, wp.float64(0.0)))) / PI
    return fill


@wp.func
def tank_surface(fill: wp.float64, shape: wp.float64):
    """Return the share of the height at a share of the volume, and its slope.

    The inverse of `tank_fill` by bisection and Newton's steps; the slope is at most 20, which is
    the surface of a fortieth of the widest that is not upright.
    """
    x = wp.clamp(fill, wp.float64(0.0), wp.float64(1.0))
    y = x
    slope = wp.float64(1.0)
    if shape > wp.float64(0.5):
        low = wp.float64(0.0)
        high = wp.float64(1.0)
        for _ in range(30):
            gap = tank_fill(y, shape) - x
            if gap > wp.float64(0.0):
                high = y
            else:
                low = y
            rise = tank_rise(y, shape)
            new = y - gap / wp.max(rise, wp.float64(1e-9))
            if new <= low or new >= high:
                new = wp.float64(0.5) * (low + high)
            if wp.abs(new - y) < wp.float64(1e-15):
                break
            y = new
        slope = wp.float64(1.0) / wp.max(tank_rise(y, shape), wp.float64(0.05))
    return wp.vec2d(y, slope)


@wp.func
def tank_rise(share: wp.float64, shape: wp.float64):
    """Return the slope of `tank_fill`."""
    rise = wp.float64(1.0)
    room = wp.max(share * (wp.float64(1.0) - share), wp.float64(0.0))
    if shape > wp.float64(1.5):
        rise = wp.float64(6.0) * room
    elif shape > wp.float64(0.5):
        rise = wp.float64(8.0) / PI * wp.sqrt(room)
    return rise
