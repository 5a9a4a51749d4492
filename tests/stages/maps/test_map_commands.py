"""`stagetwin maps` as scripts and people meet it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pxr import Sdf, Usd
from typer.testing import CliRunner

from stagetwin.check import check_stage
from stagetwin.cli import _maps, app
from stagetwin.maps import Obstacle, RoadMap, author_map, read_map
from tests.stages.maps.floors import changed, square
from tests.stages.maps.test_importers import grid_text, lif
from tests.stages.maps.test_poses import recorded, told

assert _maps  # which adds the commands to `app`


def stagetwin(*arguments: object, status: int = 0) -> str:
    # As wide as it takes, for paths of temporary folders are long.
    done = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})
    assert done.exit_code == status, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.output


def layer_with(path: Path, road_map: RoadMap) -> Path:
    layer = Sdf.Layer.CreateNew(str(path))
    author_map(layer, "/Map", road_map)
    Sdf.CreatePrimInLayer(layer, "/Belt").specifier = Sdf.SpecifierDef
    layer.Save()
    return path


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    return layer_with(tmp_path / "square.usda", square())


def test_a_map_is_drawn_and_counted(stage: Path) -> None:
    text = stagetwin("maps", "show", stage)
    assert "square  /Map" in text
    assert "4 nodes, 5 lanes" in text
    assert "/Belt" in text
    assert any("\u2801" <= letter <= "\u28ff" for letter in text)
    (data,) = json.loads(stagetwin("maps", "show", stage, "--json"))
    assert data["id"] == "square"


def test_a_route_is_told(stage: Path) -> None:
    text = stagetwin("maps", "route", stage, "a", "S")
    assert "ab" in text
    assert "over 2 lanes" in text
    data: dict[str, Any] = json.loads(stagetwin("maps", "route", stage, "a", "S", "--json"))
    assert data["nodes"] == ["a", "b", "c"]
    assert data["length"] == pytest.approx(20.77, abs=0.01)
    assert "→" in text, "without colours too, a route does not look like the map"
    assert "→" not in stagetwin("maps", "show", stage)
    small = stagetwin("maps", "route", stage, "c", "a", "--type", "small")
    assert "ac (end to start)" in small
    assert "no route from 'a' to 'S'; closed: bc" in " ".join(
        stagetwin("maps", "route", stage, "a", "S", "--close", "bc", status=2).split()
    )
    assert "no lane or node 'zz'" in stagetwin(
        "maps", "route", stage, "a", "S", "--close", "zz", status=2
    )
    assert "no map 'x'" in stagetwin("maps", "route", stage, "a", "S", "--map", "x", status=2)


def test_a_check_fails_on_errors_alone(stage: Path, tmp_path: Path) -> None:
    assert "1 map: 0 errors, 0 warnings" in stagetwin("maps", "check", stage)
    broken = layer_with(tmp_path / "b.usda", changed(square(), "zones", "hall", authority="orca"))
    text = stagetwin("maps", "check", broken, status=1)
    assert "lanes, grid, free" in text
    found = json.loads(stagetwin("maps", "check", broken, "--json", status=1))
    assert [(p["prim"], p["code"], p["grave"]) for p in found["problems"]] == [
        ("/Map/Zones/hall", "authority", True)
    ]
    crate = Obstacle(polygon=((4.0, -1.0), (6.0, -1.0), (5.0, 1.0)))
    road_map = RoadMap(id="m", nodes=square().nodes, lanes=square().lanes, obstacles=(crate,))
    assert "stands on lane" in stagetwin("maps", "check", layer_with(tmp_path / "c.usda", road_map))


def test_a_foreign_map_goes_into_a_layer(tmp_path: Path) -> None:
    out = tmp_path / "out" / "map.usda"
    text = stagetwin("maps", "import", lif(tmp_path), "--out", out, "--origin", "10,20")
    assert "map 'hall' at /Map" in text
    opened = Usd.Stage.Open(str(out))
    assert opened.GetDefaultPrim().GetPath() == "/Map"
    assert read_map(opened, "hall").nodes["n1"].x == 11.0
    grid = tmp_path / "floor.map"
    grid.write_text(grid_text(["..", ".@"]))
    # What the layer holds elsewhere stays.
    stagetwin("maps", "import", grid, "--out", out, "--path", "/Floor", "--cell", "2")
    opened.Reload()
    assert read_map(opened, "hall").nodes["n1"].x == 11.0
    assert read_map(opened, "floor").zones["grid"].cell == 2.0


def test_recorded_poses_go_into_a_layer_or_a_recording(tmp_path: Path) -> None:
    messages = [told("amr", float(t), x=t, y=0, theta=0) for t in range(3)]
    recording = recorded(tmp_path / "a.mcap", messages)
    out, table = tmp_path / "p.usda", tmp_path / "p.csv"
    assert "3 poses of 1 vehicles over 2.0 s" in stagetwin(
        "maps", "import", recording, "--out", out
    )
    opened = Usd.Stage.Open(str(out))
    attr = opened.GetAttributeAtPath("/Poses/amr.xformOp:transform:recorded")
    assert attr.GetTimeSamples() == [0.0, 24.0, 48.0]
    stagetwin("maps", "import", recording, "--out", table)
    assert table.read_text().splitlines()[0] == "time,x,y,theta"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["x.bin", "--out", "a.usda"], "--format is one of lif, open-rmf, movingai, poses"),
        (["x.json", "--out", "a.usda"], "No such file"),
        (["x.json", "--out", "a.usda", "--format", "kml"], "no format 'kml'"),
        (["x.json", "--out", "a.usda", "--origin", "1,b"], "is not X,Y or X,Y,YAW"),
        (["{lif}", "--out", "a.txt"], "--out is a layer"),
        (["{lif}", "--out", "a.usda", "--level", "L9"], "no layout 'L9'; layouts: 'hall'"),
        (["{lif}", "--out", "a.usda", "--path", "Map"], "path of a prim such as /Map"),
    ],
)
def test_what_cannot_be_imported_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = lif(tmp_path)
    text = stagetwin("maps", "import", *(a.format(lif=file) for a in arguments), status=2)
    assert says in " ".join(text.split())
    assert not (tmp_path / "a.usda").exists()


def test_the_map_that_the_page_shows_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "maps.md").read_text(encoding="utf-8")
    shown = re.search(r"```usda\n(#usda.*?)```", page, re.DOTALL)
    assert shown is not None
    stage = tmp_path / "hall.usda"
    stage.write_text(shown[1], encoding="utf-8")
    assert "1 map: 0 errors, 0 warnings" in stagetwin("maps", "check", stage)
    assert "9.0 m over 2 lanes in" in stagetwin("maps", "route", stage, "a", "CH1")
    report = check_stage(stage)
    assert [problem.code for problem in report.problems] == ["nothing-live"]
