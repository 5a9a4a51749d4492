"""A site on loopback for one picture: the viewer's files, the scene, and where the picture goes."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from stagetwin._errors import PictureError
from stagetwin._viewer import viewer_folder
from stagetwin.scene import Scene

__all__ = ["PictureSite"]

MAX_PICTURE = 512 << 20
MAX_WORDS = 4_000

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'"


class PictureSite:
    """Serves one scene to one page, under a path that nobody can guess.

    Args:
        scene: what is drawn.
        wanted: the request, as `picture.js` takes it.

    Attributes:
        url: address of the page.
        answered: set when the page has handed over the picture, or said why it cannot.
        picture: PNG, None until then.
        failure: why there is none.

    Raises:
        PictureError: this installation has no viewer.
    """

    def __init__(self, scene: Scene, wanted: Mapping[str, Any]) -> None:
        folder = viewer_folder()
        if folder is None or not (folder / "picture.html").is_file():
            raise PictureError("the browser viewer is not part of this installation")
        self._folder = folder.resolve()
        self._scene = scene
        self._made = {
            "request.json": json.dumps(wanted).encode(),
            "scene/manifest.json": json.dumps(scene.manifest).encode(),
        }
        self._secret = secrets.token_urlsafe(24)
        self.answered = threading.Event()
        self.picture: bytes | None = None
        self.failure = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}/{self._secret}/picture.html"
        self._thread = threading.Thread(target=self._server.serve_forever, name="picture-site")
        self._thread.start()

    def close(self) -> None:
        """End the site."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def inner(self, path: str, host: str) -> str | None:
        """Return what of a path comes after the secret; None for whoever does not know it."""
        secret, _, name = path.lstrip("/").partition("/")
        known = hmac.compare_digest(secret.encode(), self._secret.encode())
        return name if known and host == self.host else None

    def file(self, name: str) -> tuple[bytes, str] | None:
        """Return what a name stands for, and its media type."""
        if name in self._made:
            return self._made[name], "application/json"
        if name.startswith("scene/glb/"):
            glb = self._scene.glbs.get(name.removeprefix("scene/glb/").removesuffix(".glb"))
            return (glb, "model/gltf-binary") if glb is not None else None
        path = Path(self._folder, name).resolve()
        if not path.is_relative_to(self._folder) or path.suffix not in _TYPES or not path.is_file():
            return None
        return path.read_bytes(), _TYPES[path.suffix]

    def take(self, name: str, body: bytes) -> bool:
        """Take what the page hands over; the first word counts."""
        if name not in ("picture.png", "failed"):
            return False
        if not self.answered.is_set():
            if name == "picture.png":
                self.picture = body
            else:
                self.failure = body[:MAX_WORDS].decode(errors="replace")
            self.answered.set()
        return True


def _handler(site: PictureSite) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            name = self._name()
            found = site.file(name) if name is not None else None
            self._answer(200 if found else 404, *(found or (b"", "text/plain")))

        def do_POST(self) -> None:
            name = self._name()
            size = self.headers.get("Content-Length", "")
            self.close_connection = True
            if name is None or not size.isdigit() or int(size) > MAX_PICTURE:
                self._answer(404, b"", "text/plain")
                return
            body = self.rfile.read(int(size))
            whole = len(body) == int(size)
            self._answer(204 if whole and site.take(name, body) else 404, b"", "text/plain")

        def _name(self) -> str | None:
            return site.inner(self.path.partition("?")[0], self.headers.get("Host", ""))

        def _answer(self, status: int, body: bytes, media_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", _POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: the path is a secret."""

    return Handler
