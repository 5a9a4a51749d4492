"""A still is the stage: pixels are where USD's own cameras put them, and values are written."""

from __future__ import annotations

import asyncio
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom

from stagetwin.opening import open_stage
from stagetwin.pictures import PictureRequest, Section, Viewpoint, picture
from stagetwin.pictures._labels import labels_of, value_text
from stagetwin.pictures._png import SIGNATURE
from stagetwin.service import Service, ServiceConfig
from stagetwin.soft import soft_bridge
from tests.exts.pictures.pixels import Pixels, pixels_of
from tests.exts.pictures.subjects import PUMP, cube_stage, pump_stage
from tests.stages.plants import HEADER, connection, prim

WITHIN = 300.0
"""Time for a picture on a loaded machine [s]."""

pytestmark = pytest.mark.timeout(900)


def projected(stage: Usd.Stage, width: int, height: int) -> list[float]:
    """Return left, top, right and bottom of the cube in a picture [px], by USD's own frustum."""
    camera = UsdGeom.Camera(stage.GetPrimAtPath("/World/Eye")).GetCamera(Usd.TimeCode.Default())
    frustum = camera.frustum
    matrix = frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()
    shape = frustum.ComputeAspectRatio()
    # All that the camera sees is in the picture.
    wide, tall = min(1.0, shape * height / width), min(1.0, width / height / shape)
    cube = stage.GetPrimAtPath("/World/Cube")
    cache = UsdGeom.BBoxCache(Usd.TimeCode.Default(), ["default"])
    box = cache.ComputeWorldBound(cube).ComputeAlignedRange()
    places = [matrix.Transform(box.GetCorner(i)) for i in range(8)]
    xs = [(place[0] * wide + 1) / 2 * width for place in places]
    ys = [(1 - place[1] * tall) / 2 * height for place in places]
    return [min(xs), min(ys), max(xs), max(ys)]


def drawn(stage: Usd.Stage, **how: object) -> Pixels:
    """Return a small picture's pixels."""
    how = {"size": (300, 200), "samples": 1.0, "timeout": WITHIN} | how
    return pixels_of(picture(stage, PictureRequest(**how)))  # type: ignore[arg-type]


def box_of(mask: np.ndarray) -> list[int]:
    """Return left, top, right and bottom of what is set."""
    ys, xs = np.nonzero(mask)
    return [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]


def is_red(pixels: Pixels) -> np.ndarray:
    """Return where a picture is red."""
    channels = pixels.astype(int)
    return (channels[..., 0] > 60) & (channels[..., 0] > 2 * channels[..., 1:3].max(axis=-1))


# -- cameras


def test_a_cube_covers_its_projected_rectangle(chromium: str) -> None:
    stage, size = cube_stage(), (400, 160)
    pixels = drawn(stage, size=size, camera="/World/Eye")
    assert pixels.shape == (size[1], size[0], 4)
    red = is_red(pixels)
    expected = projected(stage, *size)
    assert box_of(red) == pytest.approx(expected, abs=1.5)
    # Seen nearly from the front, the cube fills all of its rectangle but slim corners.
    left, top, right, bottom = (round(side) for side in expected)
    assert red[top + 2 : bottom - 2, left + 2 : right - 2].mean() > 0.85


def test_a_picture_has_its_cameras_shape_and_two_runs_are_equal(chromium: str) -> None:
    stage = cube_stage()
    request = PictureRequest(samples=1, timeout=WITHIN)
    first, second = (pixels_of(picture(stage, request)).astype(int) for _ in range(2))
    assert first.shape == (1067, 1600, 4)
    assert np.abs(first - second).max() <= 2
    red = is_red(first.astype(np.uint8))
    assert box_of(red) == pytest.approx(projected(stage, 1600, 1067), abs=2)


def test_a_place_a_section_and_the_dark(chromium: str) -> None:
    stage = cube_stage()
    request = {
        "camera": Viewpoint(position=(120, 50, 400), target=(120, 50, 0), fov=30),
        # Cuts away the upper half.
        "sections": (Section(point=(0, 50, 0), normal=(0, 1, 0)),),
        "theme": "dark",
        "size": (200, 200),
    }
    pixels = drawn(stage, **request)
    left, top, right, bottom = box_of(is_red(pixels))
    half = 100 * 50 / (350 * np.tan(np.radians(15)))
    assert (left, right, bottom) == pytest.approx((100 - half, 100 + half, 100 + half), abs=2)
    # Above the cut only the hollow's far wall could be seen, and the eye is level with the cut.
    assert top >= 97
    assert pixels[5, 5, :3].max() < 90


# -- values


