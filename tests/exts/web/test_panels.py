"""The viewer's panels, in a real browser against the real service and its devices."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.exts.plant import LivePlant
from tests.exts.web.browsers import WITHIN, choose, visitor

expect.set_options(timeout=WITHIN)

ROWS = 10_000


def signal(page: Page, path: str) -> Any:
    """Return the row of a value."""
    return page.locator(f"[data-signal='{path}']")


def target(page: Page, path: str) -> Any:
    """Return the card of a command."""
    return page.locator(f"[data-target='{path}']")


def cut(page: Page) -> None:
    """End the page's connection as if the service were gone."""
    page.evaluate("window.stagetwin.session.close()")
    expect(page.locator("body")).to_have_class("not-live")


def mend(page: Page) -> None:
    """Connect again."""
    page.evaluate("window.stagetwin.session.connect()")
    expect(page.locator("body")).not_to_have_class("not-live")


def test_a_selected_prim_shows_its_values_in_words(chromium: Browser, plant: LivePlant) -> None:
    with visitor(chromium, plant, "ada") as page:
        choose(page, "Pump")
        flow = signal(page, "/World/Pump.flow")
        expect(flow).to_contain_text("42.5")
        expect(flow).to_contain_text("good")
        plant.field.say("pump/flow", 61.25)
        expect(flow).to_contain_text("61.25")
        bar = flow.get_by_role("img")
        assert "normally 0 to 100" in (bar.get_attribute("aria-label") or "")
        expect(signal(page, "/World/Pump.ready")).to_contain_text("yes")


def test_every_panel_is_reached_and_left_by_keyboard(chromium: Browser, plant: LivePlant) -> None:
    with visitor(chromium, plant, "ada") as page:
        page.keyboard.press("/")
        search = page.get_by_role("searchbox")
        expect(search).to_be_focused()
        page.keyboard.type("fan")
        page.keyboard.press("ArrowDown")
        for _ in range(5):
            if "Fan" in (page.evaluate("document.activeElement.dataset.key") or ""):
                break
            page.keyboard.press("ArrowDown")
        row = page.get_by_role("treeitem", name="Fan")
        expect(row).to_be_focused()
        assert row.evaluate("e => getComputedStyle(e).outlineStyle") != "none"
        page.keyboard.press("Enter")
        expect(row).to_have_attribute("aria-selected", "true")
        expect(page.get_by_role("heading", name="Fan", exact=True)).to_be_visible()
        for number, name in ((3, "Alarms"), (4, "Commands"), (5, "Charts"), (6, "Review")):
            page.keyboard.press(f"Alt+{number}")
            expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
            assert page.evaluate("document.activeElement !== document.body")
        page.keyboard.press("Escape")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("?")
        sheet = page.get_by_role("dialog", name="Keyboard")
        expect(sheet).to_be_visible()
        page.keyboard.press("Escape")
        expect(sheet).to_have_count(0)


def test_a_draft_is_compared_bounded_and_seen_by_others(
    chromium: Browser, plant: LivePlant
) -> None:
    with visitor(chromium, plant, "ada") as page, visitor(chromium, plant, "eve") as other:
        choose(page, "Fan")
        choose(other, "Fan")
        card = target(page, "/World/Fan.speed")
        card.get_by_role("button", name="Draft").click()
        box = card.get_by_role("spinbutton")
        publish = card.get_by_role("button", name="Publish")
        box.fill("3001")
        expect(card).to_contain_text("At most 3\u202f000 is allowed.")
        expect(publish).to_be_disabled()
        box.fill("900")
        expect(publish).to_be_enabled()
        expect(publish).to_contain_text("then one approves")
        card.locator(".guards summary").click()
        expect(card).to_contain_text("one other person")
        expect(card).to_contain_text("permits")
        theirs = target(other, "/World/Fan.speed")
        expect(theirs).to_contain_text("ada considers 900")
        expect(theirs.get_by_role("button", name="Draft")).to_be_disabled()
        card.get_by_role("button", name="Withdraw").click()
        expect(theirs).not_to_contain_text("ada considers")


