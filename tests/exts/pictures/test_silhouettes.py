"""Our pictures have the outlines that another renderer's have, through the same cameras."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stagetwin.opening import open_stage
from stagetwin.pictures import PictureRequest, picture
from tests.exts.pictures.pixels import SEEN, Mask, overlap, silhouette
from tests.exts.pictures.zoo import CAMERAS, STAR, smooth_zoo, star, zoo

FACTORY = Path(__file__).parents[3] / "stages" / "factory" / "factory.usda"
AGREED = 0.97

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def ours(stage: Path, camera: str, size: tuple[int, int], seen: int = SEEN) -> Mask:
    """Return our silhouette."""
    request = PictureRequest(camera=camera, transparent=True, samples=1, size=size, timeout=400)
    return silhouette(picture(open_stage(stage), request), seen)


@pytest.fixture(scope="module")
def stills(
    tmp_path_factory: pytest.TempPathFactory, storm_paths: list[str], chromium: str
) -> dict[str, dict[str, Any]]:
    """Storm's stills, by camera; all by one process, for most of its time is its start."""
    folder = tmp_path_factory.mktemp("storm")
    shapes, smooth = zoo(folder / "zoo.usda"), smooth_zoo(folder / "smooth.usda")
    # At 1.0 cages of subdivided meshes stay cages, at 1.2 they are divided as often as ours.
    jobs = [
        *((shapes, camera, 480, 1.0) for camera in CAMERAS),
        (smooth, "/Zoo/Wide", 480, 1.2),
        *((FACTORY, f"/World/Cameras/{name}", 640, 1.0) for name in ("Line1", "Energy")),
    ]
    rows = [
        {"stage": str(stage), "camera": camera, "width": width, "complexity": complexity}
        for stage, camera, width, complexity in jobs
    ]
    for number, row in enumerate(rows):
        row["out"] = str(folder / f"{number}.png")
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            str(Path(__file__).with_name("storm_process.py")),
            *storm_paths,
        ],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {f"{Path(str(row['stage'])).stem} {row['camera']}": row for row in rows}


@pytest.mark.parametrize(
    "still",
    [
        *(f"zoo {camera}" for camera in CAMERAS),
        "smooth /Zoo/Wide",
        "factory /World/Cameras/Line1",
        "factory /World/Cameras/Energy",
    ],
)
def test_silhouettes_agree_with_storm(stills: dict[str, dict[str, Any]], still: str) -> None:
    row = stills[still]
    theirs = silhouette(Path(row["out"]))
    height, width = theirs.shape
    # Without GL Storm writes garbage: it must have drawn something, and not everything.
    assert 0.02 < theirs.mean() < 0.98
    assert overlap(ours(Path(row["stage"]), row["camera"], (width, height)), theirs) >= AGREED


def test_a_concave_polygon_is_filled_as_it_is(tmp_path: Path, chromium: str) -> None:
    # Storm cannot be asked: it makes a fan of it.
    side = 200
    drawn = ours(star(tmp_path / "star.usda"), "/Zoo/Front", (side, side), seen=128)
    ways = (np.arange(side) + 0.5) / side * 5 - 2.5
    assert overlap(drawn, _inside(STAR, *np.meshgrid(ways, -ways))) >= AGREED


def _inside(corners: tuple[tuple[float, float], ...], x: Any, z: Any) -> Mask:
    """Return which points are within a polygon: a ray crosses its sides an odd number of times."""
    within = np.zeros(x.shape, bool)
    for (x0, z0), (x1, z1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if z0 != z1:
            within ^= ((z0 > z) != (z1 > z)) & (x < x0 + (z - z0) / (z1 - z0) * (x1 - x0))
    return within
