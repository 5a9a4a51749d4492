"""The tutorials are true: every command on their pages runs here, and prints what they say."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT.parent / "shared" / "data" / "skab" / "valve1" / "0.csv"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "@@@ end of block"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def script_of(page: Path, port: int) -> tuple[str, list[str]]:
    """Return a page as one shell script, and what each of its blocks must print."""
    # The page's port may be somebody else's on this machine.
    lines = [
        "set -e",
        "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT",
        'cp() { command cp "$@"; '
        f"find . -name '*.usda' -exec sed -i 's/1883/{port}/' {{}} +; }}",
    ]
    expected: list[str] = []
    for language, name, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        body = body.replace("1883", str(port))
        if language == "text":
            expected[-1] += body
            continue
        if name:
            lines.append(f"cat > {name} <<'@@@'\n{body}@@@")
        elif language == "sh":
            lines.append(body)
        elif language == "python":
            lines.append(f"python - <<'@@@'\n{body}@@@")
        else:
            raise AssertionError(f"{page.name}: a block of {language} without a file name")
        lines.append(f"echo '{MARK}'")
        expected.append("")
    return "\n".join(lines), expected


def assert_printed(expected: str, printed: str) -> None:
    """Every line of `expected` is there, in order; `...` stands for anything."""
    flat = " ".join(printed.split())
    at = 0
    for line in expected.splitlines():
        for part in line.split("..."):
            text = " ".join(part.split())
            found = flat.find(text, at)
            assert found >= 0, f"{text!r} is missing after {flat[:at][-80:]!r} in:\n{printed}"
            at = found + len(text)


@pytest.mark.alone
@pytest.mark.parametrize("page", ["tutorial.md", "tutorial-recording.md", "tutorial-command.md"])
def test_a_tutorial_runs_as_it_is_written(page: str, tmp_path: Path) -> None:
    if page == "tutorial-recording.md":
        if not RECORDING.exists() and os.environ.get("CI") != "true":
            pytest.skip("the recorded data is not beside this checkout")
        shutil.copy(RECORDING, tmp_path / "pump.csv")
    script, expected = script_of(ROOT / "docs" / page, free_port())
    home = tmp_path / "home"
    runtime = tmp_path / "run"
    home.mkdir()
    runtime.mkdir(mode=0o700)
    result = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
            "COLUMNS": "140",
            "LANG": "C.UTF-8",
        },
    )
    logs = "\n".join(p.read_text() for p in tmp_path.glob("*.log"))
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}\n{logs}"
    printed = result.stdout.split(MARK)
    assert len(printed) == len(expected) + 1
    for wanted, block in zip(expected, printed, strict=False):
        assert_printed(wanted, block)
    assert "Traceback" not in logs
