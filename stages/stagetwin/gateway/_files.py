"""The viewer's files: read once, each with a tag of its content."""

from __future__ import annotations

import base64
import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from stagetwin._viewer import viewer_folder
from stagetwin.gateway._problems import no_content

__all__ = ["Files", "takes_gzip", "viewer_folder"]

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}

_PACKED = re.compile(r"text/|application/(json|manifest\+json|wasm)|image/svg")

_IMPORT_MAP = re.compile(rb"<script[^>]*type=.importmap.[^>]*>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    packed: bytes
    tag: str
    media_type: str
    stamp: tuple[int, int]


class Files:
    """Files of a folder by their path in it; nothing outside of it, and nothing hidden.

    Attributes:
        import_maps: hashes of the inline import maps of its pages.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, _File] = {}
        self.import_maps: list[str] = []
        if folder is not None:
            for page in sorted(folder.glob("*.html")):
                maps = _IMPORT_MAP.findall(page.read_bytes())
                self.import_maps += [_hash(found) for found in maps]

    def find(self, name: str) -> bool:
        """Tell whether there is such a file."""
        return self._file(name) is not None

    def response(self, name: str, request: Request) -> Response | None:
        """Return a file as a response, None if there is none."""
        file = self._file(name)
        if file is None:
            return None
        # No file has its version in its path: each is asked for again, and answered by its tag.
        headers = {"ETag": file.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if file.tag in request.headers.get("if-none-match", ""):
            response = no_content(headers)
            response.status_code = 304
            return response
        data = file.data
        if file.packed and takes_gzip(request):
            data = file.packed
            headers["Content-Encoding"] = "gzip"
        return Response(data, 200, headers, file.media_type)

    def _file(self, name: str) -> _File | None:
        if self._folder is None or any(part.startswith(".") for part in name.split("/")):
            return None
        path = self._folder / name
        try:
            status = path.stat()
            inside = path.resolve().is_relative_to(self._folder.resolve())
            if not inside or not path.is_file():
                return None
            stamp = (status.st_mtime_ns, status.st_size)
            known = self._known.get(name)
            if known is None or known.stamp != stamp:
                data = path.read_bytes()
                # Weak: packed and plain are one file.
                tag = f'W/"{hashlib.sha256(data).hexdigest()[:32]}"'
                media_type = _type_of(path)
                packed = gzip.compress(data, 6) if _PACKED.match(media_type) else b""
                known = self._known[name] = _File(data, packed, tag, media_type, stamp)
            return known
        except (OSError, ValueError):
            return None


def takes_gzip(request: Request) -> bool:
    """Tell whether whoever asks unpacks what is packed."""
    return "gzip" in request.headers.get("accept-encoding", "")


def _type_of(path: Path) -> str:
    guessed = mimetypes.guess_type(path.name)[0]
    return _TYPES.get(path.suffix.lower()) or guessed or "application/octet-stream"


def _hash(text: bytes) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}"
