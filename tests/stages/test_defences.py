"""What must not be possible: each was, once."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd

from stagetwin import StageError
from stagetwin.bindings import read_bindings
from stagetwin.guards import GuardBook, guard_hashes
from stagetwin.host import wire
from stagetwin.opening import open_stage
from stagetwin.ports import Reject
from stagetwin.service import write_snapshot
from stagetwin.signals import Samples
from stagetwin.twin import Twin
from tests.stages.conftest import MakePlant
from tests.stages.plants import asset, command, plant, prim, stage_of, telemetry


def test_a_snapshot_never_overwrites_a_layer_of_the_plant(tmp_path: Path) -> None:
    path = tmp_path / "plant.usda"
    path.write_text(plant(prim("P1", telemetry("flow"))))
    before = path.read_bytes()
    link = tmp_path / "link.usda"
    link.symlink_to(path)
    stage = open_stage(path)
    for target in (path, link):
        with pytest.raises(StageError, match="layer of the plant"):
            write_snapshot(stage, target)
    assert path.read_bytes() == before


def test_a_session_cannot_claim_a_higher_level(live: MakePlant, tmp_path: Path) -> None:
    text = plant(prim("P1", asset(level="shadow"), telemetry("flow")))
    twin = live(text, GuardBook(tmp_path / "guards.json"))
    level = twin.stage.GetPrimAtPath("/Plant/P1").GetAttribute("twin:level")
    twin.stage.SetEditTarget(twin.stage.GetSessionLayer())
    level.Set("twin")
    twin.twin.sync_structure()
    assert level.Get() == "shadow"


def redundant(first: str) -> str:
    both = (
        telemetry(f"ready_{n}", "bool", address, redundancyGroup="r", target="/Plant/P1.ready")
        for n, address in (("a", first), ("b", "plc/b"))
    )
    return plant(
        prim(
            "P1",
            asset(level="twin"),
            *both,
            command("speed", address="speed", permissives="/Plant/P1.ready"),
            "bool ready",
        )
    )


def test_every_source_of_a_permissive_is_guarded() -> None:
    def hashes(first: str) -> dict[str, str]:
        table = read_bindings(stage_of(redundant(first)))
        assert not table.errors()
        return guard_hashes(table)

    assert hashes("plc/a").keys() == {"/Plant/P1"}
    assert hashes("plc/a") == hashes("plc/a")
    assert hashes("plc/a") != hashes("evil/a")


def test_a_time_far_ahead_does_not_freeze_a_signal(live: MakePlant) -> None:
    twin = live(plant(prim("P1", telemetry("flow", address="flow"))))
    now = time.time()
    twin.tell("flow", 1.0, source_time=4e9)
    assert twin.quality("/Plant/P1.flow") == "uncertain"
    twin.tell("flow", 2.0, source_time=now)
    assert twin.get("/Plant/P1.flow") == 2.0
    assert twin.twin.hub.fates.late == 0


def test_a_book_that_others_can_write_approves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "guards.json"
    GuardBook(path).approve({"/A": "hash"}, "me", 1.0)
    path.chmod(0o666)
    with pytest.raises(StageError, match="written by others"):
        GuardBook(path)
    path.chmod(0o600)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(StageError, match="cannot be read, nothing"):
        GuardBook(path)


def test_two_who_approve_at_once_are_both_heard(tmp_path: Path) -> None:
    one, other = (GuardBook(tmp_path / "guards.json") for _ in range(2))
    one.approve({"/A": "a"}, "one", 1.0)
    other.approve({"/B": "b"}, "other", 2.0)
    assert GuardBook(tmp_path / "guards.json").demotions({"/A": "a", "/B": "b"}) == {}


def test_a_sidecar_keeps_everything_the_root_layer_says_of_the_stage(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"asset_{name}.usda").write_text(
            f'#usda 1.0\ndef Xform "A" {{\nint {name}\n}}\n'
        )
    root = tmp_path / "plant.usda"
    root.write_text("""#usda 1.0
(
    expressionVariables = {
        string WHICH = "b"
    }
    startTimeCode = 2
    endTimeCode = 9
    upAxis = "Z"
)
def "X" ( references = @`"./asset_${WHICH}.usda"`@</A> )
{
}
""")
    sidecar = tmp_path / "live.usda"
    sidecar.write_text("#usda 1.0\n")
    stage = open_stage(root, [sidecar])
    assert stage.GetPrimAtPath("/X").HasAttribute("b")
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (2, 9)


def test_the_guards_own_layers_are_watched_too(tmp_path: Path) -> None:
    """A session that looks at another variant does not hide an edit of the approved one."""
    limit = tmp_path / "limits.usda"

    def say(maximum: int) -> None:
        limit.write_text(f"""#usda 1.0
