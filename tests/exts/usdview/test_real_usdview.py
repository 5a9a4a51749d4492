"""The plugin in a real usdview, where there is one: no registry brings it, so this often skips."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(shutil.which("usdview") is None, reason="no usdview on the PATH")
def test_usdview_loads_the_plugin(display: str, tmp_path: Path) -> None:
    stage = tmp_path / "plant.usda"
    stage.write_text('#usda 1.0\ndef Xform "World" {}\n')
    plugin = ROOT / "exts" / "stagetwin.usdview"
    paths = [str(ROOT / "stages"), str(plugin), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        ["usdview", "--quitAfterStartup", str(stage)],
        env={
            **os.environ,
            "DISPLAY": display,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PXR_PLUGINPATH_NAME": str(plugin / "stagetwin_usdview"),
            "TF_DEBUG": "PLUG_LOAD",
        },
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "stagetwin_usdview" in said, "usdview did not load the plugin"
    assert "Traceback" not in said, said
