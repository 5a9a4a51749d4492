"""Check what a wheel holds: all that a plant needs, and nothing of the workshop."""

from __future__ import annotations

import pathlib
import sys
import zipfile

NEEDED = (
    "stagetwin/__init__.py",
    "stagetwin/py.typed",
    "stagetwin/schema/generatedSchema.usda",
    "stagetwin/schema/plugInfo.json",
    "stagetwin/factory/factory.usda",
    "stagetwin/factory/assets/",
    "stagetwin/viewer/index.html",
    "stagetwin/viewer/picture.html",
    "stagetwin_bridges/__init__.py",
    "stagetwin_bridges/py.typed",
    "stagetwin_bridges/vda5050/schemas/2.1/state.schema",
    "stagetwin_bridges/vda5050/schemas/3.0/zoneSet.schema",
    "stagetwin_bridges/vda5050/schemas/LICENSE.txt",
    "stagetwin_sim/__init__.py",
    "stagetwin_sim/py.typed",
    "stagetwin_usdview/plugInfo.json",
)
ROOTS = {"stagetwin", "stagetwin_bridges", "stagetwin_sim", "stagetwin_usdview"}
STRAY = ("tests", "benchmarks", "docs", "exts", "__pycache__", "conftest.py")


def wheel_problems(wheel: pathlib.Path) -> list[str]:
    """Return what is missing from a wheel and what should not be in it, one line each."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    problems = [
        f"missing: {needed}"
        for needed in NEEDED
        if not any(name == needed or name.startswith(f"{needed.rstrip('/')}/") for name in names)
    ]
    for name in names:
        parts = pathlib.PurePosixPath(name).parts
        if parts[0] not in ROOTS and not parts[0].endswith(".dist-info"):
            problems.append(f"outside of the packages: {name}")
        elif any(part in STRAY or part.startswith("test_") for part in parts):
            problems.append(f"not for a wheel: {name}")
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        problems.append("missing: the licence")
    return problems


def main(wheels: list[str]) -> int:
    """Check each wheel named; 1 if one has a problem, 2 if none is named."""
    if not wheels:
        sys.stderr.write("usage: check_wheel.py WHEEL...\n")
        return 2
    found = False
    for wheel in wheels:
        for problem in wheel_problems(pathlib.Path(wheel)):
            found = True
            sys.stderr.write(f"{pathlib.Path(wheel).name}: {problem}\n")
    return int(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
