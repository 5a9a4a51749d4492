"""The usdview plugin: through usd-core's own registries, in a real dock, against a real service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pxr import Gf, Plug, Sdf, Tf, Usd
from PySide6 import QtWidgets

from tests.bridges.plant_service import wait_for
from tests.exts.plant import CART, FAN, PUMP, LivePlant
from tests.exts.usdview import usdview_standin

PLUGIN = Path(__file__).parents[3] / "exts" / "stagetwin.usdview" / "stagetwin_usdview"


@pytest.fixture(scope="module")
def application(display: str) -> QtWidgets.QApplication:
    """Qt on a virtual display."""
    found = QtWidgets.QApplication.instance()
    return found if isinstance(found, QtWidgets.QApplication) else QtWidgets.QApplication(["tests"])


@pytest.fixture(scope="module")
def container() -> Any:
    """The plugin's class, found and loaded as usdview does: by Plug, through the Tf type."""
    usdview_standin.install()
    registry = Plug.Registry()
    registry.RegisterPlugins(str(PLUGIN))
    base = Tf.Type.FindByName("pxr.Usdviewq.plugin.PluginContainer")
    [derived] = [t for t in Plug.Registry.GetAllDerivedTypes(base) if "stagetwin" in t.typeName]
    plugin = registry.GetPluginForType(derived)
    plugin.Load()
    assert plugin.isLoaded
    return derived.pythonClass


_windows: list[Window] = []
"""Windows live as long as the process, as usdview's does."""


class Window:
    """usdview with the plugin in it."""

    def __init__(self, container: Any, stage: Usd.Stage) -> None:
        self.api = usdview_standin.Api(stage)
        self.registry = usdview_standin.Registry(self.api)
        self.builder = usdview_standin.UIBuilder()
        self.plugin = container()
        self.plugin.registerPlugins(self.registry, self.api)
        self.plugin.configureView(self.registry, self.builder)
        _windows.append(self)

    def run(self, name: str) -> None:
        self.registry.commands[f"TwinPluginContainer.{name}"].run()

    @property
    def dock(self) -> Any:
        [dock] = self.api.qMainWindow.findChildren(QtWidgets.QDockWidget, "stagetwinDock")
        return dock

    def until(self, what: Callable[[], Any]) -> Any:
        """Let Qt run until something is true."""

        def turned() -> Any:
            QtWidgets.QApplication.processEvents()
            return what()

        try:
            return wait_for(turned, 30)
        except AssertionError:
            dock = self.dock
            said = dock.form._lamp.text(), dock._notices.toPlainText(), dock.commands._state.text()
            raise AssertionError(f"it never came true: {said}") from None

    def close(self) -> None:
        self.run("leave")
        self.api.qMainWindow.close()


@pytest.fixture
def window(
    application: QtWidgets.QApplication, container: Any, plant: LivePlant
) -> Iterator[Window]:
    """usdview on the plant's stage, its dock open and connected as the operator."""
    window = Window(container, Usd.Stage.Open(str(plant.stage)))
    window.run("show")
    window.dock.form.url.setText(plant.socket_url)
    window.dock.form.token.setText(plant.tokens["ada"])
    window.dock.form.button.click()
    window.until(lambda: window.dock.values.rowCount() >= 6)
    yield window
    window.close()


def session_text(stage: Usd.Stage) -> str:
    return str(stage.GetSessionLayer().ExportToString())


def test_the_menu_offers_the_twin(container: Any, application: QtWidgets.QApplication) -> None:
    window = Window(container, Usd.Stage.CreateInMemory())
    entries = [command.name for command, _ in window.builder.menus["Twin"].items if command]
    names = ("show", "draftMoved", "draftAttribute", "leave")
    assert entries == [f"TwinPluginContainer.{name}" for name in names]
    window.run("draftMoved")
    assert "open the twin's dock first" in window.api.printed[-1]
    window.close()


