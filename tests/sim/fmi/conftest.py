"""FMUs for the tests, built once in a session."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import fmpy
import pytest

MODELS = Path(__file__).parent / "models"


@pytest.fixture(scope="session")
def fmus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the FMUs that are written in Python."""
    folder = tmp_path_factory.mktemp("fmus")
    subprocess.run([sys.executable, str(MODELS / "build.py"), str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The native FMU of a bouncing ball."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for a native FMU")
    folder = tmp_path_factory.mktemp("ball")
    library = folder / "ball3.so"
    options = ["-std=c11", "-O2", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run([compiler, *options, str(MODELS / "ball3.c"), "-lm"], check=True)
    path = folder / "Ball.fmu"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(MODELS / "ball3.xml", "modelDescription.xml")
        name = f"ball3{fmpy.sharedLibraryExtension}"
        archive.write(library, f"binaries/{fmpy.platform_tuple}/{name}")
    return path
