"""A still of the composed stage, with the values seen, for others to open."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pxr import Tf, Usd

from stagetwin._errors import StageError, usd_message

__all__ = ["write_snapshot"]


def write_snapshot(stage: Usd.Stage, path: Path) -> int:
    """Write the composed stage, session layers included, as one file, atomically.

    A reader sees the file that was there before or the new one, never a part: a save in place tears
    what others have open.

    Args:
        stage: stage to flatten; call on the thread that owns it.
        path: file to write; its ending picks the format, `.usdc` or `.usda`.

    Returns:
        Size of the file [bytes].

    Raises:
        StageError: the ending is another, the file belongs to the stage, or it cannot be written.
    """
    if path.suffix not in (".usdc", ".usda", ".usd"):
        raise StageError(f"a snapshot ends in .usdc or .usda, got {path.name!r}")
    real = os.path.realpath(path)
    if any(real == os.path.realpath(layer.realPath) for layer in stage.GetUsedLayers()):
        raise StageError(
            f"{path} is a layer of the plant, which is never written; name another file"
        )
    try:
        handle, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix
        )
    except OSError as error:
        raise StageError(f"cannot write a snapshot to {path.parent}: {error.strerror}") from None
    os.close(handle)
    try:
        flat = stage.Flatten(addSourceFileComment=False)
        if not flat.Export(temporary):
            raise StageError(f"cannot write {path}")
        os.chmod(temporary, 0o644)
        size = os.stat(temporary).st_size
        os.replace(temporary, path)
    except Tf.ErrorException as error:
        Path(temporary).unlink(missing_ok=True)
        raise StageError(f"cannot write {path}: {usd_message(error)}") from None
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return size
