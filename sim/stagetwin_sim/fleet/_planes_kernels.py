"""Half planes of ORCA: what another agent or a static obstacle leaves of an agent's velocities.

Source: J. van den Berg, S. J. Guy, M. Lin, D. Manocha, "Reciprocal n-body collision avoidance",
Robotics Research (ISRR 2009), 2011: equations 3 to 6 for agents, section 5.4 for obstacles; the
cases of an obstacle's ends as in the authors' RVO2 library 2.0 (Apache-2.0), in words of our own.
"""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = ["agent_plane", "wall_plane"]

wp.set_module_options({"enable_backward": False})

_NONE = wp.constant(wp.vec4(0.0, 0.0, 0.0, 0.0))


@wp.func
def agent_plane(
    relative: wp.vec2,
    own: wp.vec2,
    other: wp.vec2,
    radius: wp.float32,
    share: wp.float32,
    horizon: wp.float32,
    dt: wp.float32,
) -> wp.vec4:
    """Return the half plane that another agent leaves.

    Args:
        relative: from this agent to the other [m].
        own, other: velocities [m/s].
        radius: of both together [m].
        share: of the change that this one makes; 0.5 where both do.
        horizon: for which no collision is wanted [s].
        dt: step [s], for which agents that overlap part.
    """
    v = own - other
    apart = wp.dot(relative, relative)
    within = radius * radius
    way = wp.vec2()
    u = wp.vec2()
    if apart > within:
        inverse = 1.0 / horizon
        w = v - inverse * relative
        square = wp.dot(w, w)
        ahead = wp.dot(w, relative)
        if ahead < 0.0 and ahead * ahead > within * square:
            # Nearest is the arc that the horizon cuts off.
            length = wp.sqrt(square)
            unit = w / length
            way = wp.vec2(unit[1], -unit[0])
            u = (radius * inverse - length) * unit
        else:
            leg = wp.sqrt(apart - within)
            inverse_apart = 1.0 / apart
            if relative[0] * w[1] - relative[1] * w[0] > 0.0:
                way = (
                    wp.vec2(
                        relative[0] * leg - relative[1] * radius,
                        relative[0] * radius + relative[1] * leg,
                    )
                    * inverse_apart
                )
            else:
                way = (
                    wp.vec2(
                        relative[0] * leg + relative[1] * radius,
                        relative[1] * leg - relative[0] * radius,
                    )
                    * -inverse_apart
                )
            u = wp.dot(v, way) * way - v
    else:
        inverse = 1.0 / dt
        w = v - inverse * relative
        length = wp.length(w)
        if length == 0.0:
            # Two at one place with one velocity: any way out is as good.
            w = wp.vec2(1.0, 0.0)
            length = 1.0
            unit = w
            way = wp.vec2(unit[1], -unit[0])
            u = radius * inverse * unit
        else:
            unit = w / length
            way = wp.vec2(unit[1], -unit[0])
            u = (radius * inverse - length) * unit
    point = own + share * u
    return wp.vec4(point[0], point[1], way[0], way[1])


@wp.func
def _left_leg(relative: wp.vec2, apart: wp.float32, radius: wp.float32) -> wp.vec2:
    leg = wp.sqrt(apart - radius * radius)
    return (
        wp.vec2(relative[0] * leg - relative[1] * radius, relative[0] * radius + relative[1] * leg)
        / apart
    )


@wp.func
def _right_leg(relative: wp.vec2, apart: wp.float32, radius: wp.float32) -> wp.vec2:
    leg = wp.sqrt(apart - radius * radius)
    return (
        wp.vec2(relative[0] * leg + relative[1] * radius, relative[1] * leg - relative[0] * radius)
        / apart
    )


@wp.func
def _edge(point: wp.vec2, way: wp.vec2, margin: wp.float32) -> wp.vec4:
    """Return a half plane whose edge is moved to its left by a margin."""
    return wp.vec4(point[0] - margin * way[1], point[1] + margin * way[0], way[0], way[1])


