"""How vehicles of a fleet move: limits, paths, avoidance, people, sensing; many worlds at once."""

from stagetwin_sim.fleet._drive_kernels import (
    DriveLimits,
    braking_speed,
    drive_step,
    slow_to,
    turn_to,
    wrap_angle,
)
from stagetwin_sim.fleet._lidar import Lidar, LidarFan
from stagetwin_sim.fleet._limits import drive_limits
from stagetwin_sim.fleet._modes import Mode
from stagetwin_sim.fleet._motion import Motion
from stagetwin_sim.fleet._obstacles import Obstacles
from stagetwin_sim.fleet._options_kernels import draw_of
from stagetwin_sim.fleet._paths import Paths
from stagetwin_sim.fleet._plan import MotionPlan, Noise, People
from stagetwin_sim.fleet._rays_kernels import ray_box, ray_circle, ray_segment
from stagetwin_sim.fleet._state_kernels import FleetState, PathTable, PeopleState

__all__ = [
    "DriveLimits",
    "FleetState",
    "Lidar",
    "LidarFan",
    "Mode",
    "Motion",
    "MotionPlan",
    "Noise",
    "Obstacles",
    "PathTable",
    "Paths",
    "People",
    "PeopleState",
    "braking_speed",
    "draw_of",
    "drive_limits",
    "drive_step",
    "ray_box",
    "ray_circle",
    "ray_segment",
    "slow_to",
    "turn_to",
    "wrap_angle",
]
