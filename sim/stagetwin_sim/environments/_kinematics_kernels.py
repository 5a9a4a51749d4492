"""The bare vehicle on an open floor."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.environments._episode_kernels import Episode
from stagetwin_sim.environments._vehicle_kernels import DriveLimits

__all__ = ["KinematicsState", "begin_anywhere", "goal_anywhere"]

wp.set_module_options({"enable_backward": False})


@wp.struct
class KinematicsState:
    """Of every world; frames and units are the map's."""

    pose: wp.array(dtype=wp.vec3)
    twist: wp.array(dtype=wp.vec2)
    goal: wp.array(dtype=wp.vec3)
    away: wp.array(dtype=wp.float32)
    far: wp.array(dtype=wp.float32)
    limits: DriveLimits
    mass: wp.float32


@wp.func
def begin_anywhere(e: Episode, s: KinematicsState, w: int, p: wp.vec4, random: wp.uint32):
    """Stand at the origin with any heading."""
    own = random
    s.pose[w] = wp.vec3(0.0, 0.0, wp.randf(own, -wp.pi, wp.pi))
    s.twist[w] = wp.vec2(0.0, 0.0)
    s.away[w] = 0.0


@wp.func
def goal_anywhere(e: Episode, s: KinematicsState, w: int, p: wp.vec4, random: wp.uint32):
    """Ask for a point `p[0]` to `p[1]` [m] away, in any direction."""
    own = random
    far = wp.randf(own, p[0], p[1])
    angle = wp.randf(own, -wp.pi, wp.pi)
    heading = wp.randf(own, -wp.pi, wp.pi)
    s.far[w] = far
    pose = s.pose[w]
    s.goal[w] = wp.vec3(pose[0] + far * wp.cos(angle), pose[1] + far * wp.sin(angle), heading)
