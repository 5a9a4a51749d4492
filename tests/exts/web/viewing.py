"""A site that serves the viewer with converted scenes, and a browser that looks at it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Page, sync_playwright
from pxr import Usd

from stagetwin.scene import Scene, convert_stage

STATIC = Path(__file__).parents[3] / "exts" / "stagetwin.web" / "static"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
POLICY = "default-src 'none'; " + "; ".join(
    f"{kind}-src 'self'" for kind in ("script", "style", "connect", "img")
)
TYPES = {".js": "text/javascript", ".html": "text/html", ".css": "text/css", ".json": "text/json"}
PAGES = {
    "/look.html": (
        "<!doctype html><meta charset=utf-8><link rel=icon href=/none.svg>"
        "<link rel=stylesheet href=/look.css><canvas id=canvas></canvas>"
        "<script type=module src=/look.js></script>"
    ),
    "/look.css": "html,body{margin:0}canvas{width:100vw;height:100vh;display:block}",
    "/look.js": """
import { View } from "/js/scene/view.js";
import { decodeFrame } from "/js/core/frames.js";
const view = new View(document.getElementById("canvas"), View.optionsFrom(location.search));
const fetched = [];
const glb = async (hash) => {
  fetched.push(hash);
  return (await fetch(`/scene/glb/${hash}.glb`)).arrayBuffer();
};
window.load = async (epoch) => {
  const answer = await fetch(`/scene/manifest.json?${epoch ?? ""}`);
  await view.load(await answer.json(), glb);
};
window.frame = (text) => {
  view.feed.apply(decodeFrame(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer));
  return view.idle();
};
window.fetched = fetched;
view.expose();
window.begun = true;
""",
    "/none.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
}


class Site:
    """Serves the viewer's files and one scene; loopback only.

    Attributes:
        scene: what is served; may be replaced.
        port: where.
    """

    def __init__(self) -> None:
        self.scene: Scene | None = None
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = site.answer(self.path.split("?")[0])
                self.send_response(200 if found else 404)
                body, kind = found or (b"", "text/plain")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Security-Policy", POLICY)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="site")
        self._thread.start()

    def show(self, stage: Usd.Stage, epoch: int = 1, **how: Any) -> dict[str, Any]:
        """Convert a stage and serve it; return its manifest."""
        self.scene = convert_stage(stage, **how)
        manifest = {**self.scene.manifest, "epoch": epoch}
        self.manifest = manifest
        return manifest

    def answer(self, path: str) -> tuple[bytes, str] | None:
        """The body and its type."""
        if path in PAGES:
            return PAGES[path].encode(), TYPES.get(Path(path).suffix, "image/svg+xml")
        if path == "/scene/manifest.json":
            return json.dumps(self.manifest).encode(), "application/json"
        if path.startswith("/scene/glb/") and self.scene is not None:
            data = self.scene.glbs.get(Path(path).stem)
            return (data, "model/gltf-binary") if data else None
        file = (STATIC / path.lstrip("/")).resolve()
        if not file.is_relative_to(STATIC) or not file.is_file():
            return None
        return file.read_bytes(), TYPES.get(file.suffix, "application/octet-stream")

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def looking(site: Site, width: int = 320, height: int = 240, query: str = "") -> Iterator[Page]:
    """Open the viewer's picture in a headless browser; faults of the page fail the test."""
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing; .ci/system-parts browser brings it")
        pytest.skip("chromium is not on the PATH")
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda message: faults.append(message.text) if message.type == "error" else None,
        )
        page.goto(
            f"http://127.0.0.1:{site.port}/look.html?test=1&aa=0&shadows=0&smooth=0&dpr=1{query}"
        )
        page.wait_for_function("() => window.begun === true")
        yield page
        browser.close()
    assert faults == [], faults


def load(page: Page) -> None:
    """Draw the scene that the site serves now."""
    page.evaluate("async () => { await window.load(); await stagetwin.idle(); }")


def begin(page: Page) -> None:
    """Take back whatever a test before did to the picture, and draw the scene served now."""
    page.evaluate(
        """() => {
          const { view } = stagetwin;
          view.select(null);
          view.clearTints();
          view.sections.clear();
          view.sections.showHandles = true;
          view.isolate(null);
          for (const path of view.hidden) view.show(path);
          view.setPurposes({ guide: false, proxy: false });
          view.setShowInvisible(false);
          view.feed.setTable([], []);
          view.setGrid(false);
        }"""
    )
    load(page)


PIXELS = """async () => {
  await stagetwin.idle();
  const gl = stagetwin.view.picture.renderer.getContext();
  const [w, h] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
  const data = new Uint8Array(4 * w * h);
  gl.readPixels(0, 0, w, h, gl.RGBA, gl.UNSIGNED_BYTE, data);
  let text = "";
  for (let i = 0; i < data.length; i += 8192) {
    text += String.fromCharCode(...data.subarray(i, i + 8192));
  }
  return [w, h, btoa(text)];
}"""


def pixels(page: Page) -> npt.NDArray[np.int16]:
    """The picture, top row first; shape (height, width, 3)."""
    width, height, text = page.evaluate(PIXELS)
    data = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
    return data[::-1, :, :3].astype(np.int16)
