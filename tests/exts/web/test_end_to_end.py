"""The browser end to end: people at Chromium, the real service, a broker and its devices."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, expect
from pxr import Sdf

from tests.bridges.tcp_proxy import TcpProxy
from tests.exts.plant import FAN, LivePlant
from tests.exts.web.browsers import WITHIN, choose
from tests.exts.web.glances import (
    ask,
    card,
    click_on,
    looks_at,
    outlined,
    selection,
    signal,
    stored,
)
from tests.exts.web.onlookers import LOST, Onlookers, drawn, looking_on, until

expect.set_options(timeout=WITHIN)


@pytest.fixture(scope="module")
def house(chromium: Browser, plant: LivePlant) -> Iterator[Onlookers]:
    """Whoever looks on, over all tests."""
    with looking_on(chromium, plant.url) as onlookers:
        yield onlookers


@pytest.fixture(autouse=True)
def onlookers(house: Onlookers) -> Iterator[Onlookers]:
    """Whoever looks on in one test; a test that expects faults takes them itself."""
    yield house
    house.leave()
    assert house.record.take() == []


def test_a_change_at_the_device_is_seen_as_number_and_as_motion(
    onlookers: Onlookers, plant: LivePlant
) -> None:
    page = onlookers.person("ada").sit()
    choose(page, "Pump")
    expect(signal(page, "/World/Pump.flow")).to_contain_text("42.5")
    plant.field.say("pump/flow", 61.25)
    expect(signal(page, "/World/Pump.flow")).to_contain_text("61.25")
    expect(signal(page, "/World/Pump.flow")).to_contain_text("good")
    assert stored(page, "/World/Pump.flow") == (61.25, "good")
    plant.field.say("lift/at", [-3.0, 1.0, 2.5])
    page.wait_for_function("() => stagetwin.view.poseOf('/World/Lift')[14] === 2.5")
    low, high = page.evaluate("() => stagetwin.view.bounds('/World/Lift')")
    assert (low, high) == ([-3.5, 0.5, 2.0], [-2.5, 1.5, 3.0])


def test_selecting_goes_both_ways_down_to_an_instance(onlookers: Onlookers) -> None:
    page = onlookers.person("ada").sit()
    assert outlined(page) == 0
    place = page.locator(".inspect-head .path")
    click_on(page, "/World/Fan")
    row = page.get_by_role("treeitem", name="Fan")
    expect(row).to_have_attribute("aria-selected", "true")
    expect(place).to_have_text("/World/Fan")
    expect(signal(page, FAN)).to_be_visible()
    assert selection(page) == ["/World/Fan"]
    assert outlined(page) > 20
    choose(page, "Pump")
    assert selection(page) == ["/World/Pump"]
    click_on(page, "/World/Pump")
    expect(place).to_have_text("/World/Pump/Body")
    part = page.get_by_role("treeitem", name="Body")
    expect(part).to_have_attribute("aria-selected", "true")
    assert selection(page) == ["/World/Pump/Body"]
    click_on(page, "/World/Rack[1]")
    expect(place).to_have_text("/World/Rack[1]")
    expect(page.get_by_role("treeitem", name="Rack")).to_have_attribute("aria-selected", "true")
    assert selection(page) == ["/World/Rack[1]"]
    page.keyboard.press("Escape")
    expect(page.locator("[role=treeitem][aria-selected=true]")).to_have_count(0)
    assert selection(page) == []
    assert outlined(page) == 0


def test_one_asks_another_approves_and_the_device_moves(
    onlookers: Onlookers, plant: LivePlant
) -> None:
    author, approver = onlookers.person("ada").sit(), onlookers.person("ben").sit()
    orders = len(plant.field.orders)
    choose(author, "Fan")
    fan = card(author, FAN)
    fan.get_by_role("button", name="Draft").click()
    fan.get_by_role("spinbutton").fill("875")
    fan.get_by_role("textbox", name="Reason").fill("less noise at night")
    fan.get_by_role("button", name="Publish").click()
    expect(fan).to_contain_text("waits for 1 approval")
    expect(fan).to_contain_text("You asked for it: somebody else must approve.")
    expect(fan.get_by_role("button", name="Approve")).to_have_count(0)
    (row,) = plant.service.ask(op="commands", open=True)["commands"]
    same = {"op": "approve_command", "id": row["id"], "hash": row["hash"]}
    assert "author" in ask(author, **same)

    approver.get_by_role("tab", name="Commands").click()
    approver.get_by_role("combobox", name="Which commands").select_option("approve")
    approver.locator(".command-row", has_text=FAN).click()
    approver.get_by_role("button", name="Approve…").click()
    dialog = approver.get_by_role("dialog", name="Approve this command")
    for text in (FAN, "875", "ada", "less noise at night", row["realm"], row["hash"]):
        expect(dialog).to_contain_text(text)
    assert len(plant.field.orders) == orders
    dialog.get_by_role("button", name="Approve exactly this").click()
    for page in (author, approver):
        view = page.locator(".command-view").first
        expect(view).to_contain_text(f"Verified: {FAN} says 875")
        proof = view.locator("[data-verdict]").last
        expect(proof).to_contain_text("The read-back")
        expect(proof).to_have_attribute("data-verdict", "passed")
    assert plant.field.orders[orders:] == [("fan/cmd/speed", 875.0)]
    expect(signal(author, FAN)).to_contain_text("875")


def test_who_may_only_look_publishes_nothing(onlookers: Onlookers, plant: LivePlant) -> None:
    page = onlookers.person("eve").sit()
    orders, commands = len(plant.field.orders), plant.service.ask(op="commands")["commands"]
    choose(page, "Pump")
    expect(card(page, "/World/Pump.speed").get_by_role("button", name="Draft")).to_be_disabled()
    assert ask(page, op="publish", target="/World/Pump.speed", value=10.0, revision=0) == ""
    after = plant.service.ask(op="commands")["commands"]
    judged = [row["state"] for row in after if row["id"] not in {c["id"] for c in commands}]
    assert judged == ["REJECTED"]
    assert len(plant.field.orders) == orders


def test_an_alarm_takes_you_there_and_is_acknowledged(
    onlookers: Onlookers, plant: LivePlant
) -> None:
    page = onlookers.person("ada").sit()
    plant.field.say("pump/flow", 150.0)
    first = page.locator(".first-alarm")
    expect(first).to_contain_text("Pump")
    expect(page.locator(".alarm-tag", has_text="Pump")).to_be_visible()
    assert not looks_at(page, "/World/Pump")
    page.keyboard.press("g")
    expect(page.get_by_role("heading", name="Pump", exact=True)).to_be_visible()
    assert selection(page) == ["/World/Pump"]
    assert looks_at(page, "/World/Pump")
    page.evaluate("() => stagetwin.view.fit(null)")
    choose(page, "Fan")
    page.get_by_role("tab", name="Alarms").click()
    row = page.locator(".alarm", has_text="Pump")
    row.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Pump", exact=True)).to_be_visible()
    assert looks_at(page, "/World/Pump")
    row.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog", name="Acknowledge")
    dialog.get_by_label("Comment").fill("valve is being opened")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(row).to_contain_text("acknowledged by ada")
    (told,) = plant.service.ask(op="alarms", prim="/World/Pump")["alarms"]
    assert told["acknowledged"]["comment"] == "valve is being opened"
    plant.field.say("pump/flow", 42.5)


def test_what_one_writes_the_other_reads_and_the_stage_keeps(
    onlookers: Onlookers, plant: LivePlant
) -> None:
    page, other = onlookers.person("ada").sit(), onlookers.person("ben").sit()
    click_on(page, "/World/Pump")
    expect(page.locator(".inspect-head .path")).to_have_text("/World/Pump")
    page.get_by_role("button", name="Topic", exact=True).click()
    page.get_by_role("dialog").get_by_label("Title").fill("Handle hits the rail")
    page.get_by_role("button", name="Open topic").click()
    expect(page.get_by_role("heading", name="Handle hits the rail")).to_be_visible()
    other.get_by_role("tab", name="Review").click()
    other.locator(".topic-row", has_text="Handle hits the rail").click()
    expect(other.locator(".pin-tag")).to_be_visible()
    other.get_by_role("textbox", name="Comment").fill("Turn it by 90 degrees.")
    other.keyboard.press("Control+Enter")
    expect(page.locator(".comment")).to_contain_text("ben")
    expect(page.locator(".comment")).to_contain_text("Turn it by 90 degrees.")

    def comments() -> list[str]:
        layer = Sdf.Layer.OpenAsAnonymous(str(plant.service.state_dir / "review.usda"))
        review = layer.GetPrimAtPath("/Review")
        topics = [] if review is None else review.nameChildren
        return [
            f"{topic.attributes['review:title'].default}: {child.attributes['review:text'].default}"
            for topic in topics
            for child in topic.nameChildren
            if child.name.startswith("Comment_")
        ]

    def written() -> bool:
        return (plant.service.state_dir / "review.usda").exists() and bool(comments())

    until(page, written)
    assert comments() == ["Handle hits the rail: Turn it by 90 degrees."]


def test_a_variant_switched_in_the_file_redraws(onlookers: Onlookers, plant: LivePlant) -> None:
    page = onlookers.person("ada").sit()

    def until_the_roof_is_at(height: float) -> None:
        page.wait_for_function(
            """(height) => {
              const hit = stagetwin.view.picker.first([4, 3, 50], [0, 0, -1]);
              return hit?.path === "/World/Shed/Roof" && Math.abs(hit.point[2] - height) < 1e-6;
            }""",
            arg=height,
        )

    def save(text: str) -> None:
        draft = plant.stage.with_suffix(".new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(plant.stage)

    until_the_roof_is_at(0.5)
    epoch = page.evaluate("() => stagetwin.session.epoch")
    choose(page, "Pump")
    text = plant.stage.read_text(encoding="utf-8")
    save(text.replace('roof = "flat"', 'roof = "tall"'))
    try:
        until_the_roof_is_at(2.0)
        switched = page.evaluate("() => stagetwin.session.epoch")
        assert switched > epoch
        assert page.evaluate("() => stagetwin.view.stats.epoch") == switched
        assert selection(page) == ["/World/Pump"]
        plant.field.say("pump/flow", 43.75)
        expect(signal(page, "/World/Pump.flow")).to_contain_text("43.75")
    finally:
        save(text)
    until_the_roof_is_at(0.5)


def topics(plant: LivePlant) -> dict[str, int]:
    """How many comments each topic has, by title, as the service has them."""
    rows = plant.service.ask(op="topics")["topics"]
    assert len({row["title"] for row in rows}) == len(rows)
    return {row["title"]: len(row["comments"]) for row in rows}


def new_topic(plant: LivePlant, prim: str, title: str) -> str:
    """Open a topic about a prim; return its id."""
    anchors = [{"prim": prim, "point": [0, 0, 0.5]}]
    made = {"id": str(uuid.uuid4()), "kind": "create", "title": title, "anchors": anchors}
    return str(plant.service.ask(op="review", operation=made)["topic"]["id"])


def test_a_cut_line_is_said_and_heals_with_nothing_lost_or_doubled(
    onlookers: Onlookers, plant: LivePlant
) -> None:
    other = onlookers.person("ben").sit()
    with TcpProxy(urlsplit(plant.url).port or 0) as proxy:
        page = onlookers.person("ada", url=f"http://127.0.0.1:{proxy.port}").sit()
        new_topic(plant, "/World/Cart", "Wheel squeaks")
        page.get_by_role("tab", name="Review").click()
        page.locator(".topic-row", has_text="Wheel squeaks").click()
        page.get_by_role("tab", name="Details").click()
        choose(page, "Fan")
        fan = card(page, FAN)
        fan.get_by_role("button", name="Draft").click()
        fan.get_by_role("spinbutton").fill("970")
        choose(other, "Fan")
        expect(card(other, FAN)).to_contain_text("ada considers 970")
        proxy.refuse()
        expect(page.locator(".view-note")).to_contain_text("Not live")
        expect(signal(page, FAN)).to_have_attribute("data-live", "false")
        expect(fan.get_by_role("button", name="Publish")).to_be_disabled()
        expect(card(other, FAN)).not_to_contain_text("ada considers")
        page.get_by_role("tab", name="Review").click()
        page.get_by_role("textbox", name="Comment").fill("written while cut off")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".comment.waiting")).to_contain_text("not sent yet")
        assert topics(plant)["Wheel squeaks"] == 0
        plant.field.say("fan/speed", 805.5)
        proxy.accept()
        expect(page.locator(".comment.waiting")).to_have_count(0)
        expect(page.locator(".comment", has_text="written while cut off")).to_have_count(1)
        expect(page.locator(".view-note")).not_to_contain_text("Not live")
        page.get_by_role("tab", name="Details").click()
        expect(signal(page, FAN)).to_contain_text("805.5")
        expect(fan.get_by_role("spinbutton")).to_have_value("970")
        expect(fan.get_by_role("button", name="Publish")).to_be_enabled()
        expect(card(other, FAN)).to_contain_text("ada considers 970")
        assert topics(plant)["Wheel squeaks"] == 1
        known = page.evaluate("() => [...stagetwin.session.topics.values()].map((t) => t.title)")
        assert sorted(known) == sorted(topics(plant))
        page.close()
    assert onlookers.record.take(*LOST) == []


def test_a_gateway_that_dies_comes_back_and_nobody_signs_in_again(
    onlookers: Onlookers, plant: LivePlant
) -> None:
    page = onlookers.person("ada").sit()
    choose(page, "Pump")
    seen = topics(plant)
    (gateway,) = (
        child
        for child in psutil.Process(plant.service.pid).children()
        if "stagetwin.gateway" in child.cmdline()
    )
    page.evaluate(
        """() => {
          const note = document.querySelector(".view-note");
          window.said = [];
          stagetwin.session.on("state", () => window.said.push(note.textContent));
        }"""
    )
    gateway.kill()
    page.wait_for_function("() => window.said.length > 0 && stagetwin.session.state === 'live'")
    assert "Not live" in page.evaluate("() => window.said[0]")
    plant.field.say("pump/flow", 47.25)
    expect(page.locator(".view-note")).not_to_contain_text("Not live")
    expect(signal(page, "/World/Pump.flow")).to_contain_text("47.25")
    expect(page.get_by_role("dialog")).to_have_count(0)
    known = page.evaluate("() => [...stagetwin.session.topics.values()].map((t) => t.title)")
    assert sorted(known) == sorted(seen)
    assert page.evaluate("() => stagetwin.session.welcome.user") == "ada"
    assert onlookers.record.take(*LOST) == []


def test_links_lead_to_what_they_name_after_signing_in(
    onlookers: Onlookers, plant: LivePlant
) -> None:
    topic = new_topic(plant, "/World/Lift", "Mast leans")
    context = onlookers.context()
    page = context.new_page()
    page.goto(f"{plant.url}/?topic={topic}&test=1&aa=0&shadows=0&dpr=1")
    assert urlsplit(page.url).path == "/login"
    page.get_by_label("Name").fill("ben")
    page.get_by_label("Password").fill("ben-secret-words")
    page.get_by_role("button").click()
    drawn(page)
    expect(page.get_by_role("heading", name="Mast leans")).to_be_visible()
    camera = "4,-9,3,4,0,0,0,0,1,40"
    page.goto(f"{plant.url}/?prim=/World/Fan&camera={camera}&test=1&aa=0&shadows=0&dpr=1")
    drawn(page)
    expect(page.get_by_role("heading", name="Fan", exact=True)).to_be_visible()
    assert selection(page) == ["/World/Fan"]
    position = page.evaluate("() => stagetwin.view.camera.position")
    assert position == pytest.approx([4, -9, 3], abs=1e-6)


def test_a_phone_finds_an_alarm_and_acknowledges_it(onlookers: Onlookers, plant: LivePlant) -> None:
    page = onlookers.person("ada", phone=True).sit()
    plant.field.say("lift/load", 12.5)
    click_on(page, "/World/Fan", touch=True)
    page.wait_for_function("() => stagetwin.view.selection[0] === '/World/Fan'")
    alarm = page.locator(".alarm", has_text="Lift")
    page.locator("[data-nav=alarms]").tap()
    expect(alarm).to_contain_text("above")
    alarm.get_by_text("Lift").tap()
    expect(page.get_by_role("heading", name="Lift", exact=True)).to_be_visible()
    assert selection(page) == ["/World/Lift"]
    page.locator("[data-nav=alarms]").tap()
    alarm.get_by_role("button", name="Acknowledge").tap()
    dialog = page.get_by_role("dialog", name="Acknowledge")
    dialog.get_by_role("button", name="Acknowledge").tap()
    expect(alarm).to_contain_text("acknowledged by ada")
    (told,) = plant.service.ask(op="alarms", prim="/World/Lift")["alarms"]
    assert told["acknowledged"]["by"] == "ada"
    plant.field.say("lift/load", 2.5)


def test_what_goes_wrong_in_a_page_is_heard(onlookers: Onlookers) -> None:
    page = onlookers.person("eve").sit()
    page.evaluate("() => { setTimeout(() => { throw new Error('mishap'); }); }")
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.text = "1";
          document.body.append(script);
        }"""
    )
    until(page, lambda: len(onlookers.record.faults) >= 2)
    faults = sorted(onlookers.record.take())
    assert len(faults) == 2
    assert "violates the following Content Security Policy" in faults[0]
    assert "mishap" in faults[1]
