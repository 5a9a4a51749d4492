"""A picture of what came of a fleet's work: where it waits, on what, and how time is spent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stagetwin_sim.traffic._counts import SHARES, floor_of
from stagetwin_sim.traffic._report import FleetReport

if TYPE_CHECKING:
    from stagetwin_sim.traffic._fleet import FleetSimulation

__all__ = ["draw_fleet"]

_INK, _FAINT, _FLOOR, _WALL = "#2B2F36", "#D9DDE3", "#F6F7F9", "#B9C0CA"
# Okabe and Ito's palette, told apart with any colour vision.
_SHARES = ("#009E73", "#D55E00", "#0072B2", "#E69F00", "#C9CED6")
_KINDS = {
    "pick": ("^", "#0072B2"),
    "drop": ("v", "#009E73"),
    "transfer": ("D", "#CC79A7"),
    "charge": ("P", "#E69F00"),
    "park": ("s", "#7A7A7A"),
}


def draw_fleet(fleet: FleetSimulation, report: FleetReport, path: Path) -> None:
    """Draw the map with waiting on it, the places that cause it, and where time goes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    left, bottom, right, top = _view(fleet)
    wide = max(right - left, 1e-6) / max(top - bottom, 1e-6)
    figure = Figure(figsize=(13.0, float(np.clip(7.7 / wide + 1.5, 5.8, 9.5))), dpi=120)
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
    grid = figure.add_gridspec(3, 2, width_ratios=(3.1, 1.2), height_ratios=(1.15, 1.0, 1.0))
    floor = figure.add_subplot(grid[:, 0])
    image = _floor(floor, fleet)
    colours = figure.colorbar(image, ax=floor, orientation="horizontal", shrink=0.5, pad=0.02)
    colours.set_label("waiting [vehicle-seconds in an hour and m²]", color=_INK, fontsize=9)
    colours.outline.set_visible(False)
    colours.ax.tick_params(colors=_INK, labelsize=8, length=0)
    _causes(figure.add_subplot(grid[0, 1]), report)
    _times(figure.add_subplot(grid[1, 1]), fleet)
    _figures(figure.add_subplot(grid[2, 1]), report)
    title = f"{report.map}: {report.vehicles} vehicles, {report.minutes:g} min, "
    title += f"{report.worlds} world{'s' if report.worlds > 1 else ''}"
    figure.suptitle(title, x=0.01, ha="left", color=_INK, fontsize=14, fontweight="bold")
    figure.savefig(path, facecolor="white")


def _view(fleet: FleetSimulation) -> tuple[float, float, float, float]:
    """Return what of the floor is shown: where vehicles drive, and a little around it [m]."""
    nodes = list(fleet.road_map.nodes.values())
    corners = [(node.x, node.y) for node in nodes]
    corners += [
        corner
        for zone in fleet.road_map.zones.values()
        if zone.authority in ("free", "grid")
        for corner in zone.polygon
    ]
    if not corners:
        return floor_of(fleet)
    (left, bottom), (right, top) = np.min(corners, axis=0), np.max(corners, axis=0)
    return float(left) - 2.5, float(bottom) - 3.0, float(right) + 2.5, float(top) + 3.5


def _floor(panel: Any, fleet: FleetSimulation) -> Any:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Polygon

    road_map, counts = fleet.road_map, fleet.counts
    left, bottom, right, top = _view(fleet)
    panel.set_facecolor(_FLOOR)
    tints = {"free": "#E3F1FA", "grid": "#FFF3DC"}
    for zone in road_map.zones.values():
        if zone.authority in tints:
            panel.add_patch(Polygon(zone.polygon, color=tints[zone.authority], zorder=0.5, lw=0))
    hours = max(fleet.time, 1e-9) / 3600 * fleet.worlds
    heat = _smooth(counts.waiting.sum(axis=0) / hours / counts.edge**2)
    colours = LinearSegmentedColormap.from_list(
        "waiting",
        [(1, 1, 1, 0), (1, 0.86, 0.35, 0.75), (0.9, 0.35, 0.1, 0.92), (0.45, 0.02, 0.18, 1)],
    )
    rows, columns = heat.shape
    extent = (
        counts.corner[0],
        counts.corner[0] + columns * counts.edge,
        counts.corner[1],
        counts.corner[1] + rows * counts.edge,
    )
    most = float(np.quantile(heat[heat > 0], 0.995)) if (heat > 0).any() else 1.0
    for name in sorted(road_map.lanes):
        line = np.array(road_map.lane_points(name))
        closed = name in fleet.options.closed
        panel.plot(
            *line.T,
            color="#D55E00" if closed else "#98A2B0",
            lw=1.4,
            ls=":" if closed else "-",
            zorder=1,
            solid_capstyle="round",
        )
        middle, ahead = line[len(line) // 2 - 1 : len(line) // 2 + 1]
        if not road_map.lanes[name].both:
            at = (middle + ahead) / 2
            panel.annotate(
                "",
                at + (ahead - middle) * 1e-3,
                at,
                arrowprops={"arrowstyle": "-|>", "color": "#98A2B0", "lw": 1.0},
                zorder=1,
            )
    image = panel.imshow(
        heat,
        origin="lower",
        extent=extent,
        cmap=colours,
        vmin=0,
        vmax=most,
        interpolation="bilinear",
        zorder=2,
    )
    for obstacle in road_map.obstacles:
        panel.add_patch(Polygon(obstacle.polygon, color=_WALL, zorder=3, lw=0))
    _stations(panel, fleet)
    _vehicles(panel, fleet)
    panel.set_xlim(left, right)
    panel.set_ylim(bottom, top)
    panel.set_aspect("equal", anchor="N")
    panel.tick_params(colors=_INK, labelsize=8, length=0)
    for side in panel.spines.values():
        side.set_color(_FAINT)
    return image


def _smooth(heat: Any) -> Any:
    """Return squares with a little of their neighbours: where vehicles are, they are wide."""
    padded = np.pad(heat, 1)
    return (
        4 * padded[1:-1, 1:-1]
        + 2 * (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:])
        + (padded[:-2, :-2] + padded[2:, 2:] + padded[:-2, 2:] + padded[2:, :-2])
    ) / 16


