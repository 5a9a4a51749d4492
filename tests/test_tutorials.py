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


def kernel_cache() -> Path:
    """Return the folder of Warp's compiled kernels of whoever runs the tests."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return cache / "warp"


def script_of(text: str, port: int) -> tuple[str, list[str]]:
    """Return a page as one shell script, and what each of its blocks must print."""
    # The page's port may be somebody else's on this machine.
    lines = [
        "set -e",
        "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT",
        'cp() { command cp "$@"; '
        f"find . -name '*.usda' -exec sed -i 's/1883/{port}/' {{}} +; }}",
    ]
    expected: list[str] = []
    for language, name, body in BLOCK.findall(text):
        body = body.replace("1883", str(port))
        if language == "text":
            expected[-1] += body
            continue
        if name:
            lines.append(f"mkdir -p $(dirname {name}); cat > {name} <<'@@@'\n{body}@@@")
        elif language == "sh":
            lines.append(body)
        elif language == "python":
            lines.append(f"python - <<'@@@'\n{body}@@@")
        else:
            raise AssertionError(f"a block of {language} without a file name")
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
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "page", ["tutorial.md", "tutorial-recording.md", "tutorial-command.md", "tutorial-model.md"]
)
def test_a_tutorial_runs_as_it_is_written(page: str, tmp_path: Path) -> None:
    if page == "tutorial-recording.md":
        if not RECORDING.exists() and os.environ.get("CI") != "true":
            pytest.skip("the recorded data is not beside this checkout")
        shutil.copy(RECORDING, tmp_path / "pump.csv")
    assert_runs((ROOT / "docs" / page).read_text(encoding="utf-8"), tmp_path)


@pytest.mark.timeout(240)
def test_a_kind_of_somebody_elses_package_runs_as_the_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    example = page.partition("### A kind of your own\n")[2].partition("\n##")[0]
    assert "pip install" in example
    # Into a folder of its own: this environment stays as it is.
    site = tmp_path / "site"
    assert_runs(
        example,
        tmp_path,
        PIP_TARGET=str(site),
        PIP_NO_DEPS="1",
        PIP_NO_BUILD_ISOLATION="0",
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PYTHONPATH=str(site),
    )


def assert_runs(text: str, tmp_path: Path, **environment: str) -> None:
    """Run every command of a page in an empty folder; it prints what the page says."""
    script, expected = script_of(text, free_port())
    home = tmp_path / "home"
    runtime = tmp_path / "run"
    home.mkdir()
    runtime.mkdir(mode=0o700)
    result = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=220,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
            "COLUMNS": "140",
            "LANG": "C.UTF-8",
            # Compiled kernels are found where the other tests left them.
            "WARP_CACHE_PATH": os.environ.get("WARP_CACHE_PATH", str(kernel_cache())),
            **environment,
        },
    )
    logs = "\n".join(p.read_text() for p in tmp_path.glob("*.log"))
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}\n{logs}"
    printed = result.stdout.split(MARK)
    assert len(printed) == len(expected) + 1
    for wanted, block in zip(expected, printed, strict=False):
        assert_printed(wanted, block)
    assert "Traceback" not in logs
