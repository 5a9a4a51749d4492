"""Schemas of other packages are known although the first stage was opened before their import."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("newton_usd_schemas")

SCRIPT = """
import stagetwin
from pxr import Usd
Usd.Stage.CreateInMemory()
Usd.SchemaRegistry()
import newton_usd_schemas
print(bool(Usd.SchemaRegistry().FindAppliedAPIPrimDefinition("NewtonActuatorDelayAPI")))
"""


def test_a_delay_is_known_to_a_process_that_opened_a_stage_first() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
