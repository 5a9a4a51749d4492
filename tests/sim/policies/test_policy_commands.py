"""`stagetwin policy`: keys, signatures, what is in a bundle, and gaps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from stagetwin.cli import app
from stagetwin.cli._app import add_installed_commands
from stagetwin_sim.commands import policy
from stagetwin_sim.policies import Novelty, SigningKey
from tests.sim.policies.small_bundles import bundle_of, novelty
from tests.sim.policies.steering import steering_bundle
from tests.stages.plants import HEADER, connection


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(policy, [str(word) for word in words])


def said(result: Result) -> str:
    """Return what was said, in one line."""
    return " ".join(result.output.split())


def test_from_a_key_to_a_trusted_bundle(tmp_path: Path) -> None:
    plant, file = tmp_path / "plant", tmp_path / "p.bundle"
    assert call("keygen", plant).exit_code == 0
    assert call("keygen", plant).exit_code == 2
    assert call("keygen", tmp_path / "other").exit_code == 0
    bundle_of(novelty=novelty()).write(file)
    public = f"{plant}.pub.pem"
    refused = call("verify", file, "--trust", public)
    assert refused.exit_code == 2
    assert "not signed" in said(refused)
    assert call("sign", file, "--key", f"{plant}.key.pem").exit_code == 0
    whole = call("verify", file, "--trust", public)
    assert whole.exit_code == 0, whole.output
    assert "whole, signed by" in said(whole)
    assert call("verify", file, "--trust", f"{tmp_path / 'other'}.pub.pem").exit_code == 2
    assert call("verify", file, "--trust", tmp_path).exit_code == 0
    file.write_bytes(file.read_bytes().replace(b'"rate": 10.0', b'"rate": 20.0'))
    for command in (("verify", file, "--trust", public), ("show", file)):
        broken = call(*command)
        assert broken.exit_code == 2
        assert "damaged" in said(broken)


def test_a_bundle_is_shown(tmp_path: Path) -> None:
    file = bundle_of(novelty=novelty()).write(tmp_path / "p.bundle")
    shown = said(call("show", file))
    for words in (
        "to the goal 3",
        "signed by nobody, held against no key",
        "10 Hz",
        "at most 0.3 s old",
    ):
        assert words in shown
    bounds = "each number within the range that training saw (1,000 observations); else stop"
    assert f"believed: {bounds}" in shown
    spread = Novelty(
        mean=(0.0,) * 7, precision=tuple(np.eye(7).ravel().tolist()), threshold=3.25, samples=9
    )
    file = bundle_of(novelty=spread).write(tmp_path / "q.bundle")
    distance = "Mahalanobis distance to what training saw at most 3.25 (9 observations)"
    assert distance in said(call("show", file))
    content = json.loads(call("show", file, "--json").output)
    assert content["trusted"] is False
    assert [one["term"]["name"] for one in content["policy"]["actions"]] == ["speed", "rotation"]


def test_virtual_vehicles_take_a_policy_of_a_trusted_key_alone(tmp_path: Path) -> None:
    plant = tmp_path / "plant.usda"
    place = connection("fleet", "vda5050+mqtt://127.0.0.1:1/floor?version=3.0", realm="simulation")
    plant.write_text(HEADER + place)
    call("keygen", tmp_path / "plant")
    file = steering_bundle().write(tmp_path / "p.bundle", SigningKey.make())
    words = ["virtual-fleet", plant, "--connection", "fleet", "--count", "1", "--policy", file]
    add_installed_commands()
    for more in ([], ["--trust", tmp_path]):
        done = CliRunner().invoke(app, [str(word) for word in (*words, *more)])
        assert done.exit_code == 2
        assert "trusted keys: " in said(done)


def test_a_gap_is_reported(tmp_path: Path) -> None:
    time = np.arange(0.0, 20.0, 0.1)
    for name, off in (("recorded", 0.0), ("predicted", 0.25)):
        rows = [f"{t},{np.sin(t) + off}" for t in time]
        (tmp_path / f"{name}.csv").write_text("\n".join(["time,x", *rows]))
    out = tmp_path / "gap"
    shown = call("gap", tmp_path, "--out", out, "--label", "sim-to-sim")
    assert shown.exit_code == 0, shown.output
    assert "sim-to-sim" in shown.output
    content = json.loads((out / "gap.json").read_text())
    assert content["signals"]["x"]["bias"] == pytest.approx(0.25)
    assert {file.name for file in out.iterdir()} == {"gap.json", "gap.md", "gap.png"}
    two = call("gap", tmp_path / "recorded.csv", tmp_path / "predicted.csv", "--json")
    assert json.loads(two.output)["signals"]["x"]["rmse"] == pytest.approx(0.25)
    assert call("gap", tmp_path / "none").exit_code == 2


def test_a_process_beside_a_vehicle(tmp_path: Path) -> None:
    plant, file = tmp_path / "plant", tmp_path / "p.bundle"
    call("keygen", plant)
    steering_bundle().write(file)
    call("sign", file, "--key", f"{plant}.key.pem")
    command = [sys.executable, "-m", "stagetwin", "policy", "run", str(file)]
    with subprocess.Popen(
        [*command, "--trust", f"{plant}.pub.pem"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        # Nothing was measured yet, so nothing moves.
        assert (first["status"], first["cause"]) == ("stop", "missing: goal_distance")
        readings = {
            "goal_distance": 4.0,
            "goal_direction": [1.0, 0.0],
            "speed": 0.0,
            "lidar": [6.0] * 24,
        }
        driven: dict[str, object] = {}
        while driven.get("status") not in ("policy", "limited"):
            process.stdin.write(json.dumps(readings) + "\n")
            process.stdin.flush()
            driven = json.loads(process.stdout.readline())
        assert driven["speed"] == [1.5]
        process.stdin.close()
        last = [json.loads(line) for line in process.stdout][-1]
        assert (last["status"], last["speed"]) == ("stop", [0.0])
    assert process.returncode == 0
    steering_bundle().write(file)
    refused = subprocess.run(
        [*command, "--trust", f"{plant}.pub.pem"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "not signed" in refused.stderr