def test_values_arrive_on_the_stage_and_in_the_dock(window: Window, plant: LivePlant) -> None:
    attr = window.api.stage.GetAttributeAtPath("/World/Pump.twin:telemetry:flow:value")
    plant.field.say("pump/flow", 55.25)
    window.until(lambda: attr.Get() == 55.25)
    window.api.dataModel.selection.setPrim(window.api.stage.GetPrimAtPath("/World/Pump"))
    window.until(lambda: window.dock.values.rowCount() == 3)
    texts = [
        str(window.dock.values.data(window.dock.values.index(row, column)))
        for row in range(3)
        for column in (0, 1, 3)
    ]
    assert texts == ["speed", "1200", "good", "ready", "true", "good", "flow", "55.25", "good"]


def test_an_alarm_is_shown_and_takes_you_there(window: Window, plant: LivePlant) -> None:
    plant.field.say("pump/flow", 130.0)
    window.until(lambda: window.dock.alarms.rowCount() == 1)
    window.dock._select_alarm(window.dock.alarms.index(0, 0))
    assert [str(path) for path in window.api.selectedPaths] == ["/World/Pump"]
    plant.field.say("pump/flow", 42.5)
    window.dock._alarms_view.selectRow(0)
    window.dock._acknowledge()
    window.until(lambda: window.dock.alarms.rowCount() == 0)


def test_a_draft_is_published_by_the_button_and_moves_the_machine(
    window: Window, plant: LivePlant
) -> None:
    tab = window.dock.commands
    window.api.dataModel.selection.setPrim(window.api.stage.GetPrimAtPath("/World/Pump"))
    window.until(lambda: tab.target.count() == 1)
    assert not tab.publish.isEnabled()
    orders = len(plant.field.orders)
    tab.value.setText("1500")
    tab.draft.click()
    window.until(tab.publish.isEnabled)
    assert len(plant.field.orders) == orders
    tab.reason.setText("more flow")
    tab.publish.click()
    window.until(lambda: "VERIFIED" in _column(tab.rows, 2))
    assert plant.field.orders[orders:] == [("pump/cmd/speed", 1500.0)]
    desired = window.api.stage.GetAttributeAtPath("/World/Pump.twin:command:speed:desired")
    window.until(lambda: desired.Get() == 1500.0)


def test_a_value_out_of_range_is_refused_in_words(window: Window) -> None:
    tab = window.dock.commands
    window.api.dataModel.selection.setPrim(window.api.stage.GetPrimAtPath("/World/Pump"))
    window.until(lambda: tab.target.count() == 1)
    tab.value.setText("4000")
    tab.draft.click()
    assert "[0, 3000]" in window.dock._notices.toPlainText()
    assert PUMP.rpartition(".")[0] in window.dock._notices.toPlainText()
    assert not tab.publish.isEnabled()


def test_a_moved_marker_becomes_a_draft_and_a_command(window: Window, plant: LivePlant) -> None:
    stage, tab = window.api.stage, window.dock.commands
    prim = stage.GetPrimAtPath("/World/Cart")
    window.api.dataModel.selection.setPrim(prim)
    window.until(lambda: tab.chosen == CART)
    stage.SetEditTarget(Usd.EditTarget(stage.GetSessionLayer()))
    prim.GetAttribute("xformOp:translate").Set(Gf.Vec3d(4, 5, 0))
    window.run("draftMoved")
    window.until(tab.publish.isEnabled)
    tab.publish.click()
    window.until(lambda: plant.field.values.get("cart/goal") == [4.0, 5.0, 0.0])


def test_a_selected_attribute_becomes_a_draft_and_a_command(
    window: Window, plant: LivePlant
) -> None:
    stage, tab = window.api.stage, window.dock.commands
    window.run("draftAttribute")
    assert "select a twin:command" in window.api.printed[-1]
    window.api.dataModel.selection.setPrim(stage.GetPrimAtPath("/World/Pump"))
    window.until(lambda: tab.target.count() == 1)
    path = Sdf.Path("/World/Pump.twin:command:speed:desired")
    stage.SetEditTarget(Usd.EditTarget(stage.GetSessionLayer()))
    stage.GetAttributeAtPath(path).Set(1750.0)
    window.api.dataModel.selection.properties = [path]
    window.run("draftAttribute")
    window.until(tab.publish.isEnabled)
    tab.publish.click()
    window.until(lambda: plant.field.values.get("pump/speed") == 1750.0)


