"""The Kit extension, over a real service, against stand-ins of the calls it makes."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pxr import Gf, Sdf, Usd

from tests.bridges.plant_service import wait_for
from tests.exts.kit.omni_standins import Kit, StageEventType, installed
from tests.exts.plant import CART, LivePlant

EXTENSION = Path(__file__).parents[3] / "exts" / "stagetwin.kit"


class Session:
    """The extension in an application, its window included."""

    def __init__(self, kit: Kit, extension: Any) -> None:
        self.kit, self.extension = kit, extension

    def connect(self, plant: LivePlant, person: str = "ada") -> None:
        url, token = list(self.kit.window.all("StringField"))[:2]
        url.model.set_value(plant.socket_url)
        token.model.set_value(plant.tokens[person])
        self.kit.window.click("Connect")
        assert token.model.get_value_as_string() == ""
        self.until(lambda: self.reads("live"))

    def reads(self, text: str) -> bool:
        return any(text in line for line in self.kit.window.texts())

    def until(self, what: Callable[[], Any]) -> Any:
        """Draw frames until something is true."""

        def drawn() -> Any:
            self.kit.frame()
            return what()

        try:
            return wait_for(drawn, 30)
        except AssertionError:
            said = self.kit.window.texts()
            raise AssertionError(f"it never came true: {said}") from None

    def write(self, row: int, text: str) -> None:
        """Type a value into the field of a command."""
        fields = list(self.kit.window.all("StringField"))[2:]
        fields[row].model.set_value(text)


@contextmanager
def running(stage: Usd.Stage | None, events: int, **settings: Any) -> Iterator[Session]:
    """Start the extension in an application of one event system, and end it."""
    with installed(stage, events) as kit:
        kit.settings.update({f"/exts/stagetwin.kit/{k}": v for k, v in settings.items()})
        sys.path.insert(0, str(EXTENSION))
        try:
            extension = importlib.import_module("stagetwin_kit.extension").TwinExtension()
            extension.on_startup("stagetwin.kit-0.1.0")
            try:
                yield Session(kit, extension)
            finally:
                extension.on_shutdown()
        finally:
            sys.path.remove(str(EXTENSION))


@pytest.fixture(params=[1, 2], ids=["streams", "events2"])
def session(request: pytest.FixtureRequest, plant: LivePlant) -> Iterator[Session]:
    """The extension on the plant's stage, connected as the operator."""
    with running(Usd.Stage.Open(str(plant.stage)), request.param) as session:
        session.connect(plant)
        yield session


def test_values_arrive_once_a_frame_and_are_shown(session: Session, plant: LivePlant) -> None:
    stage = session.kit.stage
    assert stage is not None
    flow = stage.GetAttributeAtPath("/World/Pump.twin:telemetry:flow:value")
    plant.field.say("pump/flow", 61.5)
    session.until(lambda: flow.Get() == 61.5)
    session.kit.select("/World/Pump")
    # The panel follows the selection a frame later.
    session.until(lambda: session.reads("61.5") and not session.reads("/World/Fan.speed"))


def test_a_draft_is_published_by_the_button_and_moves_the_machine(
    session: Session, plant: LivePlant
) -> None:
    session.kit.select("/World/Pump")
    session.until(lambda: session.reads("allowed [0.0, 3000.0]"))
    value = 1300.0 + session.kit.events * 50
    orders = len(plant.field.orders)
    session.write(0, str(value))
    session.kit.window.click("Draft")
    session.until(lambda: session.reads(f"draft {value}"))
    assert len(plant.field.orders) == orders
    session.kit.window.click("Publish")
    session.until(lambda: session.reads(f"VERIFIED /World/Pump.speed = {value}"))
    assert plant.field.orders[orders:] == [("pump/cmd/speed", value)]


def test_a_moved_prim_becomes_a_command(session: Session, plant: LivePlant) -> None:
    stage = session.kit.stage
    assert stage is not None
    goal = [6.0, float(session.kit.events), 0.0]
    stage.SetEditTarget(Usd.EditTarget(stage.GetSessionLayer()))
    stage.GetAttributeAtPath("/World/Cart.xformOp:translate").Set(Gf.Vec3d(*goal))
    session.kit.select("/World/Cart")
    session.until(lambda: session.reads("reported"))
    session.kit.window.click("From prim")
    session.until(lambda: session.reads("draft ["))
    session.kit.window.click("Publish")
    session.until(lambda: plant.field.values.get("cart/goal") == goal)
    assert CART == "/World/Cart.goal"


def test_edits_undo_and_withdrawn_drafts_never_publish(session: Session, plant: LivePlant) -> None:
    stage = session.kit.stage
    assert stage is not None
    desired = stage.GetAttributeAtPath("/World/Pump.twin:command:speed:desired")
    orders = len(plant.field.orders)
    # The wrong edit target, then the undo that Kit makes of it.
    stage.SetEditTarget(Usd.EditTarget(stage.GetSessionLayer()))
    desired.Set(700.0)
    session.kit.frame()
    desired.Clear()
    session.kit.select("/World/Pump")
    session.until(lambda: session.reads("allowed [0.0, 3000.0]"))
    assert not session.reads("draft")
    # A cancelled drag: the value that was there before it.
    session.write(0, "800")
    session.kit.window.click("Draft")
    session.until(lambda: session.reads("draft 800"))
    session.extension.session.withdraw("/World/Pump.speed")
    session.until(lambda: not session.reads("draft 800"))
    commands = plant.service.ask(op="commands", limit=100)["commands"]
    assert not [row for row in commands if row["value"] in (700.0, 800.0)]
    assert len(plant.field.orders) == orders


