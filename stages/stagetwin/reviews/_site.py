"""The one file of the plant that a merge may write, and the order in which it is written."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pxr import Sdf, Tf, Usd

from stagetwin._errors import ReviewError, usd_message
from stagetwin.guards import write_atomically
from stagetwin.reviews._log import OperationLog, set_aside

__all__ = ["Site", "SiteWrite", "digest_of_file"]

_log = logging.getLogger(__name__)


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file; empty where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class SiteWrite:
    """What is to be written to the site's file.

    Attributes:
        content: of the file.
        before: hash of the file that it was made from.
        record: for the log of merges.
    """

    content: bytes
    before: str
    record: dict[str, Any]


class Site:
    """The site layer: read afresh from disk, written in one step, with a journal around it.

    Attributes:
        path: of the layer's file.
        faults: what of an earlier life could not be finished.
        broken: why nothing can be merged any more; or empty.
    """

    def __init__(self, path: Path, stage: Usd.Stage, folder: Path) -> None:
        """Check that the plant has the layer.

        Args:
            path: of the layer's file.
            stage: of the plant.
            folder: of proposals.

        Raises:
            ReviewError: it is none of the stage's own layers, or cannot be written as one file.
        """
        self.path = path.resolve()
        own = {
            Path(layer.realPath).resolve()
            for layer in stage.GetLayerStack(includeSessionLayers=False)
            if layer.realPath
        }
        if self.path not in own:
            named = ", ".join(sorted(map(str, own)))
            raise ReviewError(f"--site-layer {path} is no layer of the stage; it has {named}")
        if self.path.suffix not in (".usd", ".usda", ".usdc"):
            raise ReviewError(f"--site-layer {path} must be a .usd, .usda or .usdc file")
        self._journal = folder / "merge.json"
        self._merges = OperationLog(folder / "merges.log")
        self._folder = folder
        self.faults: list[str] = []
        self.broken = ""
        self._finish()

    def open(self) -> tuple[Sdf.Layer, str]:
        """Return the layer as the file has it, and the hash of the file.

        Raises:
            ReviewError: it cannot be read.
        """
        before = digest_of_file(self.path)
        try:
            layer = Sdf.Layer.OpenAsAnonymous(str(self.path))
        except Tf.ErrorException as error:
            raise ReviewError(f"{self.path} cannot be read: {usd_message(error)}") from None
        if not before or digest_of_file(self.path) != before:
            raise ReviewError(f"{self.path} is just being written; ask again")
        return layer, before

    def content(self, layer: Sdf.Layer) -> bytes:
        """Return a layer as the bytes of the site's file."""
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            path = Path(scratch) / f"site{self.path.suffix}"
            arguments = {}
            if self.path.suffix == ".usd":
                with open(self.path, "rb") as file:
                    crate = file.read(8) == b"PXR-USDC"
                arguments = {"format": "usdc" if crate else "usda"}
            layer.Export(str(path), args=arguments)
            return path.read_bytes()

    def write(self, change: SiteWrite, proposal: Path, text: str) -> None:
        """Replace the site's file, then the proposal's, so that both or none is found later.

        Args:
            change: of the site's file.
            proposal: the proposal's file.
            text: its content.

        Raises:
            ReviewError: the file was changed meanwhile, or cannot be written; nothing is.
        """
        journal = {
            "before": change.before,
            "after": hashlib.sha256(change.content).hexdigest(),
            "proposal": proposal.name,
            "text": text,
            "record": change.record,
        }
        write_atomically(self._journal, json.dumps(journal).encode())
        try:
            if digest_of_file(self.path) != change.before:
                raise ReviewError(f"{self.path} was changed meanwhile; look again, then merge")
            mode = stat.S_IMODE(self.path.stat().st_mode)
            write_atomically(self.path, change.content, mode)
        except (OSError, ReviewError) as error:
            if digest_of_file(self.path) != journal["after"]:
                self._journal.unlink(missing_ok=True)
            if isinstance(error, ReviewError):
                raise
            raise ReviewError(f"{self.path} cannot be written: {error}") from None
        try:
            self._settle(journal)
        except (OSError, ReviewError) as error:
            self.broken = f"a merge is half written, the next start will finish it: {error}"
            _log.error("%s", self.broken)
            raise ReviewError(self.broken) from None

    def _settle(self, journal: dict[str, Any]) -> None:
        write_atomically(self._folder / journal["proposal"], journal["text"].encode())
        self._merges.append(journal["record"])
        self._journal.unlink(missing_ok=True)

    def _finish(self) -> None:
        """Take up a merge that an earlier life began to write."""
        try:
            journal = json.loads(self._journal.read_bytes())
            now = digest_of_file(self.path)
            if now == journal["after"]:
                if os.path.basename(journal["proposal"]) != journal["proposal"]:
                    raise ValueError("it names a file elsewhere")
                known = [record.get("operation") for record in self._merges.read()]
                if journal["record"]["operation"] in known:
                    self._journal.unlink(missing_ok=True)
                else:
                    self._settle(journal)
                _log.warning("a merge that was being written is finished: %s", self.path)
            elif now == journal["before"]:
                self._journal.unlink(missing_ok=True)
            else:
                raise ValueError(f"{self.path} is neither as before it nor as after it")
        except FileNotFoundError:
            self._merges.read()
        except (OSError, LookupError, TypeError, ValueError, ReviewError) as error:
            self.faults.append(set_aside(self._journal, str(error)))