def "L"
{{
    double twin:command:speed:desired (
        limits = {{
            dictionary hard = {{
                double maximum = {maximum}
            }}
        }}
    )
}}
""")

    say(10)
    body = command("speed", address="speed")
    root = tmp_path / "plant.usda"
    root.write_text(
        plant(
            prim(
                "P1",
                asset(level="twin"),
                telemetry("flow"),
                body,
                """variantSet "kind" = {
    "a" ( references = @./limits.usda@</L> ) {
    }
    "b" {
    }
}
""",
                meta='variants = {\nstring kind = "a"\n}\nprepend variantSets = "kind"',
            )
        )
    )
    book = GuardBook(tmp_path / "guards.json")
    stage = open_stage(root)
    book.approve(guard_hashes(read_bindings(stage)), "me", 1.0)
    twin = Twin(stage, guards=book)
    assert twin.demoted == {}
    stage.SetEditTarget(stage.GetSessionLayer())
    stage.GetPrimAtPath("/Plant/P1").GetVariantSet("kind").SetVariantSelection("b")
    twin.sync_structure()
    say(10_000)
    twin.sync_structure()
    assert "changed since me" in twin.demoted["/Plant/P1"]
    twin.close()


def test_a_standby_sample_is_not_counted_as_applied(live: MakePlant) -> None:
    twin = live(redundant("a"))
    for n in range(10):
        twin.tell("a", bool(n % 2))
        twin.tell("plc/b", bool(n % 2))
    fates = twin.twin.hub.fates
    assert fates.balanced()
    assert fates.standby > 0
    assert fates.applied + fates.standby + fates.unchanged == fates.received == 20


def test_the_group_forgets_when_all_its_sources_changed(live: MakePlant) -> None:
    text = redundant("a")
    twin = live(text)
    twin.tell("a", True)
    ready = twin.stage.GetAttributeAtPath("/Plant/P1.ready")
    assert ready.Get() is True
    for name in ("ready_a", "ready_b"):
        attr = twin.stage.GetPrimAtPath("/Plant/P1").GetAttribute(f"twin:telemetry:{name}:address")
        attr.Set(f"new/{name}")
    twin.twin.sync_structure()
    twin.tick()
    assert ready.Get() is None


@pytest.mark.parametrize("channel", [-1, -(10**7), 10**7])
def test_a_channel_that_does_not_exist_touches_no_other(live: MakePlant, channel: int) -> None:
    twin = live(plant(prim("P1", telemetry("flow", address="flow"))))
    twin.twin.hub.submit(Samples.of([channel], [7.0], receive_time=time.time()))
    twin.twin.hub.vouch([channel], True)
    twin.tick()
    assert twin.get("/Plant/P1.flow") is None
    assert twin.twin.hub.rejections.total(Reject.RETIRED) == 1


def test_columns_of_different_length_do_not_leave_the_bridge() -> None:
    batch = Samples.of([0, 1], [1.0, 2.0], receive_time=1.0)
    batch.value = np.array([1.0])
    with pytest.raises(ValueError, match="columns of samples differ"):
        wire.encode_samples(batch)


def test_a_frame_survives_columns_of_other_types() -> None:
    batch = Samples.of([3, 4], [1.0, 2.0], receive_time=1.0)
    batch.channel = batch.channel.astype(np.int64)  # type: ignore[assignment]
    again = wire.decode_samples(wire.encode_samples(batch)[wire.HEADER.size :])
    assert again.channel.tolist() == [3, 4]
    assert again.value.tolist() == [1.0, 2.0]
    assert math.isnan(again.source_time[0])


def test_no_password_of_an_endpoint_is_repeated() -> None:
    text = '#usda 1.0\ndef TwinConnection "c" {\nstring twin:endpoint = "htp://user:hunter2@h"\n}\n'
    layer = Sdf.Layer.CreateAnonymous("c.usda")
    layer.ImportFromString(text)
    (problem,) = read_bindings(Usd.Stage.Open(layer)).problems
    assert problem.code == "connection-scheme"
    assert "hunter2" not in str(problem)