def test_edits_on_other_layers_and_undo_never_publish(window: Window, plant: LivePlant) -> None:
    stage, tab = window.api.stage, window.dock.commands
    orders = len(plant.field.orders)
    attr = stage.GetAttributeAtPath("/World/Pump.twin:command:speed:desired")
    stage.SetEditTarget(Usd.EditTarget(stage.GetSessionLayer()))
    attr.Set(900.0)
    window.api.dataModel.selection.setPrim(stage.GetPrimAtPath("/World/Pump"))
    window.until(lambda: tab.target.count() == 1)
    assert not tab.publish.isEnabled()
    tab.value.setText("1100")
    tab.draft.click()
    window.until(tab.publish.isEnabled)
    tab.withdraw.click()
    window.until(lambda: not tab.publish.isEnabled())
    # Whatever had been published would be on record once a later question is answered.
    commands = plant.service.ask(op="commands", limit=100)["commands"]
    assert not [row for row in commands if row["value"] in (900.0, 1100.0)]
    assert len(plant.field.orders) == orders
    stage.GetSessionLayer().GetPrimAtPath("/World/Pump").RemoveProperty(
        stage.GetSessionLayer().GetAttributeAtPath("/World/Pump.twin:command:speed:desired")
    )


def test_a_second_person_approves_what_the_first_asked_for(
    window: Window, container: Any, plant: LivePlant
) -> None:
    tab = window.dock.commands
    window.api.dataModel.selection.setPrim(window.api.stage.GetPrimAtPath("/World/Fan"))
    window.until(lambda: tab.chosen == FAN)
    tab.value.setText("950")
    tab.draft.click()
    window.until(tab.publish.isEnabled)
    tab.publish.click()
    window.until(lambda: "REHEARSED" in _column(tab.rows, 2))
    second = Window(container, Usd.Stage.Open(str(plant.stage)))
    second.run("show")
    second.dock.form.url.setText(plant.socket_url)
    second.dock.form.token.setText(plant.tokens["ben"])
    second.dock.form.button.click()
    seconds = second.dock.commands
    second.until(lambda: "REHEARSED" in _column(seconds.rows, 2))
    seconds.view.selectRow(_column(seconds.rows, 2).index("REHEARSED"))
    seconds.approve.click()
    window.until(lambda: "VERIFIED" in _column(tab.rows, 2))
    assert plant.field.values["fan/speed"] == 950.0
    second.close()


def test_leaving_restores_the_stage(window: Window) -> None:
    stage = window.api.stage
    flow = stage.GetAttributeAtPath("/World/Pump.twin:telemetry:flow:value")
    assert flow.Get() is not None
    target = stage.GetEditTarget()
    before = session_text(Usd.Stage.Open(stage.GetRootLayer(), Sdf.Layer.CreateAnonymous()))
    window.run("leave")
    assert session_text(stage) == before
    assert flow.Get() is None
    assert stage.GetEditTarget() == target
    window.until(lambda: window.dock.values.rowCount() == 0)


def test_another_stage_ends_the_connection(window: Window) -> None:
    old = window.api.stage
    window.api.stage = Usd.Stage.CreateInMemory()
    window.until(lambda: window.dock.session is None)
    assert not list(old.GetSessionLayer().subLayerPaths)


def test_a_wrong_token_is_said_and_nothing_is_written(
    application: QtWidgets.QApplication, container: Any, plant: LivePlant
) -> None:
    window = Window(container, Usd.Stage.Open(str(plant.stage)))
    window.run("show")
    window.dock.form.url.setText(plant.socket_url)
    window.dock.form.token.setText("stagetwin_" + "x" * 43)
    window.dock.form.button.click()
    window.until(lambda: "refused" in window.dock.form._lamp.text())
    assert "x" * 20 not in window.dock.form._lamp.text()
    window.close()


def _column(model: Any, column: int) -> list[str]:
    return [str(model.data(model.index(row, column))) for row in range(model.rowCount())]


def test_a_command_without_unit_or_limits_is_not_given_any(container: Any) -> None:
    from stagetwin_usdview._commands import _allowed, _measured

    assert (_measured("c5", "1"), _measured(2.5, "m/s")) == ('"c5"', "2.5 m/s")
    assert _allowed({"min": None, "max": None}) == ""
    assert _allowed({"min": 0.0, "max": None}) == "allowed [0.0, inf], "
