"""What cannot be pictured is said, and no browser outlives its picture."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from pxr import UsdGeom

from stagetwin import PictureError
from stagetwin.pictures import PictureRequest, Section, picture
from stagetwin.pictures._png import with_texts
from stagetwin.pictures._site import PictureSite
from stagetwin.scene import convert_stage
from tests.exts.pictures.subjects import cube_stage
from tests.stages.plants import HEADER, prim, stage_of

pytestmark = pytest.mark.timeout(900)

WITHIN = 300.0
"""Time for a picture on a loaded machine [s]."""


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"camera": "/World/Nowhere"}, "no camera /World/Nowhere: there are /World/Eye"),
        ({"camera": "/World/Cube"}, "/World/Cube is a Cube, no camera"),
        ({"select": ("/World/Nowhere",)}, "no prim /World/Nowhere to select"),
        ({"browser": Path("/nowhere/chromium")}, "no program /nowhere/chromium"),
    ],
)
def test_what_is_not_there_is_said(chromium: str, how: dict[str, object], words: str) -> None:
    with pytest.raises(PictureError, match=words):
        picture(cube_stage(), PictureRequest(**how))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"camera": "above"}, "the path of a camera, fit, iso"),
        ({"size": (9000, 10)}, r"a side must be in \[16, 8192\] px, got 9000"),
        ({"theme": "pink"}, "theme must be light, dark; got 'pink'"),
        ({"samples": 9}, "samples must be in"),
        ({"time": float("nan")}, "time must be a time code"),
        ({"sections": (Section((0, 0, 0), (0, 0, 1)),) * 7}, "6 sections at most"),
    ],
)
def test_a_wrong_request_is_refused(how: dict[str, object], words: str) -> None:
    with pytest.raises(PictureError, match=words):
        PictureRequest(**how)  # type: ignore[arg-type]


def test_an_unusable_camera_and_an_empty_stage_are_refused(chromium: str) -> None:
    stage = cube_stage()
    UsdGeom.Camera(stage.GetPrimAtPath("/World/Eye")).CreateFocalLengthAttr(float("nan"))
    with pytest.raises(PictureError, match="/World/Eye: its aperture, focal length"):
        picture(stage, PictureRequest())
    with pytest.raises(PictureError, match="can be drawn"):
        picture(stage_of(HEADER + prim("World")), PictureRequest())


def test_without_chromium_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PictureError, match="apt-get install chromium"):
        picture(cube_stage(), PictureRequest())


def script(folder: Path, text: str) -> Path:
    path = folder / "browser"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_browser_that_ends_is_quoted(tmp_path: Path) -> None:
    browser = script(tmp_path, "echo 'no usable sandbox' >&2; exit 3")
    with pytest.raises(PictureError, match="ended by itself: no usable sandbox"):
        picture(cube_stage(), PictureRequest(browser=browser, timeout=60))


def test_a_browser_that_hangs_is_ended_with_all_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    browser = script(
        tmp_path, f"trap '' TERM; sleep 600 & echo $! > {tmp_path}/child; echo stuck >&2; sleep 600"
    )
    with pytest.raises(PictureError, match="drawn nothing in 1 s; it said: stuck"):
        picture(cube_stage(), PictureRequest(browser=browser, timeout=1))
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 30
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "its child still runs"
        time.sleep(0.02)
    assert [path.name for path in tmp_path.glob("stagetwin-picture-*")] == []


def test_the_pages_own_error_is_told_and_nothing_stays(
    chromium: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stage = cube_stage()
    UsdGeom.Xform.Define(stage, "/World/Empty")
    request = PictureRequest(camera="iso", select=("/World/Empty",), timeout=WITHIN)
    with pytest.raises(PictureError, match="page cannot draw the picture: nothing is drawn of"):
        picture(stage, request)
    assert list(tmp_path.iterdir()) == []
    left = [each for each in psutil.Process().children() if "chrom" in each.name()]
    assert left == []


def test_what_is_no_png_is_refused() -> None:
    with pytest.raises(PictureError, match="4 bytes that are no PNG"):
        with_texts(b"what", {})


@pytest.mark.parametrize(
    ("method", "path", "host", "status"),
    [
        ("GET", "{secret}/picture.html", None, 200),
        ("GET", "{secret}/js/scene/view.js", None, 200),
        ("GET", "{secret}/request.json", None, 200),
        ("GET", "{secret}/picture.html", "elsewhere.example", 404),
        ("GET", "guessed/picture.html", None, 404),
        ("GET", "picture.html", None, 404),
        ("GET", "{secret}/../API.md", None, 404),
        ("GET", "{secret}//etc/passwd", None, 404),
        ("GET", "{secret}/scene/glb/0.glb", None, 404),
        ("POST", "guessed/picture.png", None, 404),
        ("POST", "{secret}/other", None, 404),
    ],
)
def test_the_site_answers_its_own_page_alone(
    method: str, path: str, host: str | None, status: int
) -> None:
    site = PictureSite(convert_stage(cube_stage()), {})
    try:
        secret = site.url.split("/")[3]
        asked = http.client.HTTPConnection(site.host, timeout=60)
        headers = {"Host": host} if host else {}
        asked.request(method, "/" + path.format(secret=secret), b"body", headers)
        answer = asked.getresponse()
        answer.read()
        asked.close()
        assert answer.status == status
        assert not site.answered.is_set()
    finally:
        site.close()


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stagetwin", "picture", *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line_says_what_is_wrong(tmp_path: Path) -> None:
    missing = run(str(tmp_path / "none.usda"))
    assert (missing.returncode, "cannot open" in missing.stderr) == (2, True)
    wrong = run(str(tmp_path / "none.usda"), "-o", "picture.jpg")
    assert (wrong.returncode, "is a .png, got 'picture.jpg'" in wrong.stderr) == (2, True)


def test_a_browser_ends_with_a_program_that_is_killed(chromium: str, tmp_path: Path) -> None:
    stage, cube = tmp_path / "cube.usda", cube_stage()
    cube.GetRootLayer().Export(str(stage))
    (tmp_path / "tmp").mkdir()
    words = ("-m", "stagetwin", "picture", str(stage), "-o", str(tmp_path / "out.png"))
    asker = subprocess.Popen(
        [sys.executable, *words, "--size", "8000x4000"],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    )
    mark = str(tmp_path / "tmp")

    def browsers() -> list[int]:
        return [
            each.pid
            for each in psutil.process_iter(["cmdline"])
            if any(mark in word for word in each.info["cmdline"] or ())
        ]

    _wait_for(lambda: len(browsers()) > 1)
    asker.send_signal(signal.SIGKILL)
    asker.wait()
    _wait_for(lambda: not browsers())


def _wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN
    while not what():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)
