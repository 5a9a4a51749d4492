"""What a test does and sees at a page of the viewer."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page

from tests.exts.web.viewing import pixels

__all__ = [
    "ask",
    "card",
    "click_on",
    "looks_at",
    "outlined",
    "selection",
    "signal",
    "stored",
]

ACCENT = (255, 176, 32)
"""Colour of the selection's outline."""


def signal(page: Page, path: str) -> Locator:
    """The row of a value."""
    return page.locator(f"[data-signal='{path}']")


def card(page: Page, path: str) -> Locator:
    """The card of a command."""
    return page.locator(f"[data-target='{path}']")


def stored(page: Page, path: str) -> Any:
    """What the page's store says of a signal: value and quality."""
    reading = page.evaluate("(path) => stagetwin.session.values.get(path)", path)
    return reading and (reading["value"], reading["quality"])


def selection(page: Page) -> list[str]:
    """What the picture shows as selected."""
    return list(page.evaluate("() => stagetwin.view.selection"))


def click_on(page: Page, path: str, *, touch: bool = False) -> None:
    """Click the middle of what is drawn of a prim."""
    x, y = page.evaluate(
        """async (path) => {
          const { view } = stagetwin;
          await stagetwin.idle();
          const [low, high] = view.bounds(path);
          const { x, y } = view.project(low.map((each, axis) => (each + high[axis]) / 2));
          const box = view.canvas.getBoundingClientRect();
          return [box.left + x, box.top + y];
        }""",
        path,
    )
    page.touchscreen.tap(x, y) if touch else page.mouse.click(x, y)


def outlined(page: Page) -> int:
    """How many pixels have the colour of the selection's outline."""
    picture = pixels(page)
    return int((abs(picture - ACCENT).max(axis=2) < 12).sum())


def looks_at(page: Page, path: str) -> bool:
    """Tell whether the camera looks at the middle of a prim."""
    return bool(
        page.evaluate(
            """(path) => {
              const [low, high] = stagetwin.view.bounds(path);
              const { target } = stagetwin.view.camera;
              const away = (axis) => Math.abs(target[axis] - (low[axis] + high[axis]) / 2);
              return away(0) < 0.3 && away(1) < 0.3 && away(2) < 0.3;
            }""",
            path,
        )
    )


def ask(page: Page, **request: Any) -> str:
    """Ask the service past the panels; return what it refuses with, or nothing."""
    return str(
        page.evaluate(
            "(request) => stagetwin.session.ask(request).then(() => '', (error) => error.message)",
            request,
        )
    )
