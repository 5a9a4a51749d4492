"""A bundle drives virtual vehicles that fleet control commands over a real broker."""

from __future__ import annotations

from pathlib import Path

from stagetwin_sim.policies import SigningKey
from tests.sim.policies.steering import steering_bundle
from tests.sim.policies.through_broker import drive_through_broker


def test_a_bundle_drives_vehicles_through_the_broker(tmp_path: Path) -> None:
    key = SigningKey.make()
    file = steering_bundle().write(tmp_path / "steering.bundle", key)
    key.public.save(tmp_path / "plant.pub.pem")
    bodies = drive_through_broker(file, tmp_path)
    said = bodies.counts
    assert said["policy"] + said["limited"] > 30
    assert said["stop"] == said["hold"] == 0
