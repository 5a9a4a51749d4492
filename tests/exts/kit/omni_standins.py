"""Stand-ins for the few calls of Omniverse Kit that the extension makes, and where each was read.

Kit is proprietary and runs on its own; nothing here proves that it behaves so. It proves that we
use what its documentation and its public samples show, and that we give everything back.

- `omni.ext.IExt`, `on_startup(ext_id)`, `on_shutdown()`: Kit manual, Extensions; kit-app-template.
- Before Kit 107 (Kit manual, Events): `omni.kit.app.get_app().get_update_event_stream()` and
  `omni.usd.get_context().get_stage_event_stream()`, `.create_subscription_to_pop(fn, name=)`.
- Events 2.0 (Kit manual, Events; Isaac Sim's extensions): `omni.kit.app.GLOBAL_EVENT_UPDATE`,
  `UsdContext.stage_event_name(type)`, `carb.eventdispatcher.get_eventdispatcher().observe_event(
  observer_name=, event_name=, on_event=)`, whose ObserverGuard ends when it is let go.
- `omni.usd.get_context()` (omni.usd API): `get_stage()`, `get_selection()` with
  `get_selected_prim_paths()` and `set_selected_prim_paths(paths, expand)`.
- `omni.usd.StageEventType` OPENED, CLOSING, SELECTION_CHANGED: omni.usd Event Reference.
- `carb.settings.get_settings().get(path)`, `carb.log_info`, `log_warn`, `log_error`: Carbonite API.
- `omni.ui` (its API): Window, Frame, ScrollingFrame, CollapsableFrame, VStack, HStack, Label,
  Button, StringField, Fraction.
"""

from __future__ import annotations

import enum
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pxr import Usd

__all__ = ["Kit", "Widget", "installed"]


class _Guard:
    """A subscription: it ends when nobody holds it any more."""

    def __init__(self, name: str, callback: Callable[[Any], None]) -> None:
        self.name, self.callback = name, callback


class _Bell:
    """Calls whoever still holds a guard."""

    def __init__(self) -> None:
        self._guards: weakref.WeakSet[_Guard] = weakref.WeakSet()

    def add(self, name: str, callback: Callable[[Any], None]) -> _Guard:
        guard = _Guard(name, callback)
        self._guards.add(guard)
        return guard

    def ring(self, event: Any) -> None:
        for guard in list(self._guards):
            guard.callback(event)

    def __len__(self) -> int:
        return len(self._guards)


class StageEventType(enum.IntEnum):
    """Some of omni.usd's, by its numbers."""

    OPENED = 2
    CLOSING = 4
    SELECTION_CHANGED = 6


class Widget:
    """Any omni.ui widget: remembers what it was made with and what lies in it."""

    stack: list[Widget] = []  # noqa: RUF012 - omni.ui has one current container too
    windows: list[Widget] = []  # noqa: RUF012

    def __init__(self, kind: str, *args: Any, **options: Any) -> None:
        self.kind, self.options = kind, options
        self.text = args[0] if args and isinstance(args[0], str) else ""
        self.style: dict[str, Any] = {}
        self.children: list[Widget] = []
        self.model = _Model()
        self._build = options.get("build_fn")
        if kind == "Window":
            self.frame = Widget("Frame")
            self.children = [self.frame]
            Widget.windows.append(self)
        elif Widget.stack:
            Widget.stack[-1].children.append(self)

    def __enter__(self) -> Widget:
        Widget.stack.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        Widget.stack.pop()

    def rebuild(self) -> None:
        """Frames build what lies in them anew, on request."""
        self.children = []
        if self._build is not None:
            with self:
                self._build()

    def destroy(self) -> None:
        Widget.windows.remove(self)

    def all(self, kind: str = "") -> Iterator[Widget]:
        """Yield everything in it, of one kind if named."""
        for child in self.children:
            if not kind or child.kind == kind:
                yield child
            yield from child.all(kind)

    def texts(self) -> list[str]:
        """Return what can be read in it."""
        return [w.text for w in self.all() if w.text]

    def click(self, text: str) -> None:
        """Press the button with a text."""
        found = [w for w in self.all("Button") if w.text == text]
        assert found, f"no button {text!r} among {[w.text for w in self.all('Button')]}"
        assert found[0].options.get("enabled", True), f"the button {text!r} is not enabled"
        found[0].options["clicked_fn"]()


class _Model:
    def __init__(self) -> None:
        self._value = ""
        self._listeners: list[Callable[[_Model], None]] = []

    def set_value(self, value: str) -> None:
        self._value = value
        for listener in self._listeners:
            listener(self)

    def get_value_as_string(self) -> str:
        return self._value

    def add_value_changed_fn(self, listener: Callable[[_Model], None]) -> None:
        self._listeners.append(listener)


