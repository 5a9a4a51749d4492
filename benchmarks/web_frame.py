"""What one frame of the browser viewer costs: JavaScript's time, and draw calls.

The example plant with 500 and with 5,000 more vehicles, each a prim that moves in every frame, and
10,000 signals that change in every frame, in headless Chromium. JavaScript's time is that of taking
a message in, moving what it says, and handing the picture to WebGL; what the graphics side needs
after that is waited for and not counted (there is no graphics card here). `ours` takes binary
frames by the viewer's own modules. `naive` is written plainly in three.js: one Mesh a primitive, an
object a value in JSON, a Map by path. The figure is the median over the frames after the first.

Before it counts, the first and the last vehicle and signal must hold what was sent last. The limits
are 4 ms and 200 calls.

    python -m benchmarks.web_frame [--frames N] [--vehicles N ...] [--no-peer]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright
from pxr import Usd

import stagetwin  # noqa: F401 - registers the schema before the first stage
from benchmarks._report import Case, report
from stagetwin.scene import Scene, convert_stage
from stagetwin.sync import Frame, Section, SectionKind, encode_frame

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "exts" / "stagetwin.web" / "static"
SIGNALS = 10_000
VEHICLES = (500, 5_000)
WARM = 3
LIMIT_MS = 4.0
LIMIT_CALLS = 200
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
PAGE = (
    "<!doctype html><meta charset=utf-8><style>body{margin:0}canvas{width:400px;height:300px}"
    "</style><canvas id=canvas></canvas><script type=module src=/bench.js></script>"
)
TYPES = {".js": "text/javascript", ".html": "text/html", ".json": "application/json"}


@dataclass
class Plant:
    """A plant to draw, and what is sent of it.

    Attributes:
        manifest: of the scene.
        glbs: by hash.
        movers: rows of vehicles.
        channels: rows of signals.
        poses: shape (frames, vehicles, 7).
        values: shape (frames, signals).
    """

    manifest: dict[str, Any]
    glbs: Mapping[str, bytes]
    movers: list[dict[str, Any]]
    channels: list[dict[str, Any]]
    poses: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]
    messages: dict[str, bytes] = field(default_factory=dict)


def vehicles_of(scene: Scene, count: int, frames: int) -> Plant:
    """Return the plant with vehicles that are prims of one model, and their frames."""
    manifest: dict[str, Any] = json.loads(json.dumps(scene.manifest))
    (fleet,) = manifest["instancers"]
    body = fleet["prototypes"][0][0]["glb"]
    root = next(i for i, node in enumerate(manifest["nodes"]) if node["path"] == "/World/Logistics")
    movers = []
    for n in range(count):
        path = f"/World/Logistics/V{n:04d}"
        node = dict(manifest["nodes"][root], path=path, parent=root, under="", glb=body, kind="")
        manifest["nodes"].append(node)
        movers.append({"path": path, "matrix": node["matrix"]})
    manifest["movers"].extend(movers)
    channels = [
        {
            "path": f"/World/Signals/S{n:05d}.value",
            "prim": f"/World/Signals/S{n:05d}",
            "signal": "value",
            "element": -1,
            "target": f"/World/Signals/S{n:05d}.twin:telemetry:value:value",
            "type": "double",
        }
        for n in range(SIGNALS)
    ]
    step = np.arange(frames)[:, None]
    index = np.arange(count)[None, :]
    angle = 0.02 * step + index * 2.399963
    reach = 4 + 96 * np.sqrt((index + 0.5) / count)
    poses = np.zeros((frames, count, 7))
    poses[..., 0], poses[..., 1] = reach * np.cos(angle), reach * np.sin(angle)
    poses[..., 5], poses[..., 6] = np.sin(angle / 2), np.cos(angle / 2)
    values = np.sin(step * 0.1 + np.arange(SIGNALS)[None, :])
    plant = Plant(manifest, scene.glbs, movers, channels, poses, values)
    encode(plant)
    return plant


def encode(plant: Plant) -> None:
    """Make the messages of both contenders."""
    channels = np.arange(SIGNALS)
    movers = np.arange(len(plant.movers))
    for n, (poses, values) in enumerate(zip(plant.poses, plant.values, strict=True)):
        times = np.full(SIGNALS, -5, np.int32)
        good = np.zeros(SIGNALS, np.uint8)
        sections = [
            Section(SectionKind.FLOAT64, channels, values, times, good),
            Section(SectionKind.MOVER_POSE, movers, poses),
        ]
        since = n  # the first is a snapshot
        plant.messages[f"/frames/{n}.bin"] = encode_frame(
            Frame(1, 1, n + 1, since, 1e9 + n / 30, sections)
        )
        page = {
            "values": [
                {"path": row["path"], "value": value, "time": 1e9 + n / 30, "quality": "good"}
                for row, value in zip(plant.channels, values.tolist(), strict=True)
            ],
            "poses": [
                {"path": row["path"], "position": pose[:3], "orientation": pose[3:]}
                for row, pose in zip(plant.movers, poses.tolist(), strict=True)
            ],
        }
        plant.messages[f"/frames/{n}.json"] = json.dumps(page).encode()


@contextmanager
def served(plant: Plant) -> Iterator[str]:
    """Serve the viewer, a plant and its frames on a free loopback port."""
    given = {
        "/": PAGE.encode(),
        "/bench.js": (Path(__file__).parent / "_web_frame.js").read_bytes(),
        "/scene/manifest.json": json.dumps(plant.manifest).encode(),
        **{f"/scene/glb/{name}.glb": data for name, data in plant.glbs.items()},
        **plant.messages,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            file = STATIC / path.lstrip("/")
            body = given.get(path) or (file.read_bytes() if file.is_file() else None)
            self.send_response(404 if body is None else 200)
            kind = TYPES.get(Path(path).suffix, "text/html" if path == "/" else "model/gltf-binary")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True)
class Outcome:
    """JavaScript's time a frame [ms], draw calls, triangles."""

    time: float
    calls: int
    triangles: int