@wp.func
def wall_plane(
    position: wp.vec2,
    own: wp.vec2,
    radius: wp.float32,
    horizon: wp.float32,
    ends: wp.vec4,
    ways: wp.vec4,
    bends: wp.int32,
) -> wp.vec4:
    """Return the half plane that an edge of a static obstacle leaves; all zeros for none.

    Args:
        position, own: place and velocity of the agent [m, m/s].
        radius: of the agent [m].
        horizon: [s].
        ends: of the edge, the obstacle to its left [m].
        ways: directions of the edge before it and of the edge after it.
        bends: bit 0 is set where its first end is convex, bit 1 where its second is.
    """
    a = wp.vec2(ends[0], ends[1]) - position
    b = wp.vec2(ends[2], ends[3]) - position
    convex_a = (bends & 1) != 0
    convex_b = (bends & 2) != 0
    edge = b - a
    length = wp.length(edge)
    way = edge / length
    near_a = wp.dot(a, a)
    near_b = wp.dot(b, b)
    within = radius * radius
    s = -wp.dot(a, edge) / wp.dot(edge, edge)
    foot = a + s * edge
    near = wp.dot(foot, foot)
    before = wp.vec2(ways[0], ways[1])
    after = wp.vec2(ways[2], ways[3])

    # In touch already: no velocity into it.
    if s < 0.0 and near_a <= within:
        if convex_a:
            out = wp.normalize(wp.vec2(-a[1], a[0]))
            return wp.vec4(0.0, 0.0, out[0], out[1])
        return _NONE
    if s > 1.0 and near_b <= within:
        if convex_b and b[0] * after[1] - b[1] * after[0] >= 0.0:
            out = wp.normalize(wp.vec2(-b[1], b[0]))
            return wp.vec4(0.0, 0.0, out[0], out[1])
        return _NONE
    if s >= 0.0 and s <= 1.0 and near <= within:
        return wp.vec4(0.0, 0.0, -way[0], -way[1])

    # The ends that the velocity obstacle has: one alone where the edge is seen from its end.
    single = wp.bool(False)
    left_leg = wp.vec2()
    right_leg = wp.vec2()
    if s < 0.0 and near <= within:
        if not convex_a:
            return _NONE
        single = True
        b = a
        convex_b = convex_a
        after = way
        left_leg = _left_leg(a, near_a, radius)
        right_leg = _right_leg(a, near_a, radius)
    elif s > 1.0 and near <= within:
        if not convex_b:
            return _NONE
        single = True
        a = b
        convex_a = convex_b
        before = way
        left_leg = _left_leg(b, near_b, radius)
        right_leg = _right_leg(b, near_b, radius)
    else:
        left_leg = -way
        right_leg = way
        if convex_a:
            left_leg = _left_leg(a, near_a, radius)
        if convex_b:
            right_leg = _right_leg(b, near_b, radius)

    # A leg that would point into the neighbouring edge follows that edge, whose own half plane
    # then speaks for it.
    left_foreign = wp.bool(False)
    right_foreign = wp.bool(False)
    if convex_a and left_leg[1] * before[0] - left_leg[0] * before[1] >= 0.0:
        left_leg = -before
        left_foreign = True
    if convex_b and right_leg[0] * after[1] - right_leg[1] * after[0] <= 0.0:
        right_leg = after
        right_foreign = True

    inverse = 1.0 / horizon
    left_end = inverse * a
    right_end = inverse * b
    margin = radius * inverse
    cut = right_end - left_end
    from_left = own - left_end
    from_right = own - right_end
    t = wp.float32(0.5)
    if not single:
        t = wp.dot(from_left, cut) / wp.dot(cut, cut)
    along_left = wp.dot(from_left, left_leg)
    along_right = wp.dot(from_right, right_leg)

    if (t < 0.0 and along_left < 0.0) or (single and along_left < 0.0 and along_right < 0.0):
        unit = wp.normalize(from_left)
        return _edge(left_end, wp.vec2(unit[1], -unit[0]), margin)
    if t > 1.0 and along_right < 0.0:
        unit = wp.normalize(from_right)
        return _edge(right_end, wp.vec2(unit[1], -unit[0]), margin)

    to_cut = wp.float32(wp.inf)
    to_left = wp.float32(wp.inf)
    to_right = wp.float32(wp.inf)
    if t >= 0.0 and t <= 1.0 and not single:
        to_cut = wp.length_sq(from_left - t * cut)
    if along_left >= 0.0:
        to_left = wp.length_sq(from_left - along_left * left_leg)
    if along_right >= 0.0:
        to_right = wp.length_sq(from_right - along_right * right_leg)

    if to_cut <= to_left and to_cut <= to_right:
        return _edge(left_end, -way, margin)
    if to_left <= to_right:
        if left_foreign:
            return _NONE
        return _edge(left_end, left_leg, margin)
    if right_foreign:
        return _NONE
    return _edge(right_end, -right_leg, margin)
