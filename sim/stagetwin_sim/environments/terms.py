"""Terms that any task may take: Warp functions."""

from stagetwin_sim.environments._episode_kernels import (
    action_change,
    action_size,
    advance_on_success,
    always,
    draw_again,
    failed,
    last_action,
    physics_value,
    succeeded,
    time_is_up,
)

__all__ = [
    "action_change",
    "action_size",
    "advance_on_success",
    "always",
    "draw_again",
    "failed",
    "last_action",
    "physics_value",
    "succeeded",
    "time_is_up",
]
