"""Pictures of a training: its curves, and rollouts as stills."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stagetwin_sim._errors import TaskError
from stagetwin_sim.environments import EnvironmentConfig, make_environment
from stagetwin_sim.training._policies import Policy

__all__ = ["draw_curves", "draw_stills"]

# Okabe and Ito's palette, told apart with any colour vision; black stays for words.
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#7A7A7A"
_INK, _FAINT = "#2B2F36", "#D9DDE3"
_PANELS = (
    ("train/success", "share of successes"),
    ("train/reward", "reward of an episode"),
    ("train/length", "steps of an episode"),
    ("loss/value", "critic's loss"),
    ("policy/std", "standard deviation of actions"),
    ("perf/steps_per_second", "environment steps/s"),
)


def draw_curves(curves: Mapping[str, Sequence[float]], path: str | os.PathLike[str]) -> Path:
    """Draw the curves of a training over environment steps.

    Args:
        curves: by name, one number an iteration; `steps` among them.
        path: of the picture (png, svg, pdf).
    """
    figure = _figure(10.0, 5.6)
    steps = np.asarray(curves["steps"]) / 1e6
    for panel, (name, title) in zip(figure.subplots(2, 3).flat, _PANELS, strict=True):
        panel.plot(steps, curves.get(name, np.full(len(steps), math.nan)), color=_BLUE, lw=1.5)
        panel.set_title(title, loc="left", fontsize=10, color=_INK)
        panel.grid(axis="y", color=_FAINT, lw=0.7)
        panel.tick_params(colors=_INK, labelsize=8, length=0)
        for side in ("top", "right", "left"):
            panel.spines[side].set_visible(False)
        if name == "train/success":
            panel.set_ylim(-0.02, 1.02)
    figure.supxlabel("million steps", fontsize=9, color=_INK)
    figure.savefig(path, facecolor="white")
    return Path(path)


def draw_stills(
    policy: Policy,
    config: EnvironmentConfig,
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    count: int = 6,
) -> list[Path]:
    """Draw the first episodes of some worlds, seen from above; none for tasks without a floor.

    Args:
        policy: what acts.
        config: of the environment.
        folder: for the pictures.
        seed: of the worlds.
        count: how many.

    Returns:
        The files.
    """
    environment = make_environment(config, worlds=count, seed=seed)
    environment.level.fill_(1.0)
    environment.reset()
    try:
        pose, goal = environment.state("pose"), environment.state("goal")
    except TaskError:
        return []
    known = {name: _state(environment, name) for name in ("pillars", "others")}
    policy.begin(environment)
    goals = goal.clone().numpy()
    pillars = known["pillars"]
    ways, others = [pose.clone().numpy()], [known["others"]]
    open_, ends = np.ones(count, bool), [environment.max_steps] * count
    words = ["time is up"] * count
    for step in range(1, environment.max_steps + 1):
        _, _, terminated, _, info = environment.step(policy.act(environment))
        for w in np.flatnonzero(info["done"].numpy() & open_).tolist():
            open_[w] = False
            ends[w] = step
            ended = "failed" if bool(terminated[w]) else "time is up"
            words[w] = "arrived" if bool(info["success"][w]) else ended
        if not open_.any():
            break
        ways.append(pose.clone().numpy())
        others.append(_state(environment, "others"))
    made = []
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for w in range(count):
        figure = _figure(4.2, 4.4)
        panel = figure.subplots()
        way = np.array([row[w] for row in ways[: ends[w]]])
        _floor(panel, config, pillars[w] if pillars is not None else [])
        _way(panel, way, goals[w])
        if others[0] is not None:
            for k in range(others[0].shape[1]):
                track = np.array([row[w, k] for row in others[: ends[w]] if row is not None])
                panel.plot(track[:, 0], track[:, 1], color=_ORANGE, lw=1.0, alpha=0.8)
                panel.plot(*track[-1, :2], "o", color=_ORANGE, ms=7)
        seconds = ends[w] * environment.step_seconds
        panel.set_title(f"{words[w]}, {seconds:.1f} s", loc="left", fontsize=10, color=_INK)
        made.append(target / f"{environment.task}-{w}.png")
        figure.savefig(made[-1], facecolor="white")
    return made


def _state(environment: Any, name: str) -> Any:
    try:
        values: torch.Tensor = environment.state(name)
    except TaskError:
        return None
    return values.clone().numpy()


def _floor(panel: Any, config: Any, pillars: Any) -> None:
    from matplotlib.patches import Circle, Rectangle

    room = getattr(config, "room", None)
    if room is not None:
        corner = (-room / 2, -room / 2)
        panel.add_patch(Rectangle(corner, room, room, fill=False, ec=_INK, lw=1.2))
        panel.set_xlim(-room / 2 - 0.2, room / 2 + 0.2)
        panel.set_ylim(-room / 2 - 0.2, room / 2 + 0.2)
    for x, y, radius in pillars:
        if radius > 0.0:
            panel.add_patch(Circle((x, y), radius, color=_GREY, lw=0))
    panel.set_aspect("equal")
    panel.tick_params(colors=_INK, labelsize=8, length=0)
    for side in ("top", "right", "left", "bottom"):
        panel.spines[side].set_visible(False)


def _way(panel: Any, way: Any, goal: Any) -> None:
    panel.plot(way[:, 0], way[:, 1], color=_BLUE, lw=1.8)
    panel.plot(*way[0, :2], "o", color=_BLUE, ms=5)
    for pose, colour in ((way[-1], _BLUE), (goal, _GREEN)):
        x, y, theta = pose
        panel.annotate(
            "",
            xy=(x + 0.5 * math.cos(theta), y + 0.5 * math.sin(theta)),
            xytext=(x, y),
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.0},
        )
    panel.plot(*goal[:2], "x", color=_GREEN, ms=7, mew=2)


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
