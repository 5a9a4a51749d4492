"""A picture of a stage: converted, served to a browser, drawn, and taken back."""

from __future__ import annotations

import datetime
import time as clock
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

from pxr import Usd

from stagetwin._errors import PictureError
from stagetwin._text import plain_text
from stagetwin.pictures._browser import Browser, find_browser
from stagetwin.pictures._labels import labels_of, newest_time
from stagetwin.pictures._lens import camera_of, first_camera, shape_of
from stagetwin.pictures._png import with_texts
from stagetwin.pictures._request import LARGEST, PictureRequest, Viewpoint
from stagetwin.pictures._site import PictureSite
from stagetwin.scene import Scene, convert_stage

__all__ = ["picture"]

WIDTH, HEIGHT = 1600, 900


def picture(stage: Usd.Stage, request: PictureRequest | None = None) -> bytes:
    """Draw a stage, and wait until it is drawn.

    Needs Chromium and no GPU. Call it on the thread that owns the stage; the stage is only read.

    Args:
        stage: with whatever values are on it.
        request: what to draw; all of the stage, as its first camera sees it, where none is given.

    Returns:
        A PNG with the texts `Title`, `Stage`, `Camera`, `Creation Time` and, where values are
        shown or a time code was asked for, `Time`.

    Raises:
        PictureError: something that was asked for is not there, there is no Chromium, it fails, or
            it takes too long.
    """
    request = request if request is not None else PictureRequest()
    program = find_browser(request.browser)
    code = Usd.TimeCode(request.time) if request.time is not None else None
    read_at = code if code is not None else Usd.TimeCode(stage.GetStartTimeCode())
    for path in request.select:
        if not path.startswith("/") or not stage.GetPrimAtPath(path.partition("[")[0]):
            raise PictureError(f"there is no prim {path} to select")
    camera = _camera(stage, request, read_at)
    size = _size(request, camera)
    scene = convert_stage(stage, code)
    if scene.manifest["stage"]["bounds"] is None:
        why = f"; {scene.problems[0]}" if scene.problems else ""
        raise PictureError(f"nothing on {_name(stage)} can be drawn{why}")
    title = plain_text(request.title or _name(stage))
    taken = newest_time(stage) if request.values else None
    said = _said(request, taken)
    wanted = {
        "camera": {**camera, "sections": [asdict(each) for each in request.sections]},
        "size": size,
        "theme": request.theme,
        "transparent": request.transparent,
        "grid": request.grid,
        "samples": request.samples,
        "select": list(request.select),
        "labels": labels_of(stage, read_at) if request.values else [],
        "most": request.most_labels,
        "caption": " · ".join(filter(None, (title, said))) if request.values else "",
    }
    png = _drawn(scene, wanted, program, request)
    texts = {
        "Title": title,
        "Stage": plain_text(stage.GetRootLayer().GetDisplayName()),
        "Camera": camera.get("path") or camera.get("side") or f"{request.camera}",
        "Time": said,
        "Creation Time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "Software": "stagetwin",
    }
    return with_texts(png, texts)


def _name(stage: Usd.Stage) -> str:
    return PurePath(stage.GetRootLayer().GetDisplayName()).stem


def _said(request: PictureRequest, taken: datetime.datetime | None) -> str:
    if request.time is not None:
        return f"time code {request.time:g}"
    return f"{taken:%Y-%m-%d %H:%M:%S} UTC" if taken is not None else ""


def _camera(stage: Usd.Stage, request: PictureRequest, time: Usd.TimeCode) -> dict[str, Any]:
    camera = request.camera
    if isinstance(camera, Viewpoint):
        return asdict(camera)
    camera = camera or first_camera(stage)
    return camera_of(stage, camera, time) if camera.startswith("/") else {"side": camera or "iso"}


def _size(request: PictureRequest, camera: dict[str, Any]) -> tuple[int, int]:
    if request.size is not None:
        return request.size
    if "lens" not in camera:
        return WIDTH, HEIGHT
    height = round(WIDTH / shape_of(camera))
    if not 16 <= height <= LARGEST:
        raise PictureError(
            f"{camera['path']} sees {shape_of(camera):g} times as wide as high: name a size"
        )
    return WIDTH, height


def _drawn(scene: Scene, wanted: dict[str, Any], program: str, request: PictureRequest) -> bytes:
    site = PictureSite(scene, wanted)
    try:
        browser = Browser(program, request.sandbox)
        try:
            browser.open(site.url)
            _wait(site, browser, request.timeout)
        finally:
            browser.close()
    finally:
        site.close()
    if site.failure:
        raise PictureError(f"the page cannot draw the picture: {plain_text(site.failure)}")
    assert site.picture is not None
    return site.picture


def _wait(site: PictureSite, browser: Browser, timeout: float) -> None:
    stop = clock.monotonic() + timeout
    while not site.answered.wait(0.05):
        if refusal := browser.refusal():
            raise PictureError(f"Chromium does not open the page: {refusal}")
        if browser.ended:
            raise PictureError(f"Chromium ended by itself: {browser.words() or 'it says nothing'}")
        if clock.monotonic() > stop:
            words = browser.words()
            said = f"; it said: {words}" if words else ""
            raise PictureError(f"Chromium has drawn nothing in {timeout:g} s{said}")