def test_a_refusal_names_the_guard_and_what_was_not_come_to(
    chromium: Browser, plant: LivePlant
) -> None:
    with visitor(chromium, plant, "ada") as page:
        choose(page, "Fan")
        plant.field.say("fan/ready", False)
        expect(signal(page, "/World/Fan.ready")).to_contain_text("no")
        card = target(page, "/World/Fan.speed")
        card.get_by_role("button", name="Draft").click()
        card.get_by_role("spinbutton").fill("950")
        card.get_by_role("button", name="Publish").click()
        said = card.locator(".command-view")
        refused = said.locator("[data-verdict=failed]", has_text="Every permissive")
        expect(refused).to_contain_text("is false")
        expect(said.locator("[data-verdict=passed]").first).to_contain_text("right type")
        expect(said.locator("[data-verdict=none]").first).to_contain_text("rate limit")
        expect(card).to_contain_text("rejected: nothing was sent")
        plant.field.say("fan/ready", True)
        page.get_by_role("tab", name="Commands").click()
        listed = page.locator(".command-row", has_text="rejected").first
        listed.click()
        region = page.get_by_role("region", name="The command in full")
        expect(region).to_contain_text("Every permissive is known and true")


def test_an_alarm_is_found_and_acknowledged(chromium: Browser, plant: LivePlant) -> None:
    with visitor(chromium, plant, "ada") as page:
        plant.field.say("pump/flow", 150.0)
        page.get_by_role("tab", name="Alarms").click()
        row = page.locator(".alarm", has_text="Pump").first
        expect(row).to_contain_text("above")
        row.click()
        expect(page.get_by_role("heading", name="Pump", exact=True)).to_be_visible()
        row.focus()
        page.keyboard.press("a")
        dialog = page.get_by_role("dialog", name="Acknowledge")
        dialog.get_by_label("Comment").fill("valve is being opened")
        dialog.get_by_role("button", name="Acknowledge").click()
        expect(row).to_contain_text("acknowledged by ada")
        plant.field.say("pump/flow", 42.5)
        expect(page.locator(".alarm", has_text="Pump")).to_have_count(0)


def test_what_is_not_live_says_so_and_publishes_nothing(
    chromium: Browser, plant: LivePlant
) -> None:
    with visitor(chromium, plant, "ada", expect="WebSocket") as page:
        choose(page, "Fan")
        card = target(page, "/World/Fan.speed")
        card.get_by_role("button", name="Draft").click()
        card.get_by_role("spinbutton").fill("970")
        cut(page)
        expect(signal(page, "/World/Fan.speed")).to_have_attribute("data-live", "false")
        expect(signal(page, "/World/Fan.speed")).to_contain_text("not live")
        expect(card.get_by_role("button", name="Publish")).to_be_disabled()
        expect(card).to_contain_text("nothing can be published")
        expect(page.locator(".view-note")).to_contain_text("Not live")
        page.locator("[data-halt]").click()
        expect(page.get_by_role("dialog")).to_contain_text("will not arrive")
        page.keyboard.press("Escape")
        mend(page)
        expect(card.get_by_role("button", name="Publish")).to_be_enabled()
        expect(card.get_by_role("spinbutton")).to_have_value("970")


def test_a_comment_written_while_cut_off_is_sent_once_later(
    chromium: Browser, plant: LivePlant
) -> None:
    with visitor(chromium, plant, "ada", expect="WebSocket") as page:
        choose(page, "Pump")
        page.get_by_role("button", name="Topic", exact=True).click()
        page.get_by_role("dialog").get_by_label("Title").fill("Handle hits the rail")
        page.get_by_role("button", name="Open topic").click()
        said = page.get_by_role("textbox", name="Comment")
        said.wait_for()
        cut(page)
        said.fill("written offline")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".comment.waiting")).to_contain_text("not sent yet")
        mend(page)
        expect(page.locator(".comment.waiting")).to_have_count(0)
        expect(page.locator(".comment", has_text="written offline")).to_have_count(1)


