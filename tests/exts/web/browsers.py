"""Headless Chromium, and people in it who look at a live plant."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.exts.plant import LivePlant

__all__ = ["WITHIN", "choose", "chromium_browser", "visitor"]

WITHIN = 40_000
"""How long the page may take for a step on a loaded machine [ms]."""

_SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_LIGHT_WORK = "?test=1&aa=0&smooth=0&shadows=0&dpr=0.3"
"""Drawing without a GPU is slow, and these tests are about the panels."""


@contextmanager
def chromium_browser() -> Iterator[Browser]:
    """Run Debian's Chromium."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing; .ci/system-parts brings it")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_SWITCHES)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visitor(
    browser: Browser,
    plant: LivePlant,
    name: str,
    *,
    size: tuple[int, int] = (1100, 720),
    scheme: Any = "light",
    phone: bool = False,
    expect: str = "",
    prepare: Callable[[BrowserContext], None] = lambda _: None,
) -> Iterator[Page]:
    """Sign somebody in and yield the viewer; nothing may go wrong in its console.

    Args:
        browser: Chromium.
        plant: the plant that is looked at.
        name: account.
        size: of the window [CSS pixels].
        scheme: `light` or `dark`.
        phone: whether there is a finger in place of a mouse.
        expect: text of the console's errors that the test itself makes.
        prepare: does something with the context before a page is opened.
    """
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        has_touch=phone,
        is_mobile=phone,
        reduced_motion="reduce",
    )
    context.set_default_timeout(WITHIN)
    prepare(context)
    faults: list[str] = []
    try:
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda message: faults.append(message.text) if message.type == "error" else None,
        )
        page.goto(f"{plant.url}/{_LIGHT_WORK}")
        page.fill("input[name=name]", name)
        page.fill("input[name=password]", f"{name}-secret-words")
        page.click("button[type=submit]")
        page.wait_for_selector(".connection[data-state=live]")
        page.wait_for_selector("[role=treeitem] .live-mark:not([hidden])", state="attached")
        yield page
    finally:
        context.close()
    assert not [fault for fault in faults if not expect or expect not in fault]


def choose(page: Page, name: str) -> None:
    """Select a prim in the hierarchy and wait for its values."""
    page.get_by_role("treeitem", name=name).first.click()
    page.get_by_role("heading", name=name, exact=True).wait_for()
