"""The live layer: every type to the stage and back, only what changed, and never a resync."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pxr import Gf, Sdf, Tf, Usd

from stagetwin.live import BLOCK_SIZE, write_specs
from stagetwin.live._writer import LiveLayer
from tests.stages.conftest import MakePlant
from tests.stages.plants import asset, full_path, plant, prim, same, telemetry
from tests.stages.test_values import CASES, EVERY_TYPE

TYPES = {f"s{i}": name for i, name in enumerate(EVERY_TYPE)}


def every_type() -> str:
    return plant(prim("P1", *(telemetry(s, t, s) for s, t in TYPES.items())))


@pytest.mark.parametrize(("name", "wire", "expected"), CASES, ids=[c[0] for c in CASES])
def test_a_value_of_every_type_reaches_the_composed_stage(
    live: MakePlant, name: str, wire: Any, expected: Any
) -> None:
    twin = live(plant(prim("P1", telemetry("s", name, "a"))))
    twin.tell("a", wire)
    assert same(twin.get("/Plant/P1.s"), expected)
    assert twin.quality("/Plant/P1.s") == "good"
    assert twin.attr(full_path("/Plant/P1.s")).GetTypeName() == name
    written = twin.twin.hub.fates.applied
    twin.tell("a", wire)
    assert (written, twin.twin.hub.fates.unchanged) == (1, 1)


def random_wire(dice: random.Random, name: str) -> Any:
    """Return a random wire value that a type holds exactly."""
    if name.endswith("[]"):
        return [random_wire(dice, name[:-2]) for _ in range(dice.randrange(4))]
    kinds = {"int": 31, "uint": 32, "int64": 63, "uint64": 64, "uchar": 8}
    if name in kinds:
        number = dice.randrange(2 ** kinds[name])
        return number if name.startswith("u") or dice.random() < 0.5 else -number
    if name in ("string", "token", "asset"):
        return "".join(dice.choice("abcäöü/_1") for _ in range(dice.randrange(8)))
    if name == "bool":
        return dice.random() < 0.5
    number = [dice.randrange(-2000, 2000) / 4 for _ in range(16)]
    if name.startswith("quat"):
        return [0, 0, 0, 0][: (k := dice.randrange(4))] + [dice.choice((-1, 1))] + [0] * (3 - k)
    if name.startswith("int"):
        return [dice.randrange(-(2**31), 2**31) for _ in range(int(name[3:]))]
    if name.startswith(("matrix", "frame")):
        return number[: int(re.sub("[a-z]", "", name)) ** 2]
    digits = [c for c in name.replace("2d", "2").replace("3d", "3") if c.isdigit()]
    return number[: int(digits[0])] if digits else number[0]


def as_sent(name: str, wire: Any) -> Any:
    """Return the stage value that a wire value stands for, without the code under test."""
    found = Sdf.ValueTypeNames.Find(name)
    plain = type(found.defaultValue)
    if found.isArray:
        return plain([as_sent(str(found.scalarType), item) for item in wire])
    if name.startswith("quat"):
        x, y, z, w = wire
        return plain(w, x, y, z)
    if isinstance(wire, list):
        return plain(*wire)
    return Sdf.AssetPath(wire) if name == "asset" else wire


def test_after_ten_thousand_changes_every_attribute_equals_what_was_sent_last(
    live: MakePlant,
) -> None:
    """Acceptance (b), in process."""
    twin, dice = live(every_type()), random.Random(4711)
    assert twin.codes() == []
    last: dict[str, Any] = {}
    for n in range(10_000):
        signal = dice.choice(list(TYPES))
        last[signal] = random_wire(dice, TYPES[signal])
        twin.send(signal, last[signal])
        if n % 37 == 0:
            twin.tick(1 / 60)
    twin.tick()
    fates = twin.twin.hub.fates
    assert fates.received == 10_000
    assert (fates.rejected, fates.balanced()) == (0, True)
    assert last.keys() == TYPES.keys()
    different = {
        TYPES[s]: (wire, twin.get(f"/Plant/P1.{s}"))
        for s, wire in last.items()
        if not same(twin.get(f"/Plant/P1.{s}"), as_sent(TYPES[s], wire))
    }
    assert different == {}
    assert {twin.quality(f"/Plant/P1.{s}") for s in last} == {"good"}


BARE = """
import json, sys
from pxr import Plug, Usd
stage = Usd.Stage.Open(sys.argv[1])
values = {str(a.GetPath()): repr(a.Get()) for p in stage.Traverse() for a in p.GetAttributes()}
print(json.dumps({
    "values": values,
    "layers": len(stage.GetUsedLayers()),
    "plugin": bool(Plug.Registry().GetPluginWithName("stagetwin")),
}))
"""


def test_the_flattened_stage_opens_in_bare_usd_with_the_values_seen(
    live: MakePlant, tmp_path: Path
) -> None:
    """Acceptance (c), by Flatten."""
    twin, dice = live(every_type()), random.Random(7)
    for signal, name in TYPES.items():
        twin.send(signal, random_wire(dice, name))
    twin.tick()
    twin.twin.refresh_health()
    target = tmp_path / "seen.usdc"
    twin.stage.Flatten().Export(str(target))
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(target)],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["plugin"]
    for prim_here in twin.stage.Traverse():
        for attr in prim_here.GetAuthoredAttributes():
            if not isinstance(attr.Get(), Sdf.AssetPath):  # resolved against another folder
                assert found["values"][str(attr.GetPath())] == repr(attr.Get())
    assert full_path("/Plant/P1.s0") in found["values"]
    assert "/StageTwin/Health.twin:health:received" in found["values"]


class Heard:
    """Collects what a listener of the stage is told."""

    def __init__(self, stage: Usd.Stage) -> None:
        self.resynced: set[str] = set()
        self.changed: set[str] = set()
        self._listener = Tf.Notice.Register(Usd.Notice.ObjectsChanged, self._hear, stage)

    def _hear(self, notice: Usd.Notice.ObjectsChanged, _sender: Usd.Stage) -> None:
        self.resynced |= {str(path) for path in notice.GetResyncedPaths()}
        self.changed |= {str(path) for path in notice.GetChangedInfoOnlyPaths()}

    def close(self) -> None:
        self._listener.Revoke()


def test_values_change_info_and_never_resync(live: MakePlant) -> None:
    twin, dice = live(every_type()), random.Random(1)
    twin.tick()
    twin.twin.refresh_health()
    heard = Heard(twin.stage)
    for _ in range(3):
        for signal, name in TYPES.items():
            twin.send(signal, random_wire(dice, name))
        twin.tick(1.0)
        twin.twin.refresh_health()
    twin.tick(100.0)
    heard.close()
    assert heard.resynced == set()
    assert full_path("/Plant/P1.s0") in heard.changed
    assert full_path("/Plant/P1.s0", "quality") in heard.changed


def test_only_what_changed_is_written(live: MakePlant) -> None:
    twin = live(plant(*(prim(f"P{i}", telemetry("s", address=f"a{i}")) for i in range(100))))
    for i in range(100):
        twin.send(f"a{i}", 1.0)
    twin.tick()
    assert twin.tick() == 0
    heard = Heard(twin.stage)
    for i in range(100):
        twin.send(f"a{i}", float(i != 7))
    assert twin.tick() == 2
    heard.close()
    assert heard.changed == {full_path("/Plant/P7.s"), full_path("/Plant/P7.s", "time")}


def test_the_time_of_an_unchanged_value_is_refreshed_once_a_second(live: MakePlant) -> None:
    twin = live(plant(prim("P1", telemetry("s", address="a"))))
    written = []
    for n in range(30):
        twin.send("a", 1.0, source_time=float(n))
        written.append(twin.tick(0.1))
    assert sum(written[1:]) in (2, 3)
    twin.tick(1.0)
    assert twin.get("/Plant/P1.twin:telemetry:s:time") == 29.0, "the newest is not forgotten"


@pytest.mark.parametrize("count", [0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 200])
def test_specs_are_written_whatever_their_number(count: int) -> None:
    layer = Sdf.Layer.CreateAnonymous()
    prim_spec = Sdf.CreatePrimInLayer(layer, "/A")
    specs = [Sdf.AttributeSpec(prim_spec, f"a{i}", Sdf.ValueTypeNames.Double) for i in range(count)]
    write_specs(specs, [float(i) for i in range(count)])
    assert [spec.default for spec in specs] == [float(i) for i in range(count)]


def test_specs_exist_before_the_first_value_with_the_composed_type(live: MakePlant) -> None:
    text = plant(prim("P1", asset(), 'custom uniform token mode = "off"', telemetry("m", address="m", target="/Plant/P1.mode")))  # fmt: skip  # noqa: E501
    twin = live(text)
    spec = twin.twin.layers.live.GetAttributeAtPath("/Plant/P1.mode")
    assert (spec.typeName, spec.variability, spec.custom) == (
        Sdf.ValueTypeNames.Token,
        Sdf.VariabilityUniform,
        True,
    )
    assert not spec.HasDefaultValue()
    assert twin.get("/Plant/P1.mode") == "off"
    twin.tell("m", "on")
    assert twin.get("/Plant/P1.mode") == "on"


def test_an_authored_default_shows_until_the_first_value(live: MakePlant) -> None:
    twin = live(plant(prim("P1", telemetry("s", "double", "a", default=7.0))))
    twin.tick()
    assert (twin.get("/Plant/P1.s"), twin.quality("/Plant/P1.s")) == (7.0, "stale")
    twin.tell("a", 8.0)
    assert twin.get("/Plant/P1.s") == 8.0


def test_telemetry_lies_in_the_live_layer_alone(live: MakePlant) -> None:
    twin = live(plant(prim("P1", telemetry("s", address="a"))))
    before = twin.stage.GetRootLayer().ExportToString()
    twin.tell("a", 1.0)
    stack = twin.attr(full_path("/Plant/P1.s")).GetPropertyStack()
    assert stack[0].layer == twin.twin.layers.live
    assert twin.stage.GetRootLayer().ExportToString() == before


def test_a_cleared_layer_is_empty(live: MakePlant) -> None:
    stage = Usd.Stage.CreateInMemory()
    layer = Sdf.Layer.CreateAnonymous()
    writer = LiveLayer(stage, layer)
    Sdf.CreatePrimInLayer(layer, "/A")
    writer.clear()
    assert layer.empty


def test_the_value_of_a_channel_can_be_asked_for(live: MakePlant) -> None:
    twin = live(
        plant(prim("P1", telemetry("s", address="a"), telemetry("p", "float3", address="p")))
    )
    index = twin.index("/Plant/P1.s")
    assert twin.twin.value_of(index) is None
    twin.send("p", [1, 2, 3])
    twin.tell("a", 2.5)
    assert twin.twin.value_of(index) == 2.5
    assert twin.twin.value_of(twin.index("/Plant/P1.p")) == Gf.Vec3f(1, 2, 3)


def test_a_big_integer_sent_to_a_double_is_a_number(live: MakePlant) -> None:
    """Nanoseconds and energy counters are integers beyond 2**53."""
    twin = live(plant(prim("P1", telemetry("s", "double", "a"), telemetry("u", "uint64", "u"))))
    twin.send("a", 1_700_000_000_123_456_789)
    twin.tell("u", 2.0**63)
    assert twin.get("/Plant/P1.s") == 1_700_000_000_123_456_789.0
    assert twin.get("/Plant/P1.u") == 2**63


HEALTH = "/StageTwin/Health.twin:health:"


def test_health_is_on_the_stage(live: MakePlant) -> None:
    twin = live(plant(prim("P1", telemetry("a", address="a"), telemetry("b", address="b"))))
    twin.tell("a", 1.0, source_time=100.0)
    twin.tell("a", 2.0, source_time=90.0)
    twin.tell("a", "text", source_time=101.0)
    twin.send("nowhere", 1)
    twin.clock.advance(2.0)
    report = twin.twin.refresh_health()
    shown = {name: twin.get(HEALTH + name) for name in report}
    assert {name: float(value) for name, value in shown.items()} == report
    assert (shown["received"], shown["applied"], shown["late"], shown["rejected"]) == (3, 1, 1, 3)
    assert (shown["signals"], shown["stale"], shown["dropped"]) == (2, 1, 0)
    assert shown["oldestAge"] == float("inf")
    assert shown["rate"] == 1.5
    assert shown["time"] == twin.clock.wall()
    twin.clock.advance(1.0)
    assert twin.twin.refresh_health()["rate"] == 0.0
    prim_at = twin.stage.GetPrimAtPath("/StageTwin/Health")
    assert prim_at.GetAppliedSchemas() == ["TwinHealthAPI"]
    documented = {name for name in prim_at.GetPropertyNames() if name.startswith("twin:health:")}
    assert documented == {f"twin:health:{name}" for name in report}


def test_the_age_of_the_oldest_signal_is_measured(live: MakePlant) -> None:
    twin = live(plant(prim("P1", telemetry("a", address="a"))))
    twin.tell("a", 1.0)
    twin.tick(4.0)
    assert twin.twin.refresh_health()["oldestAge"] == 4.0
    empty = live(plant())
    assert empty.twin.refresh_health()["oldestAge"] == 0.0
