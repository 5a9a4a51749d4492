"""What was acknowledged is there: any order, any doubling, a kill at any moment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pxr import Sdf

from stagetwin import ReviewError
from stagetwin.identifiers import uuid7
from stagetwin.people import Principal
from stagetwin.reviews import ReviewConflictError, ReviewDesk
from stagetwin.reviews._log import OperationLog
from stagetwin.reviews._store import ReviewStore
from tests.stages.reviews.desks import ADA, BO, CY, EVERYBODY, Office, hall, png

PEOPLE = (ADA, BO, CY)


def state(office: Office) -> dict[str, Any]:
    """Return all topics by id."""
    return {row["id"]: row for row in office.desk.rows(ADA)}


@st.composite
def sessions(draw: st.DrawFn) -> list[tuple[int, dict[str, Any]]]:
    """Operations of several people, as their clients made them offline, in any order, doubled."""
    topics = [uuid7() for _ in range(draw(st.integers(1, 3)))]
    made: list[tuple[int, dict[str, Any]]] = []
    for number, topic in enumerate(topics):
        anchors = [{"prim": "/World/P101"}] if number % 2 else []
        create = {"id": topic, "kind": "create", "title": f"T{number}", "anchors": anchors}
        made.append((draw(st.integers(0, 2)), create))
    for _ in range(draw(st.integers(0, 12))):
        who, topic = draw(st.integers(0, 2)), draw(st.sampled_from(topics))
        operation: dict[str, Any] = {"id": uuid7(), "topic": topic}
        kind = draw(st.sampled_from(["comment", "comment", "comment", "edit", "status"]))
        if kind == "comment":
            operation |= {"kind": kind, "text": draw(st.text("ab\n\u00e9\\\"'", min_size=1))}
        elif kind == "edit":
            revision = draw(st.integers(1, 3))
            operation |= {"kind": kind, "revision": revision, "title": f"by {who}"}
        else:
            word = draw(st.sampled_from(["open", "in_progress", "resolved", "closed"]))
            operation |= {"kind": kind, "revision": draw(st.integers(1, 3)), "status": word}
        made.append((who, operation))
    doubled = made + draw(st.lists(st.sampled_from(made), max_size=8))
    return draw(st.permutations(doubled))


def deliver(office: Office, arriving: list[tuple[int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Send operations as clients do: what has no topic yet is sent again later."""
    taken: list[dict[str, Any]] = []
    waiting = arriving
    while waiting:
        again = []
        for who, operation in waiting:
            try:
                answer = office.desk.perform(operation, PEOPLE[who])
                if not answer["duplicate"]:
                    taken.append({"who": who, **operation})
            except ReviewConflictError:
                pass  # its client merges, and asks anew under another id
            except ReviewError as error:
                if "there is no topic" in str(error):
                    again.append((who, operation))
                elif "closed" not in str(error):
                    raise
        if len(again) == len(waiting):
            break
        waiting = again
    return taken


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sessions())
def test_any_order_is_some_serial_order_and_no_comment_is_lost(
    arriving: list[tuple[int, dict[str, Any]]],
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        office = Office(Path(scratch) / "a")
        taken = deliver(office, arriving)
        result = state(office)
        sent = {o["id"]: o for _, o in arriving if o["kind"] == "comment"}
        found = [c for row in result.values() for c in row["comments"]]
        assert sorted(c["id"] for c in found) == sorted(sent)
        for comment in found:
            assert comment["text"] == sent[comment["id"]]["text"]
        # One by one, in the order in which they were taken: the same.
        serial = Office(Path(scratch) / "b")
        for each in taken:
            operation = {key: value for key, value in each.items() if key != "who"}
            assert not serial.desk.perform(operation, PEOPLE[each["who"]])["duplicate"]
        assert state(serial) == result
        # Every edit that was taken moved its topic on by one, and none other did.
        for identity, row in result.items():
            edits = [e for e in taken if e.get("topic") == identity and "revision" in e]
            assert [e["revision"] for e in edits] == list(range(1, row["revision"]))
        text = office.layer.ExportToString()
        office.close()
        again = Office(Path(scratch) / "a")
        assert state(again) == result
        assert again.layer.ExportToString() == text
        ids = {each["id"] for each in taken}
        assert deliver(again, [each for each in arriving if each[1]["id"] in ids]) == []
        again.close()
        serial.close()


def filled(folder: Path) -> dict[str, Any]:
    """Write topics, some in the file and some in the log alone, and leave without saving."""
    office = Office(folder)
    topic = office.do(
        ADA,
        "create",
        title="One",
        anchors=[{"prim": "/World/P101", "normal": [0, 0, 1]}],
        snapshot=png(),
        viewpoint={"position": [0, 0, 5], "target": [0, 0, 0], "up": [0, 1, 0]},
        sections=[{"prim": "/World", "point": [0, 0, 1], "normal": [0, 0, 1]}],
    )
    office.do(BO, "comment", topic=topic["id"], text="Kept in the file.")
    office.desk.save()
    office.do(BO, "comment", topic=topic["id"], text="Kept in the log.")
    office.do(CY, "edit", topic=topic["id"], revision=1, title="Two")
    office.do(CY, "create", title="Three")
    result = state(office)
    office.desk._store.close()  # as a process ends that was killed
    return result


def test_log_and_file_together_are_everything(tmp_path: Path) -> None:
    result = filled(tmp_path)
    again = Office(tmp_path)
    assert state(again) == result
    assert again.desk.faults == []
    again.close()


def test_torn_end_of_the_log_is_cut_off(tmp_path: Path) -> None:
    filled(tmp_path / "whole")
    log = (tmp_path / "whole" / "review.log").read_bytes()
    ends = [at + 1 for at, byte in enumerate(log) if byte == 10]
    for cut in {*range(ends[-2] + 1, len(log), 37), len(log) - 1}:
        folder = tmp_path / str(cut)
        shutil.copytree(tmp_path / "whole", folder)
        (folder / "review.log").write_bytes(log[:cut])
        office = Office(folder)
        assert {row["title"] for row in state(office).values()} == {"Two"}
        assert office.desk.faults == []
        office.do(ADA, "create", title="After")
        office.desk._store.close()
        again = Office(folder)
        assert {row["title"] for row in state(again).values()} == {"Two", "After"}
        again.close()


def test_damaged_file_is_set_aside_and_the_service_goes_on(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "review.usda").write_text("#usda 1.0\ndef nonsense {")
    office = Office(tmp_path)
    (aside,) = tmp_path.glob("review.damaged-*.usda")
    assert any(aside.name in fault for fault in office.desk.faults)
    assert (tmp_path / "review").is_dir()
    office.do(ADA, "create", title="After")
    office.close()
    again = Office(tmp_path)
    assert "After" in {row["title"] for row in state(again).values()}
    assert again.desk.faults == []
    again.close()


def test_damaged_topic_costs_no_other(tmp_path: Path) -> None:
    office = Office(tmp_path)
    one = office.do(ADA, "create", title="One")
    office.do(ADA, "create", title="Two")
    office.close()
    layer = Sdf.Layer.OpenAsAnonymous(str(tmp_path / "review.usda"))
    prim = layer.GetPrimAtPath("/Review/Topic_" + one["id"].replace("-", "_"))
    prim.RemoveProperty(prim.attributes["review:status"])
    layer.Export(str(tmp_path / "review.usda"))
    again = Office(tmp_path)
    assert [row["title"] for row in state(again).values()] == ["Two"]
    (fault,) = again.desk.faults
    assert "review:status" in fault
    again.close()


def test_damaged_line_of_the_log_costs_no_other(tmp_path: Path) -> None:
    office = Office(tmp_path)
    topic = office.do(ADA, "create", title="One")
    office.do(BO, "comment", topic=topic["id"], text="first")
    office.do(BO, "comment", topic=topic["id"], text="second")
    office.desk._store.close()
    log = tmp_path / "review.log"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(lines[0] + b"\xff{nonsense\n" + lines[2])
    again = Office(tmp_path)
    assert [c["text"] for c in state(again)[topic["id"]]["comments"]] == ["second"]
    assert len(again.desk.faults) == 1
    again.close()


def test_full_disk_refuses_and_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(tmp_path)
    topic = office.do(ADA, "create", title="One")
    before = (tmp_path / "review.log").read_bytes()

    def no_space(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    comment = {"id": uuid7(), "kind": "comment", "topic": topic["id"], "text": "x"}
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(ReviewError, match="No space left"):
            office.desk.perform(comment, BO)
    assert (tmp_path / "review.log").read_bytes() == before
    assert office.desk.row(ADA, topic["id"])["comments"] == []
    office.desk.perform(comment, BO)
    assert len(office.desk.row(ADA, topic["id"])["comments"]) == 1
    office.close()


def test_log_is_shortened_and_still_knows_what_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stagetwin.reviews._store.MAX_LOG", 2000)
    office = Office(tmp_path)
    create = {"id": uuid7(), "kind": "create", "title": "One"}
    office.desk.perform(create, ADA)
    edits = []
    for revision in range(1, 21):
        edit = {"id": uuid7(), "kind": "edit", "topic": create["id"], "revision": revision}
        edits.append({**edit, "title": f"T{revision}", "description": "x" * 500})
        office.desk.perform(edits[-1], BO)
    size = (tmp_path / "review.log").stat().st_size
    office.desk.save()
    assert (tmp_path / "review.log").stat().st_size < size / 2
    office.do(ADA, "comment", topic=create["id"], text="after")
    office.desk._store.close()
    again = Office(tmp_path)
    assert all(again.desk.perform(edit, BO)["duplicate"] for edit in edits)
    assert len(again.desk.row(ADA, create["id"])["comments"]) == 1
    assert again.desk.row(ADA, create["id"])["revision"] == 21
    again.close()


def test_comment_is_once_long_after_the_log_forgot_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stagetwin.reviews._store.MAX_SEEN", 1)
    office = Office(tmp_path)
    create = {"id": uuid7(), "kind": "create", "title": "One"}
    office.desk.perform(create, ADA)
    comment = {"id": uuid7(), "kind": "comment", "topic": create["id"], "text": "x"}
    office.desk.perform(comment, BO)
    office.do(BO, "comment", topic=create["id"], text="y")
    assert office.desk.perform(comment, BO)["duplicate"]
    assert office.desk.perform(create, ADA)["duplicate"]
    with pytest.raises(ReviewError, match="content differs"):
        office.desk.perform({**comment, "text": "z"}, BO)
    assert len(office.desk.row(ADA, create["id"])["comments"]) == 2
    office.close()


def test_folder_has_one_owner(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with pytest.raises(ReviewError, match="another service does"):
        ReviewStore(tmp_path)
    office.close()
    ReviewStore(tmp_path).close()


def test_pictures_that_nobody_shows_are_swept(tmp_path: Path) -> None:
    office = Office(tmp_path)
    topic = office.do(ADA, "create", title="One", snapshot=png(shade=1))
    office.do(ADA, "edit", topic=topic["id"], revision=1, snapshot=png(shade=2))
    assert len(list((tmp_path / "review").glob("*.png"))) == 2
    office.close()
    again = Office(tmp_path)
    (kept,) = (tmp_path / "review").glob("*.png")
    assert kept.stem == again.desk.row(ADA, topic["id"])["snapshot"]
    again.close()


def test_file_opens_as_a_sublayer_elsewhere(tmp_path: Path) -> None:
    office = Office(tmp_path)
    topic = office.do(ADA, "create", title="One", anchors=[{"prim": "/World/P101"}])
    office.close()
    stage = hall()
    stage.GetRootLayer().subLayerPaths.append(str(tmp_path / "review.usda"))
    prim = stage.GetPrimAtPath("/Review/Topic_" + topic["id"].replace("-", "_"))
    assert prim.GetAttribute("review:title").Get() == "One"
    (target,) = prim.GetRelationship("review:targets").GetTargets()
    assert stage.GetPrimAtPath(target)


_WRITER = """
import sys
from pathlib import Path
from tests.stages.reviews.desks import ADA, BO, Office
office = Office(Path(sys.argv[1]))
topic = office.do(ADA, "create", title="One")["id"]
print(topic, flush=True)
number = 0
while True:
    row = office.do(BO, "comment", topic=topic, text=f"number {number}")
    print(row["comments"][-1]["id"], flush=True)
    number += 1
    if number % 3 == 0:
        office.desk.save()
"""


@pytest.mark.parametrize("count", [2, 30])
def test_kill_at_any_moment_loses_nothing_acknowledged(tmp_path: Path, count: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["stages", "."])}
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    try:
        acknowledged = [process.stdout.readline().strip() for _ in range(count)]
    finally:
        process.kill()
        acknowledged += process.stdout.read().split()
        process.stdout.close()
        process.wait()
    office = Office(tmp_path)
    row = office.desk.row(ADA, acknowledged[0])
    found = [comment["id"] for comment in row["comments"]]
    # The last may be there although nobody was told.
    assert found[: len(acknowledged) - 1] == acknowledged[1:]
    assert len(found) <= len(acknowledged)
    assert office.desk.faults == []
    office.close()


def test_log_says_what_it_keeps(tmp_path: Path) -> None:
    log = OperationLog(tmp_path / "x.log")
    log.append({"a": 1})
    log.append({"b": [2, None]})
    assert (tmp_path / "x.log").stat().st_mode & 0o777 == 0o600
    assert OperationLog(tmp_path / "x.log").read() == [{"a": 1}, {"b": [2, None]}]
    assert [json.loads(line) for line in (tmp_path / "x.log").read_text().splitlines()]


def test_desk_belongs_to_its_thread(tmp_path: Path) -> None:
    import threading

    office = Office(tmp_path)
    caught: list[BaseException] = []

    def elsewhere() -> None:
        try:
            office.desk.rows(Principal("ada"))
        except Exception as error:
            caught.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert [type(error).__name__ for error in caught] == ["OwnershipError"]
    assert isinstance(office.desk, ReviewDesk)
    assert EVERYBODY.may(ADA, "read", "/")  # type: ignore[arg-type]
    office.close()