class Kit:
    """An application: its stage, its settings, its frames.

    Attributes:
        stage: the context's stage, or None.
        settings: by path.
        selected: paths of selected prims.
        log: what was logged.
    """

    def __init__(self, stage: Usd.Stage | None, events: int) -> None:
        self.stage = stage
        self.events = events
        self.settings: dict[str, Any] = {}
        self.selected: list[str] = []
        self.log: list[str] = []
        self._update = _Bell()
        self._stage_bells = {kind: _Bell() for kind in StageEventType}

    # -- what the application does

    def frame(self) -> None:
        """Draw a frame."""
        self._update.ring(types.SimpleNamespace(type=0))

    def ring(self, kind: StageEventType) -> None:
        """Say that something happened to the stage."""
        event = types.SimpleNamespace(type=int(kind))
        if self.events == 2:
            self._stage_bells[kind].ring(event)
        else:
            self._stage_bells[StageEventType.OPENED].ring(event)

    def select(self, *paths: str) -> None:
        """Have somebody select prims."""
        self.selected = list(paths)
        self.ring(StageEventType.SELECTION_CHANGED)

    @property
    def subscriptions(self) -> int:
        """How many subscriptions are held."""
        return len(self._update) + sum(map(len, self._stage_bells.values()))

    @property
    def window(self) -> Widget:
        """The only window."""
        assert len(Widget.windows) == 1
        return Widget.windows[0]

    # -- modules

    def modules(self) -> dict[str, types.ModuleType]:
        """Return the stand-ins, by module name."""
        made = {
            name: types.ModuleType(name)
            for name in (
                *("carb", "carb.settings", "omni", "omni.ext", "omni.kit", "omni.kit.app"),
                *("omni.usd", "omni.ui"),
            )
        }
        if self.events == 2:
            made["carb.eventdispatcher"] = self._dispatcher()
            made["omni.kit.app"].GLOBAL_EVENT_UPDATE = "omni.kit.app:update"  # type: ignore[attr-defined]
        for name, module in made.items():
            parent, _, last = name.rpartition(".")
            if parent:
                setattr(made[parent], last, module)
        of: dict[str, Any] = made
        for level in ("info", "warn", "error"):
            setattr(of["carb"], f"log_{level}", self.log.append)
        of["carb.settings"].get_settings = lambda: types.SimpleNamespace(get=self.settings.get)
        of["omni.ext"].IExt = type("IExt", (), {})
        of["omni.kit.app"].get_app = lambda: types.SimpleNamespace(
            get_update_event_stream=lambda: _Stream(self._update)
        )
        of["omni.usd"].StageEventType = StageEventType
        context = self._context()
        of["omni.usd"].get_context = lambda: context
        for kind in (
            *("Window", "Frame", "ScrollingFrame", "CollapsableFrame", "VStack", "HStack"),
            *("Label", "Button", "StringField"),
        ):
            setattr(
                of["omni.ui"], kind, lambda *a, _kind=kind, **options: Widget(_kind, *a, **options)
            )
        of["omni.ui"].Fraction = float
        return made

    def _dispatcher(self) -> types.ModuleType:
        module: Any = types.ModuleType("carb.eventdispatcher")

        def observe_event(*, observer_name: str, event_name: str, on_event: Any) -> _Guard:
            if event_name == "omni.kit.app:update":
                return self._update.add(observer_name, on_event)
            kind = StageEventType[event_name.rpartition(":")[2].upper()]
            return self._stage_bells[kind].add(observer_name, on_event)

        module.get_eventdispatcher = lambda: types.SimpleNamespace(observe_event=observe_event)
        found: types.ModuleType = module
        return found

    def _context(self) -> Any:
        def choose(paths: list[str], _expand: bool) -> None:
            self.select(*paths)

        context = types.SimpleNamespace(
            get_stage=lambda: self.stage,
            get_selection=lambda: types.SimpleNamespace(
                get_selected_prim_paths=lambda: list(self.selected),
                set_selected_prim_paths=choose,
            ),
        )
        if self.events == 2:
            context.stage_event_name = lambda kind: f"omni.usd::stage:{kind.name.lower()}"
        else:
            bell = self._stage_bells[StageEventType.OPENED]
            context.get_stage_event_stream = lambda: _Stream(bell)
        return context


class _Stream:
    def __init__(self, bell: _Bell) -> None:
        self._bell = bell

    def create_subscription_to_pop(self, callback: Any, name: str = "") -> _Guard:
        return self._bell.add(name, callback)


@contextmanager
def installed(stage: Usd.Stage | None, events: int) -> Iterator[Kit]:
    """Have an application whose modules can be imported, and take them away again.

    Args:
        stage: the context's stage.
        events: 2 for Kit 107 and later, 1 for the streams before.
    """
    kit = Kit(stage, events)
    modules = kit.modules()
    before = set(sys.modules)
    sys.modules.update(modules)
    try:
        yield kit
    finally:
        for name in (*modules, *(n for n in set(sys.modules) - before if "stagetwin_kit" in n)):
            sys.modules.pop(name, None)
        Widget.stack.clear()
        Widget.windows.clear()
