"""Build the Kit extension: one folder that needs nothing but Kit.

    python exts/stagetwin.kit/build_extension.py out/stagetwin.kit

Kit brings Python, numpy and pxr, and production apps fetch nothing when they start. So the part of
stagetwin that a viewer needs, and the WebSocket library under it, come along as pure Python in
`pip_prebundle`. Which modules that part is, the interpreter itself says: it imports the core with
everything else refused, and what it loaded is copied.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BRINGS = ("numpy", "pxr")
"""What Kit has."""

_ASK = """
import importlib.abc, json, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"Kit has no {name}", name=name)
allowed = set(sys.argv[1:])
sys.meta_path.insert(0, Refuse())
import stagetwin.drafts, stagetwin.sync
for name in stagetwin.sync.__all__:
    getattr(stagetwin.sync, name)
import websockets.sync.client
print(json.dumps({n: m.__file__ for n, m in list(sys.modules.items())
                  if n.partition(".")[0] in ("stagetwin", "websockets") and m.__file__}))
"""


def core_modules() -> dict[str, Path]:
    """Return the modules that a viewer loads of stagetwin and websockets, by name.

    Raises:
        CalledProcessError: the core asks for something that Kit does not have.
    """
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, *BRINGS, "stagetwin", "websockets"],
        check=True,
        capture_output=True,
        text=True,
    )
    return {name: Path(file) for name, file in json.loads(asked.stdout).items()}


def build(target: Path) -> int:
    """Write the extension's folder anew.

    Returns:
        Number of modules that came along.
    """
    if target.exists():
        shutil.rmtree(target)
    ignored = shutil.ignore_patterns("__pycache__", "build_extension.py", "pip_prebundle")
    shutil.copytree(HERE, target, ignore=ignored)
    bundle = target / "pip_prebundle"
    modules = core_modules()
    websockets = modules["websockets"].parent
    # Kit's Python may be another: websockets does without its compiled part.
    shutil.copytree(
        websockets,
        bundle / "websockets",
        ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.c", "*.pyi"),
    )
    package = modules["stagetwin"].parent
    count = 0
    for name, file in modules.items():
        if name.partition(".")[0] == "stagetwin" and file.suffix == ".py":
            place = bundle / "stagetwin" / file.relative_to(package)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
            count += 1
    shutil.copytree(package / "schema", bundle / "stagetwin" / "schema")
    (bundle / "LICENSES.md").write_text(_licences(), encoding="utf-8")
    return count


def _licences() -> str:
    parts = ["# What comes along\n"]
    for name in ("stagetwin", "websockets"):
        about: Any = importlib.metadata.metadata(name)
        licence = about["License-Expression"] or about["License"] or "see its files"
        parts.append(f"- {name} {about['Version']}: {licence}\n")
    return "".join(parts)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    print(f"{folder}: the extension, with {build(folder)} modules of stagetwin")
