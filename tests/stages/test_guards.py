"""Guards: what a plant approved about its commands, and what happens when that changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pxr import Sdf, Usd

from stagetwin._errors import StageError
from stagetwin.bindings import read_bindings
from stagetwin.guards import GuardBook, GuardStage, guard_hashes, write_atomically
from tests.stages.conftest import MakePlant
from tests.stages.plants import (
    Plant,
    asset,
    command,
    plant,
    prim,
    rule,
    stage_of,
    telemetry,
)

READY = "/Plant/P1.twin:telemetry:ready:value"
RPM = "/Plant/P1.twin:telemetry:rpm:value"
SPEED = "/Plant/P1.twin:command:speed:"
TEXT = plant(
    prim(
        "P1",
        asset("P-101", level="twin", roles=["operator"]),
        telemetry("rpm", address="rpm", hard=(0, 4000)),
        telemetry("ready", "bool", "ready"),
        telemetry("temp", address="temp"),
        command(
            "speed",
            address="speed",
            hard=(0, 3000),
            permissives=READY,
            readback=RPM,
            safe="0",
        ),
        rule("slow", RPM, "double 3500", "/Plant/P1.twin:command:speed:desired", "double 500"),
    ),
    prim("P2", asset("P-102", level="shadow"), command("speed", address="s2")),
    prim("P3", asset("P-103", level="twin"), telemetry("rpm", address="rpm3")),
)


def hashes(stage: Usd.Stage) -> dict[str, str]:
    return guard_hashes(read_bindings(stage))


def test_only_what_claims_to_be_a_twin_has_guards() -> None:
    assert sorted(hashes(stage_of(TEXT))) == ["/Plant/P1", "/Plant/P3"]


def test_a_hash_is_stable_and_each_assets_own() -> None:
    first, second = hashes(stage_of(TEXT)), hashes(stage_of(TEXT))
    assert first == second
    assert len(set(first.values())) == len(first)


def set_to(path: str, value: object) -> Callable[[Usd.Stage], None]:
    def edit(stage: Usd.Stage) -> None:
        where, name = Sdf.Path(path).GetPrimPath(), Sdf.Path(path).name
        types = {str: "string", float: "double"}
        attr = stage.GetAttributeAtPath(path)
        if not attr or not attr.IsDefined():
            attr = stage.GetPrimAtPath(where).CreateAttribute(
                name, Sdf.ValueTypeNames.Find(types[type(value)]), custom=False
            )
        attr.Set(value)

    return edit


def limit_to(path: str, maximum: float) -> Callable[[Usd.Stage], None]:
    def edit(stage: Usd.Stage) -> None:
        stage.GetAttributeAtPath(path).SetMetadata("limits", {"hard": {"maximum": maximum}})

    return edit


def drop_permissive(stage: Usd.Stage) -> None:
    stage.GetRelationshipAtPath(SPEED + "permissives").SetTargets([])


def switch(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath("/Plant/P1").CreateRelationship("twin:remote").SetTargets([READY])


def drop_rule(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath("/Plant/P1").RemoveAppliedSchema("TwinRuleAPI:slow")


RULE = "/Plant/P1.twin:rule:slow:"
GUARDED = [
    switch,
    drop_rule,
    set_to(RULE + "threshold", 3900.0),
    set_to(RULE + "setpoint", 2500.0),
    set_to(RULE + "holdFor", 5.0),
    set_to(RULE + "urgency", "urgent"),
    set_to(RULE + "comparison", "below"),
    set_to(SPEED + "dwell", 3.0),
    set_to(SPEED + "debounce", 3.0),
    set_to(SPEED + "safe", 100.0),
    set_to(SPEED + "settleTime", 50.0),
    set_to(SPEED + "publish", "settled"),
    set_to(SPEED + "wireType", "Float"),
    set_to(SPEED + "scale", 10.0),
    set_to("/line.twin:commandCredential", "other"),
    set_to("/line.twin:securityProfile", "trusted"),
    set_to("/Plant/P1.twin:level", "shadow"),
    set_to("/Plant/P1.twin:roles", ["operator", "guest"]),
    set_to(SPEED + "address", "elsewhere"),
    set_to(SPEED + "approval", "none"),
    set_to(SPEED + "policyClass", "routine"),
    set_to(SPEED + "rateLimit", 5.0),
    set_to(SPEED + "expiry", 60.0),
    set_to(SPEED + "tolerance", 9.0),
    set_to(SPEED + "unit", "rad/s"),
    limit_to(SPEED + "desired", 2500.0),
    drop_permissive,
    set_to("/Plant/P1.twin:telemetry:ready:address", "always/true"),
    set_to("/Plant/P1.twin:telemetry:rpm:scale", 2.0),
    set_to("/Plant/P1.twin:telemetry:rpm:staleAfter", 1e9),
    limit_to(RPM, 100.0),
    set_to("/line.twin:endpoint", "soft://other"),
    set_to("/line.twin:realm", "plant"),
    set_to("/line.twin:credential", "mine"),
    set_to(SPEED + "unit", "furlongs!"),
]


@pytest.mark.parametrize("edit", GUARDED)
def test_a_guarded_edit_changes_the_assets_hash_and_no_other(
    edit: Callable[[Usd.Stage], None],
) -> None:
    stage = stage_of(TEXT)
    before = hashes(stage)
    edit(stage)
    after = hashes(stage)
    assert after.get("/Plant/P1") != before["/Plant/P1"]
    assert after["/Plant/P3"] == before["/Plant/P3"]


def test_a_rule_elsewhere_that_commands_an_asset_is_among_its_guards() -> None:
    foreign = rule(
        "far",
        "/Plant/P3.twin:telemetry:rpm:value",
        "double 5",
        "/Plant/P1.twin:command:speed:desired",
        "double 3000",
    )
    before = hashes(stage_of(TEXT))
    text = TEXT.replace(
        f'apiSchemas = ["TwinAssetAPI", "{telemetry("rpm").api}"]',
        f'apiSchemas = ["TwinAssetAPI", "{telemetry("rpm").api}", "{foreign.api}"]',
    ).replace('string twin:telemetry:rpm:address = "rpm3"', f"string twin:telemetry:rpm:address = "
              f'"rpm3"\n{foreign.text}')  # fmt: skip
    stage = stage_of(text)
    assert [r.path for r in read_bindings(stage).rules] == ["/Plant/P1.slow", "/Plant/P3.far"]
    after = hashes(stage)
    assert after["/Plant/P1"] != before["/Plant/P1"]
    stage.GetAttributeAtPath("/Plant/P3.twin:telemetry:rpm:address").Set("elsewhere")
    assert hashes(stage)["/Plant/P1"] != after["/Plant/P1"], "and the signal it goes by"


@pytest.mark.parametrize(
    "edit",
    [
        set_to("/Plant/P1.twin:telemetry:temp:address", "other/temp"),
        set_to("/Plant/P2.twin:command:speed:address", "other"),
        set_to(RPM, 5.0),
        set_to(SPEED + "desired", 1500.0),
    ],
)
def test_what_guards_nothing_changes_no_hash(edit: Callable[[Usd.Stage], None]) -> None:
    stage = stage_of(TEXT)
    before = hashes(stage)
    edit(stage)
    assert hashes(stage) == before


def test_the_guard_stage_hears_no_session() -> None:
    stage = stage_of(TEXT)
    guards = GuardStage(stage.GetRootLayer())
    before = guards.hashes()
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        for edit in GUARDED:
            edit(stage)
    assert guards.hashes() == before
    assert hashes(stage) != before
    set_to(SPEED + "address", "elsewhere")(stage)
    assert guards.hashes() != before


@pytest.fixture
def book(tmp_path: Path) -> GuardBook:
    return GuardBook(tmp_path / "state" / "guards.json")


@pytest.fixture
def twin(live: MakePlant, book: GuardBook) -> Plant:
    stage = stage_of(TEXT)
    book.approve(GuardStage(stage.GetRootLayer()).hashes(), "ada", 1000.0)
    return live(stage, book)


def level(twin: Plant) -> tuple[str, str]:
    return twin.get("/Plant/P1.twin:level"), twin.attr("/Plant/P1.twin:cause").Get() or ""


def test_an_approved_asset_is_a_twin(twin: Plant) -> None:
    assert twin.twin.demoted == {}
    assert level(twin) == ("twin", "")


def test_an_asset_never_approved_runs_as_shadow_and_says_so(
    live: MakePlant, book: GuardBook
) -> None:
    twin = live(stage_of(TEXT), book)
    assert sorted(twin.twin.demoted) == ["/Plant/P1", "/Plant/P3"]
    shown, cause = level(twin)
    assert shown == "shadow"
    assert "never approved" in cause
    twin.tell("rpm", 5.0)
    assert twin.get("/Plant/P1.rpm") == 5.0, "a shadow still hears its machine"


def test_a_changed_guard_demotes_until_it_is_approved_again(twin: Plant, book: GuardBook) -> None:
    limit_to(SPEED + "desired", 9000.0)(twin.stage)
    twin.twin.sync_structure()
    assert sorted(twin.twin.demoted) == ["/Plant/P1"]
    shown, cause = level(twin)
    assert shown == "shadow"
    assert "changed since ada approved" in cause
    current = GuardStage(twin.stage.GetRootLayer()).hashes()
    assert list(book.demotions(current)) == ["/Plant/P1"]
    book.approve(current, "ben", 2000.0)
    twin.twin.guards_approved()
    assert level(twin) == ("twin", "")
    assert twin.twin.demoted == {}


def test_a_guard_that_is_set_back_needs_no_new_approval(twin: Plant) -> None:
    edit = twin.attr(SPEED + "address")
    edit.Set("elsewhere")
    twin.twin.sync_structure()
    assert level(twin)[0] == "shadow"
    edit.Set("speed")
    twin.twin.sync_structure()
    assert level(twin) == ("twin", "")


def test_a_sessions_edit_of_a_limit_changes_nothing_about_the_guards(twin: Plant) -> None:
    with Usd.EditContext(twin.stage, twin.stage.GetSessionLayer()):
        limit_to(SPEED + "desired", 1e6)(twin.stage)
        set_to(SPEED + "address", "elsewhere")(twin.stage)
    assert twin.twin.sync_structure() is True
    assert twin.twin.demoted == {}
    assert level(twin) == ("twin", "")
    (found,) = [c for c in twin.twin.table.commands if c.asset == "/Plant/P1"]
    assert found.limits.hard_max == 3000, "the tightest over all layers"


def test_a_session_cannot_promote(live: MakePlant, book: GuardBook) -> None:
    twin = live(stage_of(TEXT), book)
    with Usd.EditContext(twin.stage, twin.twin.layers.review):
        twin.attr("/Plant/P2.twin:level").Set("twin")
    twin.twin.sync_structure()
    assert "/Plant/P2" not in hashes(stage_of(TEXT))
    assert level(twin)[0] == "shadow"


def test_a_demoted_asset_that_is_removed_leaves_no_word_behind(
    live: MakePlant, book: GuardBook
) -> None:
    twin = live(stage_of(TEXT), book)
    twin.stage.RemovePrim("/Plant/P1")
    twin.twin.sync_structure()
    assert sorted(twin.twin.demoted) == ["/Plant/P3"]
    assert not twin.twin.layers.state.GetAttributeAtPath("/Plant/P1.twin:level")


def test_a_book_is_read_back_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "guards.json"
    GuardBook(path).approve({"/A": "1", "/B": "2"}, "ada", 5.0)
    assert path.stat().st_mode & 0o777 == 0o600
    book = GuardBook(path)
    assert book.demotions({"/A": "1", "/B": "2"}) == {}
    assert book.demotions({"/A": "1", "/B": "x", "/C": "3"}).keys() == {"/B", "/C"}
    book.approve({"/C": "3"}, "ben", 6.0)
    assert GuardBook(path).demotions({"/A": "1", "/C": "3"}) == {}


@pytest.mark.parametrize("text", ["", "{", '{"version": 1, "assets": {"/A": {"hash": "1"}}}', '{"x": 1}'])  # fmt: skip  # noqa: E501
def test_a_damaged_book_is_an_error_and_approves_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "guards.json"
    path.write_text(text)
    with pytest.raises(StageError, match="nothing counts as approved"):
        GuardBook(path)


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "book"
    write_atomically(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["book"]


@pytest.mark.parametrize("fault", ["damaged", "world-writable"])
def test_a_book_that_goes_bad_while_it_counts_counts_no_more(
    tmp_path: Path, live: MakePlant, fault: str
) -> None:
    path = tmp_path / "guards.json"
    stage = stage_of(TEXT)
    book = GuardBook(path)
    book.approve(GuardStage(stage.GetRootLayer()).hashes(), "ada", 5.0)
    good = path.read_bytes()
    twin = live(stage, book).twin
    told: list[dict[str, str]] = []
    twin.on_guards.append(lambda: told.append(dict(twin.approved)))
    assert sorted(twin.approved) == ["/Plant/P1", "/Plant/P3"]
    if fault == "damaged":
        path.write_bytes(b"{")
    else:
        path.chmod(0o666)
    with pytest.raises(StageError, match="nothing"):
        twin.guards_approved()
    assert (twin.approved, told) == ({}, [{}])
    assert str(path) in twin.demoted["/Plant/P1"]
    path.write_bytes(good)
    path.chmod(0o600)
    twin.guards_approved()
    assert sorted(twin.approved) == ["/Plant/P1", "/Plant/P3"]