def test_a_viewer_may_not_command_and_is_told(plant: LivePlant) -> None:
    with running(Usd.Stage.Open(str(plant.stage)), 2) as session:
        session.connect(plant, "eve")
        session.kit.select("/World/Pump")
        session.until(lambda: session.reads("allowed [0.0, 3000.0]"))
        session.write(0, "1234")
        session.kit.window.click("Draft")
        session.until(lambda: session.reads("draft 1234"))
        session.kit.window.click("Publish")
        session.until(lambda: session.reads("eve"))
        session.until(lambda: session.reads("REJECTED") or session.reads("may not"))
    commands = plant.service.ask(op="commands", limit=100)["commands"]
    assert not [r for r in commands if r["value"] == 1234.0 and r["state"] != "REJECTED"]


def test_shutdown_gives_everything_back(session: Session) -> None:
    stage = session.kit.stage
    assert stage is not None
    assert session.kit.subscriptions >= 2
    assert list(stage.GetSessionLayer().subLayerPaths)
    session.extension.on_shutdown()
    gc.collect()
    assert session.kit.subscriptions == 0
    fresh = Usd.Stage.Open(stage.GetRootLayer(), Sdf.Layer.CreateAnonymous())
    assert stage.GetSessionLayer().ExportToString() == fresh.GetSessionLayer().ExportToString()
    # Kit calls it again when it ends.
    session.extension.on_shutdown()


def test_closing_the_stage_ends_the_connection(session: Session) -> None:
    stage = session.kit.stage
    assert stage is not None
    session.kit.ring(
        StageEventType.CLOSING
    ) if session.kit.events == 2 else session.extension.leave()
    assert session.extension.session is None
    assert not list(stage.GetSessionLayer().subLayerPaths)


def test_it_connects_by_itself_where_the_settings_say_so(plant: LivePlant, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(plant.tokens["eve"])
    token.chmod(0o600)
    stage = Usd.Stage.Open(str(plant.stage))
    settings = {"url": plant.socket_url, "tokenFile": str(token), "autoConnect": True}
    with running(stage, 2, **settings) as session:
        session.until(lambda: session.reads("live: eve"))


def test_a_token_file_that_others_read_is_refused(plant: LivePlant, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(plant.tokens["eve"])
    token.chmod(0o644)
    with running(Usd.Stage.CreateInMemory(), 2, tokenFile=str(token)) as session:
        session.extension.connect(plant.socket_url, "")
        assert session.reads("chmod 600")
        assert session.extension.session is None


def test_without_a_stage_nothing_is_connected() -> None:
    with running(None, 2) as session:
        session.extension.connect("ws://127.0.0.1:9", "")
        assert session.reads("open a stage first")


def test_the_manifest_names_files_that_are_there() -> None:
    manifest = tomllib.loads((EXTENSION / "config" / "extension.toml").read_text("utf-8"))
    package = manifest["package"]
    for name in ("readme", "changelog", "icon", "preview_image"):
        assert (EXTENSION / package[name]).is_file(), name
    for page in manifest["documentation"]["pages"]:
        assert (EXTENSION / page).is_file(), page
    modules = [row["name"] for row in manifest["python"]["module"] if "name" in row]
    assert all((EXTENSION / name / "__init__.py").is_file() for name in modules)
    assert {"omni.ui", "omni.usd", "omni.kit.uiapp"} <= manifest["dependencies"].keys()
    assert manifest["test"]


def test_the_built_folder_needs_nothing_but_kit(tmp_path: Path) -> None:
    folder = tmp_path / "stagetwin.kit"
    built = subprocess.run(
        [sys.executable, str(EXTENSION / "build_extension.py"), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert not list(folder.rglob("*.so"))
    ask = (
        "import importlib.abc, sys\n"
        "class Refuse(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        top = name.partition('.')[0]\n"
        "        if top in ('stagetwin', 'websockets') and path is None:\n"
        "            return None\n"
        "        if top not in sys.stdlib_module_names and top not in known:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "known = {'numpy', 'pxr', 'stagetwin', 'websockets'}\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import stagetwin, stagetwin.sync, websockets\n"
        "from stagetwin.sync import LiveSession\n"
        "assert stagetwin.__file__.startswith(sys.argv[1]), stagetwin.__file__\n"
        "assert websockets.__file__.startswith(sys.argv[1]), websockets.__file__\n"
        "assert stagetwin.is_registered()\n"
        "from pxr import Usd\n"
        "session = LiveSession(Usd.Stage.CreateInMemory(), 'ws://127.0.0.1:9')\n"
        "session.tick()\n"
        "session.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask, str(folder / "pip_prebundle")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