def measure(contender: str, plant: Plant, frames: int) -> Outcome:
    """Draw some frames in a browser of their own; check what they end with."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "there is no chromium on the PATH"
    with served(plant) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 400, "height": 300})
        page.set_default_timeout(600_000)
        page.on("pageerror", lambda error: print("page:", error))
        page.goto(url)
        page.wait_for_function("() => window.ready")
        got = page.evaluate(
            f"([channels, movers, count]) => {contender}(channels, movers, count)",
            [plant.channels, plant.movers, frames],
        )
        browser.close()
    last = plant.poses[frames - 1]
    np.testing.assert_allclose(got["last"], last[[0, -1], :3], atol=1e-6)
    np.testing.assert_allclose(got["values"], plant.values[frames - 1][[0, -1]], atol=1e-12)
    times = got["times"][WARM:]
    return Outcome(statistics.median(times), got["calls"], got["triangles"])


def _against(peer: float | None, limit: float) -> dict[str, float]:
    return {**({} if peer is None else {"naive": peer}), "limit": limit}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=6, help="frames of ours")
    parser.add_argument("--peer-frames", type=int, default=5, help="frames of the peer")
    parser.add_argument("--vehicles", type=int, nargs="+", default=list(VEHICLES))
    parser.add_argument("--no-peer", action="store_true", help="ours alone")
    options = parser.parse_args()
    scene = convert_stage(Usd.Stage.Open(str(ROOT / "stages" / "factory" / "factory.usda")))
    times: list[Case] = []
    calls: list[Case] = []
    for count in options.vehicles:
        plant = vehicles_of(scene, count, max(options.frames, options.peer_frames))
        found = {"ours": measure("ours", plant, options.frames)}
        if not options.no_peer:
            found["naive"] = measure("naive", plant, options.peer_frames)
        for name, one in found.items():
            print(
                f"{count:>6} vehicles  {name:<6}{one.time:9.2f} ms a frame  {one.calls:>7} calls"
                f"  {one.triangles / 1e6:6.2f} M triangles",
                flush=True,
            )
        ours, peer = found["ours"], found.get("naive")
        case = f"{count} vehicles"
        times.append(Case(case, ours.time, _against(peer.time if peer else None, LIMIT_MS)))
        calls.append(Case(case, ours.calls, _against(peer.calls if peer else None, LIMIT_CALLS)))
        within = ours.time <= LIMIT_MS and ours.calls <= LIMIT_CALLS
        print(
            f"{count:>6} vehicles  {'within' if within else 'BEYOND'} {LIMIT_MS:g} ms and "
            f"{LIMIT_CALLS} calls",
            flush=True,
        )
    report("web_frame_calls", "draw calls a frame", True, calls)
    report("web_frame", "ms of JavaScript a frame", True, times)


if __name__ == "__main__":
    main()
