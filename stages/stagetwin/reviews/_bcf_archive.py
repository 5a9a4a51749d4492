"""Archives from elsewhere, opened with suspicion: bounded, nothing expanded, nothing extracted."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from xml.etree import ElementTree as Tree
from xml.parsers import expat

from stagetwin._errors import ReviewError

__all__ = ["MAX_ARCHIVE", "Archive", "parse_xml"]

MAX_ARCHIVE = 11 * 2**20
"""As base64 it must fit a line of the control socket [bytes]."""
MAX_ENTRIES = 5000
MAX_ENTRY = 4 * 2**20
MAX_TOTAL = 64 * 2**20
MAX_ELEMENTS = 300_000
"""Elements and attributes of all documents of an archive."""
MAX_DEPTH = 32

_NAME = re.compile(r"[^\x00-\x1f\\:]+")


class Archive:
    """Files of a zip, by name; read one by one, within bounds."""

    def __init__(self, data: bytes) -> None:
        """Look at the list of files.

        Raises:
            ReviewError: it is no zip, too large, or holds names that lead elsewhere.
        """
        if len(data) > MAX_ARCHIVE:
            raise ReviewError(f"an archive has at most {MAX_ARCHIVE} bytes, got {len(data)}")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            entries = self._zip.infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise ReviewError(f"that is no BCF archive: {error}") from None
        if len(entries) > MAX_ENTRIES:
            raise ReviewError(f"an archive has at most {MAX_ENTRIES} files, got {len(entries)}")
        self._read = 0
        self._elements = MAX_ELEMENTS
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            name = entry.filename
            parts = name.rstrip("/").split("/")
            if not _NAME.fullmatch(name) or name.startswith("/") or {"", ".", ".."} & set(parts):
                raise ReviewError(f"an archive's file leads elsewhere: {name!r:.120}")
            if name in self._entries:
                raise ReviewError(f"an archive holds a file twice: {name!r:.120}")
            self._entries[name] = entry

    def names(self) -> list[str]:
        """Return the names of the files, folders left out."""
        return [name for name in self._entries if not name.endswith("/")]

    def read(self, name: str) -> bytes:
        """Return a file.

        Raises:
            ReviewError: there is none, it is too large, or it cannot be read.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise ReviewError(f"the archive has no file {name!r:.120}")
        if entry.flag_bits & 1 or entry.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise ReviewError(f"{name!r:.120} is encrypted or packed in an unknown way")
        try:
            with self._zip.open(entry) as file:
                # What the list says of its size may be a lie.
                data = file.read(MAX_ENTRY + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
            raise ReviewError(f"{name!r:.120} cannot be read: {error}") from None
        self._read += len(data)
        if len(data) > MAX_ENTRY or self._read > MAX_TOTAL:
            raise ReviewError(f"{name!r:.120} has more than {MAX_ENTRY} bytes, or all too many")
        return data

    def xml(self, name: str) -> Tree.Element:
        """Return the root element of a document.

        Raises:
            ReviewError: see `read` and `parse_xml`; all documents share one bound.
        """
        builder = _Builder(f"{name!r:.120}", self._elements)
        root = builder.parse(self.read(name))
        self._elements = builder.left
        return root


class _Builder:
    """Builds a tree within bounds; a document type or an entity ends it."""

    def __init__(self, what: str, left: int) -> None:
        self._what = what
        self.left = left
        self._tree = Tree.TreeBuilder()
        self._depth = 0
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True  # else each line is a call, and lines may be millions
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._tree.data

    def _refuse(self, *_declared: object) -> None:
        raise ReviewError(f"{self._what} declares a document type or an entity")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self.left -= 1 + len(attributes)
        if self._depth > MAX_DEPTH or self.left < 0:
            raise ReviewError(f"{self._what} has too many elements")
        self._tree.start(name, attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._tree.end(name)

    def parse(self, data: bytes) -> Tree.Element:
        try:
            self._parser.Parse(data, True)
            return self._tree.close()
        except (expat.ExpatError, ValueError, AssertionError) as error:
            raise ReviewError(f"{self._what} is no XML: {error}") from None


def parse_xml(data: bytes, what: str) -> Tree.Element:
    """Return the root element of a document.

    Raises:
        ReviewError: it is no XML, too large, or declares what could grow or lead elsewhere.
    """
    return _Builder(f"{what!r:.120}", MAX_ELEMENTS).parse(data)