def _stations(panel: Any, fleet: FleetSimulation) -> None:
    from matplotlib.patheffects import withStroke

    seen: set[str] = set()
    for name, station in sorted(fleet.road_map.stations.items()):
        nodes = [fleet.road_map.nodes[n] for n in station.nodes if n in fleet.road_map.nodes]
        marker, colour = _KINDS.get(station.kind, ("o", _INK))
        for node in nodes:
            panel.plot(
                node.x,
                node.y,
                marker,
                ms=8,
                color=colour,
                mec="white",
                mew=1.0,
                zorder=5,
                label=station.kind if station.kind not in seen else None,
            )
            seen.add(station.kind)
        if nodes and len(fleet.road_map.stations) <= 40:
            panel.annotate(
                name,
                (nodes[0].x, nodes[0].y),
                xytext=(0, -13),
                textcoords="offset points",
                ha="center",
                fontsize=7.5,
                color=_INK,
                zorder=6,
                path_effects=[withStroke(linewidth=2.5, foreground=_FLOOR)],
            )
    if seen:
        legend = panel.legend(loc="upper right", frameon=False, fontsize=8, ncols=len(seen))
        for text in legend.get_texts():
            text.set_color(_INK)


def _vehicles(panel: Any, fleet: FleetSimulation) -> None:
    from matplotlib.patches import Rectangle
    from matplotlib.transforms import Affine2D

    kinds = fleet.motion.plan.type_indices()
    for vehicle, (x, y, theta) in enumerate(fleet.poses()):
        kind = fleet.types[kinds[vehicle]]
        loaded = fleet.records[0].vehicles[vehicle].loaded
        box = Rectangle(
            (kind.front - kind.length, -kind.width / 2),
            kind.length,
            kind.width,
            fc="#0B3D5C" if loaded else "white",
            ec="#0B3D5C",
            lw=1.0,
            zorder=4,
        )
        box.set_transform(Affine2D().rotate(theta).translate(x, y) + panel.transData)
        panel.add_patch(box)


def _causes(panel: Any, report: FleetReport) -> None:
    worst = [p for p in report.places if p.share > 0][:6][::-1]
    panel.set_title("what they wait for", loc="left", color=_INK, fontsize=10, fontweight="bold")
    panel.barh(range(len(worst)), [100 * p.share for p in worst], color="#D55E00", height=0.62)
    panel.set_yticks(range(len(worst)), [f"{p.kind} {p.name}" for p in worst], color=_INK)
    for i, place in enumerate(worst):
        panel.text(100 * place.share, i, f" {place.share:.0%}", va="center", color=_INK, fontsize=8)
    _plain(panel)
    panel.set_xticks([])
    panel.margins(x=0.18)
    if not worst:
        panel.text(0, 0, "nobody waits", color=_INK)


def _times(panel: Any, fleet: FleetSimulation) -> None:
    times = fleet.counts.times.sum(axis=0)
    share = 100 * times / np.maximum(times.sum(axis=1, keepdims=True), 1e-9)
    mean = share.mean(axis=0)
    panel.set_title("where time goes", loc="left", color=_INK, fontsize=10, fontweight="bold")
    many = len(share) > 40
    rows = np.array([mean]) if many else share
    begin = np.zeros(len(rows))
    for i, name in enumerate(SHARES):
        panel.bar(
            range(len(rows)),
            rows[:, i],
            bottom=begin,
            width=0.86,
            color=_SHARES[i],
            label=f"{name} {mean[i]:.0f} %",
        )
        begin += rows[:, i]
    panel.set_xlabel("all vehicles" if many else "vehicle", color=_INK, fontsize=8)
    _plain(panel)
    panel.set_yticks([])
    panel.set_xticks([])
    panel.set_ylim(0, 100)
    legend = panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_color(_INK)


def _figures(panel: Any, report: FleetReport) -> None:
    from stagetwin_sim.traffic._tables import figure_text

    panel.axis("off")
    shown = ("throughput", "task_time", "wait_per_task", "collisions", "near_misses", "deadlocks")
    for i, name in enumerate(shown):
        y = 0.95 - 0.155 * i
        words, value = figure_text(name, report.figures[name])
        panel.text(0.0, y, words, color="#6B7480", fontsize=9, transform=panel.transAxes)
        panel.text(
            0.98,
            y,
            value,
            color=_INK,
            fontsize=9.5,
            fontweight="bold",
            ha="right",
            transform=panel.transAxes,
        )


def _plain(panel: Any) -> None:
    for side in ("top", "right", "left", "bottom"):
        panel.spines[side].set_visible(False)
    panel.tick_params(colors=_INK, labelsize=8, length=0)