def test_labels_say_what_the_stage_says() -> None:
    (label,) = labels_of(pump_stage(), Usd.TimeCode.Default())
    assert (label["path"], label["name"], label["alarm"], label["more"]) == (
        *("/World/Pump", "Pump", ""),
        0,
    )
    assert label["rows"] == [
        {"name": "flow", "value": "41.5", "unit": "m³/h", "quality": "good"},
        {"name": "running", "value": "yes", "unit": "", "quality": ""},
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (1234567, "1,234,567"),
        (0.25, "0.25"),
        (72.0, "72"),
        (2281.4, "2,281"),
        (-48.1196, "-48.12"),
        (0.0, "0"),
        (3.2e-7, "3.200e-07"),
        (float("nan"), ""),
        (None, ""),
        ("x" * 40, "x" * 23 + "…"),
        ("a\x1bb", "a�b"),
        ([1, 2, 3], "(1, 2, 3)"),
        ([1] * 16, ""),
    ],
)
def test_values_are_written_short_or_not_at_all(value: object, text: str) -> None:
    assert value_text(value) == text


def test_values_are_written_beside_their_asset(chromium: str) -> None:
    how = {"camera": "iso", "size": (480, 300)}
    bare = drawn(pump_stage(), **how).astype(int)
    good = drawn(pump_stage(), values=True, **how).astype(int)
    other = drawn(pump_stage(12.5, "bad"), values=True, **how).astype(int)
    card = np.abs(good - bare).max(axis=-1) > 8
    # A card of three lines beside or above the pump, its leader, and the caption in the corner.
    assert 40 < card.sum() < 0.4 * card.size
    assert card[285:, :40].mean() > 0.5
    changed = np.abs(other - good).max(axis=-1) > 8
    assert changed.any()
    # Only what is on the card has changed: the number, of as many digits, and its quality.
    left, top, right, bottom = box_of(card[:275])
    inner = box_of(changed)
    assert left <= inner[0] < inner[2] <= right
    assert top <= inner[1] < inner[3] <= bottom
    assert inner[3] - inner[1] < 20
    # A bad value is red on the card, and a good one is not.
    bad = np.array((163, 22, 31))
    near = [int((np.abs(each[..., :3] - bad).max(axis=-1) < 40).sum()) for each in (good, other)]
    assert near[1] > near[0] + 10


def texts_of(png: bytes) -> dict[str, str]:
    """Return the texts of a PNG whose chunks are sound."""
    assert png.startswith(SIGNATURE)
    found, at = {}, len(SIGNATURE)
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        (check,) = struct.unpack(">I", png[at + 8 + size : at + 12 + size])
        assert zlib.crc32(kind + body) == check
        if kind == b"iTXt":
            keyword, _, text = body.partition(b"\0")
            assert text.startswith(b"\0\0\0\0")
            found[keyword.decode()] = text[4:].decode()
        at += 12 + size
    return found


# -- the command line


def test_a_running_service_is_drawn_as_it_is(chromium: str, tmp_path: Path) -> None:
    endpoint = f"soft://{tmp_path.name}"
    stage = tmp_path / "plant.usda"
    # Two posts keep the bounds as they are when the pump moves.
    posts = "".join(
        prim(
            f"Post{x + 9}",
            f"double3 xformOp:translate = ({x}, 0, 0)\n"
            'uniform token[] xformOpOrder = ["xformOp:translate"]\n',
            type_name="Cube",
        )
        for x in (-9, 9)
    )
    body = prim("World", prim("Pump", *PUMP), posts)
    stage.write_text(HEADER + connection(endpoint=endpoint) + body, encoding="utf-8")
    out = tmp_path / "live.png"

    async def scenario(socket: Path) -> tuple[int, str]:
        service = Service(
            ServiceConfig(stage=stage, socket=socket, state_dir=tmp_path / "state", in_process=True)
        )
        running = asyncio.create_task(service.run())
        try:
            await until(lambda: service.ready.is_set() or running.done())
            await until(lambda: service.status()["connections"]["line"]["state"] == "online")
            soft_bridge(tmp_path.name).send("flow", 12.25)
            soft_bridge(tmp_path.name).send("place", [5.0, 0.0, 0.0])
            attribute = service.twin.stage.GetAttributeAtPath("/World/Pump.xformOp:translate")
            await until(lambda: attribute.Get() == Gf.Vec3d(5, 0, 0))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "stagetwin", "picture", str(stage), "--live", "--values"),
                *("--camera", "front", "--size", "480x240", "-o", str(out)),
                *("--socket", str(socket), "--timeout", str(WITHIN)),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said, _ = await process.communicate()
            return process.returncode or 0, said.decode()
        finally:
            service.stop()
            await running

    async def until(what: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not what():
                await asyncio.sleep(0.02)

    with tempfile.TemporaryDirectory() as folder:
        status, said = asyncio.run(scenario(Path(folder) / "s.sock"))
    assert (status, "live.png" in said) == (0, True), said
    texts = texts_of(out.read_bytes())
    assert (texts["Title"], texts["Stage"], texts["Camera"]) == ("plant", "plant.usdc", "front")
    assert texts["Time"].endswith("UTC")
    pixels = pixels_of(out)
    left, _, right, _ = box_of(is_red(pixels))
    # Half way from the middle to the right post, where the pump is now; -9 to 9 fill 84 % at most.
    assert (left + right) / 2 == pytest.approx(240 + 5 * (right - left) / 2, rel=0.1)
    assert open_stage(stage).GetAttributeAtPath("/World/Pump.xformOp:translate").Get() == Gf.Vec3d(
        0
    )
