"""The viewer's main views judged by axe, in light and dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.exts.plant import LivePlant
from tests.exts.web.browsers import WITHIN, choose, visitor

expect.set_options(timeout=WITHIN)


def faults(page: Page) -> list[str]:
    """Return what axe finds serious or critical, with the elements."""
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def details(page: Page) -> None:
    choose(page, "Fan")
    card = page.locator("[data-target='/World/Fan.speed']")
    card.get_by_role("button", name="Draft").click()
    card.locator(".guards summary").click()
    page.get_by_role("button", name="Chart speed").first.click()


def commands(page: Page) -> None:
    page.locator("[data-target='/World/Fan.speed']").get_by_role("button", name="Publish").click()
    page.get_by_role("tab", name="Commands").click()
    page.locator(".command-row").first.click()
    expect(page.get_by_role("region", name="The command in full")).to_contain_text("read-back")


def alarms(page: Page) -> None:
    page.get_by_role("tab", name="Alarms").click()
    expect(page.locator(".alarm").first).to_be_visible()


def topic(page: Page) -> None:
    page.get_by_role("button", name="Topic", exact=True).click()
    page.get_by_role("dialog").get_by_label("Title").fill("Handle hits the rail")
    page.get_by_role("button", name="Open topic").click()
    page.get_by_role("textbox", name="Comment").fill("Turn it by 90 degrees.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".comment")).to_have_count(1)


def topics(page: Page) -> None:
    page.get_by_role("button", name="Back to all topics").click()
    expect(page.locator(".topic-row").first).to_be_visible()


def new_topic(page: Page) -> None:
    page.get_by_role("button", name="New topic").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def stop(page: Page) -> None:
    page.keyboard.press("Escape")
    page.locator("[data-halt]").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def keys(page: Page) -> None:
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def not_live(page: Page) -> None:
    page.keyboard.press("Escape")
    page.evaluate("window.stagetwin.session.close()")
    expect(page.locator("body")).to_have_class("not-live")


VIEWS: tuple[Callable[[Page], None], ...] = (
    details,
    commands,
    alarms,
    topic,
    topics,
    new_topic,
    stop,
    keys,
    not_live,
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_sound(chromium: Browser, plant: LivePlant, scheme: str) -> None:
    plant.field.say("pump/flow", 150.0)
    found: dict[str, list[str]] = {}
    with visitor(chromium, plant, "ada", scheme=scheme) as page:
        for view in VIEWS:
            view(page)
            found[view.__name__] = faults(page)
    plant.field.say("pump/flow", 42.5)
    assert {name: each for name, each in found.items() if each} == {}


def test_the_sheets_of_a_phone_are_sound(chromium: Browser, plant: LivePlant) -> None:
    found: dict[str, list[str]] = {}
    with visitor(chromium, plant, "ada", size=(390, 844), phone=True) as page:
        page.locator("[data-nav=tree]").tap()
        page.get_by_role("treeitem", name="Pump").first.tap()
        for name in ("tree", "inspect", "alarms", "commands", "charts", "reviews"):
            if page.locator(f"[data-nav={name}]").get_attribute("aria-expanded") == "false":
                page.locator(f"[data-nav={name}]").tap()
            found[name] = faults(page)
    assert {name: each for name, each in found.items() if each} == {}


def test_the_way_in_is_sound(chromium: Browser, plant: LivePlant) -> None:
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.goto(f"{plant.url}/")
        page.wait_for_selector("input[name=password]")
        assert faults(page) == []
        # And the judge is awake.
        page.evaluate("document.body.append(document.createElement('button'))")
        assert any("button-name" in fault for fault in faults(page))
    finally:
        context.close()
