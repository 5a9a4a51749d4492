"""Draws stills by Storm, in a process of its own: another pxr than the tests' own lives here.

Reads a list of jobs as JSON from standard input: `stage`, `camera`, `width`, `complexity`, `out`.
"""

from __future__ import annotations

import json
import sys

# First Storm's own pxr, then Qt for a GL context; nothing else of the tests' environment.
sys.path[:0] = sys.argv[1:]

from pxr import Tf, Usd, UsdAppUtils, UsdGeom  # noqa: E402
from PySide6.QtGui import (  # noqa: E402
    QGuiApplication,
    QOffscreenSurface,
    QOpenGLContext,
    QSurfaceFormat,
)


def main() -> None:
    """Draw each job."""
    wanted = QSurfaceFormat()
    wanted.setVersion(4, 5)
    wanted.setProfile(QSurfaceFormat.OpenGLContextProfile.CoreProfile)
    QSurfaceFormat.setDefaultFormat(wanted)
    application = QGuiApplication(["storm"])
    surface, context = QOffscreenSurface(), QOpenGLContext()
    surface.create()
    if not (context.create() and context.makeCurrent(surface)):
        sys.exit("no GL context: Storm would write garbage")
    for job in json.load(sys.stdin):
        draw(job)
    del application


def draw(job: dict[str, object]) -> None:
    """Draw one still."""
    stage = Usd.Stage.Open(str(job["stage"]))
    camera = UsdGeom.Camera(stage.GetPrimAtPath(str(job["camera"])))
    recorder = UsdAppUtils.FrameRecorder()
    recorder.SetImageWidth(int(str(job["width"])))
    recorder.SetComplexity(float(str(job["complexity"])))
    recorder.SetColorCorrectionMode("disabled")
    recorder.SetIncludedPurposes(["default", "render"])
    try:
        recorder.Record(stage, camera, Usd.TimeCode.EarliestTime(), str(job["out"]))
    except Tf.ErrorException as error:
        # Mesa knows not all that Storm asks about; the picture is written all the same.
        if "invalid enum" not in str(error):
            raise


main()
