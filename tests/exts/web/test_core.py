"""The viewer's core, run by node: frames as Python encodes them, a session, arithmetic."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagetwin.sync import Frame, Section, SectionKind, encode_frame

HERE = Path(__file__).parent
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not on the PATH")


def run_node(test: str, **environment: str) -> None:
    """Run a test file of node's own runner, and show its words where it fails."""
    assert NODE is not None
    env = {"PATH": str(Path(NODE).parent), **environment}
    done = subprocess.run(
        [NODE, "--test", str(HERE / test)], env=env, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr


def plain(section: Section) -> dict[str, Any]:
    """A section as JSON, with numbers that JSON cannot carry as texts."""
    values = section.values
    if isinstance(values, np.ndarray):
        array = values.astype(np.float32 if section.kind == SectionKind.FLOAT32 else values.dtype)
        texts = [
            [str(x) if section.kind == SectionKind.INT64 else number(float(x)) for x in row]
            for row in array.reshape(len(array), -1).tolist()
        ]
    else:
        texts = values if values is not None else []
    columns = (section.times, section.qualities, section.status)
    times, qualities, status = (None if c is None else np.asarray(c).tolist() for c in columns)
    return {
        "kind": int(section.kind),
        "rows": np.asarray(section.rows).tolist(),
        "values": texts,
        "times": times,
        "qualities": qualities,
        "status": status,
    }


def number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


rows = st.one_of(
    st.integers(0, 2**20).flatmap(
        lambda first: st.integers(1, 12).map(lambda n: np.arange(first, first + n))
    ),
    st.lists(st.integers(0, 2**24), min_size=1, max_size=12, unique=True).map(
        lambda values: np.array(sorted(values))
    ),
    st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=12, unique=True).map(
        lambda values: np.array(sorted(values))
    ),
)
KINDS = list(SectionKind)
texts = st.recursive(
    st.one_of(st.none(), st.booleans(), st.text(max_size=8), st.integers(-(2**50), 2**50)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@st.composite
def sections(draw: st.DrawFn) -> Section:
    kind = draw(st.sampled_from(KINDS))
    at = draw(rows)
    n = len(at)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values: Any = None
    width = {SectionKind.MATRIX: 16, SectionKind.MOVER_MATRIX: 16}.get(kind, 7)
    if kind in (SectionKind.FLOAT64, SectionKind.FLOAT32):
        width = draw(st.integers(1, 4))
        values = rng.normal(size=(n, width)) * 10.0 ** rng.integers(-9, 9)
        values[0, 0] = draw(st.sampled_from([0.0, -0.0, math.nan, math.inf, -1.5]))
        if kind is SectionKind.FLOAT32:
            values = values.astype(np.float32)
        values = values[:, 0] if width == 1 else values
    elif kind is SectionKind.INT64:
        values = rng.integers(-(2**63), 2**63 - 1, n)
    elif kind is SectionKind.BOOL:
        values = rng.integers(0, 2, n).astype(np.uint8)
    elif kind is SectionKind.JSON:
        values = [draw(texts) for _ in range(n)]
    elif kind is not SectionKind.NONE:
        values = rng.normal(size=(n, width)) * 1e4
        if width == 7:
            values[:, 3:] = values[:, 3:].astype(np.float32)
        if kind is SectionKind.INSTANCER:
            values = values.astype(np.float32)
            at = at[:1]
    section = Section(kind, at, values)
    if draw(st.booleans()) or kind is SectionKind.NONE:
        section.times = rng.integers(-(2**31), 2**31 - 1, n).astype(np.int32)
        section.qualities = rng.integers(0, 4, n).astype(np.uint8)
    if draw(st.booleans()):
        section.status = rng.integers(0, 2**32, n).astype(np.uint32)
    return section


def test_frames_are_decoded_as_python_encodes_them(tmp_path: Path) -> None:
    cases = []

    @settings(max_examples=150, database=None)
    @given(
        st.lists(sections(), max_size=5),
        st.integers(0, 2**53 - 1),
        st.integers(0, 2**32 - 1),
        st.floats(0, 4e9),
    )
    def collect(parts: list[Section], tick: int, table: int, time: float) -> None:
        frame = Frame(table, 7, tick, tick // 2, time, parts)
        cases.append(
            {
                "frame": encode_frame(frame).hex(),
                "table": table,
                "epoch": 7,
                "tick": tick,
                "since": tick // 2,
                "time": time,
                "sections": [plain(part) for part in parts],
            }
        )

    collect()
    assert {part["kind"] for case in cases for part in case["sections"]} == set(map(int, KINDS))
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(cases))
    run_node("frames.test.mjs", CASES=str(path))


def test_values_session_and_geometry() -> None:
    run_node("session.test.mjs")
    run_node("scene.test.mjs")