def test_a_conflict_keeps_what_was_typed(chromium: Browser, plant: LivePlant) -> None:
    with visitor(chromium, plant, "ada") as page, visitor(chromium, plant, "ben") as other:
        choose(page, "Fan")
        page.get_by_role("button", name="Topic", exact=True).click()
        page.get_by_role("dialog").get_by_label("Title").fill("Guard rattles")
        page.get_by_role("button", name="Open topic").click()
        page.get_by_role("button", name="Edit", exact=True).click()
        dialog = page.get_by_role("dialog", name="Edit topic")
        dialog.get_by_label("What is it about").fill("since the service of Monday")
        other.get_by_role("tab", name="Review").click()
        other.locator(".topic-row", has_text="Guard rattles").click()
        other.get_by_role("combobox", name="Status").select_option("in_progress")
        expect(page.get_by_role("combobox", name="Status")).to_have_value("in_progress")
        dialog.get_by_role("button", name="Save").click()
        conflict = page.locator(".topic [role=alert]")
        expect(conflict).to_contain_text("Somebody changed the topic meanwhile")
        expect(conflict).to_contain_text("since the service of Monday")
        conflict.get_by_role("button", name="Do it all the same").click()
        expect(page.locator(".topic-text")).to_have_text("since the service of Monday")
        expect(other.locator(".topic-text")).to_have_text("since the service of Monday")


def test_a_phone_has_one_sheet_and_targets_for_a_thumb(chromium: Browser, plant: LivePlant) -> None:
    with visitor(chromium, plant, "ada", size=(390, 844), phone=True) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator("[data-nav=tree]").tap()
        page.get_by_role("treeitem", name="Pump").first.tap()
        page.locator("[data-nav=inspect]").tap()
        expect(signal(page, "/World/Pump.speed")).to_be_visible()
        expect(page.get_by_role("tree")).to_be_hidden()
        small = page.evaluate(
            """() => [...document.querySelectorAll("button, select, input, [role=treeitem]")]
                .filter((e) => e.checkVisibility() && !e.closest(".unseen"))
                .filter((e) => !["checkbox", "radio"].includes(e.type))
                .map((e) => [e.getBoundingClientRect(), e.outerHTML.slice(0, 90)])
                .filter(([box]) => box.width > 0 && (box.height < 43.5 || box.width < 43.5))
                .map(([box, text]) => `${box.width} x ${box.height}: ${text}`)"""
        )
        assert small == []
        page.locator("[data-nav=inspect]").tap()
        expect(signal(page, "/World/Pump.speed")).to_be_hidden()


def test_ten_thousand_prims_are_few_elements(chromium: Browser, plant: LivePlant) -> None:
    def enlarge(route: Route) -> None:
        answer = route.fetch()
        manifest = json.loads(answer.text())
        known = manifest["prims"][-1]
        manifest["prims"] += [
            {**known, "path": f"/World/Extra{number:05}", "label": "", "asset": False}
            for number in range(ROWS)
        ]
        route.fulfill(response=answer, json=manifest)

    def prepare(context: BrowserContext) -> None:
        context.route("**/scene/manifest.json*", enlarge)

    with visitor(chromium, plant, "ada", prepare=prepare) as page:
        expect(page.locator(".tree-note")).to_contain_text("100")
        tree = page.get_by_role("tree")
        assert page.locator("[role=treeitem]").count() < 100
        tree.evaluate("e => { e.scrollTop = e.scrollHeight }")
        last = page.get_by_role("treeitem", name=f"Extra{ROWS - 1:05}")
        expect(last).to_be_visible()
        assert int(last.get_attribute("aria-setsize") or 0) > ROWS
        assert page.locator("[role=treeitem]").count() < 100
        page.keyboard.press("/")
        page.keyboard.type("extra00042")
        expect(page.locator(".tree-note")).to_contain_text("2 of")


def test_the_look_is_kept_over_a_reload(chromium: Browser, plant: LivePlant) -> None:
    with visitor(chromium, plant, "eve", expect="WebSocket") as page:
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
        look = page.get_by_role("button", name="Look:")
        look.click()
        look.click()
        expect(look).to_have_attribute("aria-label", "Look: dark")
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
