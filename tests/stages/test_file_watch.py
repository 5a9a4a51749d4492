"""Files that change while a stage is opened, and while it runs."""

from __future__ import annotations

import os
from pathlib import Path

from pxr import Sdf, Usd

from stagetwin.live import FileWatcher

TEXT = '#usda 1.0\n(\n    doc = "{}"\n)\n'


def test_a_file_that_changed_since_it_was_opened_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "plant.usda"
    path.write_text(TEXT.format("one"))
    stage = Usd.Stage.Open(str(path))
    path.write_text(TEXT.format("two"))
    FileWatcher(stage)
    assert stage.GetRootLayer().documentation == "two"


def test_a_file_that_was_written_twice_within_a_step_of_its_time_is_read_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "plant.usda"
    path.write_text(TEXT.format("one"))
    before = path.stat()
    stage = Usd.Stage.Open(str(path))
    path.write_text(TEXT.format("two"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    FileWatcher(stage)
    assert stage.GetRootLayer().documentation == "two"


def test_a_sublayer_that_changed_between_its_opening_and_the_next_look_is_read_again(
    tmp_path: Path,
) -> None:
    path, site = tmp_path / "plant.usda", tmp_path / "site.usda"
    site.write_text(TEXT.format("one"))
    path.write_text("#usda 1.0\n")
    stage = Usd.Stage.Open(str(path))
    watcher = FileWatcher(stage)
    path.write_text("#usda 1.0\n(\n    subLayers = [@./site.usda@]\n)\n")
    assert watcher.poll() == [str(path)]
    layer = Sdf.Layer.Find(str(site))
    assert layer.documentation == "one"
    site.write_text(TEXT.format("two"))
    assert watcher.poll() == [str(site)]
    assert layer.documentation == "two"


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "plant.usda"
    path.write_text(TEXT.format("one"))
    watcher = FileWatcher(Usd.Stage.Open(str(path)))
    assert watcher.poll() == []


def test_edits_that_were_there_before_the_first_look_stay(tmp_path: Path) -> None:
    path = tmp_path / "plant.usda"
    path.write_text(TEXT.format("one"))
    stage = Usd.Stage.Open(str(path))
    stage.GetRootLayer().documentation = "mine"
    path.write_text(TEXT.format("two"))
    FileWatcher(stage)
    assert stage.GetRootLayer().documentation == "mine"


def test_a_file_that_was_broken_after_its_opening_leaves_the_last_good_state(
    tmp_path: Path,
) -> None:
    path = tmp_path / "plant.usda"
    path.write_text(TEXT.format("one"))
    stage = Usd.Stage.Open(str(path))
    path.write_text("#usda 1.0\n(\n")
    watcher = FileWatcher(stage)
    assert list(watcher.unreadable) == [str(path)]
    assert stage.GetRootLayer().documentation == "one"
    path.write_text(TEXT.format("two and longer"))
    assert watcher.poll() == [str(path)]
    assert (watcher.unreadable, stage.GetRootLayer().documentation) == ({}, "two and longer")
