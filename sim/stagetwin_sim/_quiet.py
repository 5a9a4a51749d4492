"""Warp without its greeting, for programs whose output somebody reads."""

from __future__ import annotations

import os
import sys
import tempfile

import warp as wp

__all__ = ["begin_quietly"]

_NO_GPU = b"Could not find or load the NVIDIA CUDA driver"
"""What its native part says, at any level, on a machine that has no GPU and needs none."""


def begin_quietly() -> None:
    """Initialise Warp, and let it tell only of what is wrong from here on.

    Its native part writes past Python, so that the file descriptor of stderr is turned aside for
    that moment; every other line that comes by is passed on.
    """
    wp.config.log_level = wp.LOG_WARNING
    sys.stderr.flush()
    with tempfile.TemporaryFile() as aside:
        kept = os.dup(2)
        os.dup2(aside.fileno(), 2)
        try:
            wp.init()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            aside.seek(0)
            for line in aside:
                if _NO_GPU not in line:
                    os.write(2, line)
