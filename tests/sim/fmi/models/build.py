"""Builds the FMUs of the tests, in a process of its own: the builders import what they build."""

from __future__ import annotations

import sys
from pathlib import Path

from pythonfmu.builder import FmuBuilder as Builder2
from pythonfmu3.builder import FmuBuilder as Builder3

STATE2 = {"canGetAndSetFMUstate": True, "canSerializeFMUstate": True}
STATE3 = {
    "canGetAndSetFMUState": True,
    "canHandleVariableCommunicationStepSize": True,
    "canSerializeFMUState": True,
}


def main(folder: str) -> None:
    """Build all into a folder."""
    sys.dont_write_bytecode = True
    here = Path(__file__).parent
    for name, options in (("lag2", STATE2), ("counter2", STATE2), ("crash2", {}), ("faulty2", {})):
        Builder2.build_FMU(here / f"{name}.py", folder, **options)
    once = {"canBeInstantiatedOnlyOncePerProcess": True}
    Builder2.build_FMU(here / "lag2.py", f"{folder}/Once2.fmu", **STATE2, **once)
    for name in ("lag3", "van_der_pol3"):
        Builder3.build_FMU(here / f"{name}.py", folder, **STATE3)


if __name__ == "__main__":
    main(sys.argv[1])
