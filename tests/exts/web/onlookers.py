"""People at browsers who look at one live plant, and a record of what goes wrong there."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page

from tests.exts.web.browsers import WITHIN

__all__ = ["Onlookers", "Person", "until"]

LIGHT_WORK = "test=1&aa=0&smooth=0&shadows=0&dpr=0.5"
"""Drawing without a GPU is slow; what stands is drawn once."""

LOST = ("WebSocket connection to", "Failed to load resource: net::ERR_CONNECTION_")
"""What a browser itself says in the console where a service is gone."""


@dataclass(slots=True)
class Record:
    """What browsers said and asked for.

    Attributes:
        faults: errors of consoles and pages, violations of the content security policy.
        requests: how many addresses were asked for.
        strangers: addresses beyond loopback.
    """

    faults: list[str] = field(default_factory=list)
    requests: int = 0
    strangers: list[str] = field(default_factory=list)

    def asked(self, url: str) -> None:
        """Note an address."""
        self.requests += 1
        parts = urlsplit(url)
        if parts.scheme in ("data", "blob"):
            return
        if not _is_loopback(parts.hostname or ""):
            self.strangers.append(url)

    def take(self, *expected: str) -> list[str]:
        """Return the faults so far but for those with an expected text, and forget them."""
        found = [each for each in self.faults if not any(text in each for text in expected)]
        self.faults.clear()
        return found


class Person:
    """Somebody who is signed in, in a browser context of their own.

    Args:
        context: theirs.
        url: where they find the viewer.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context, self.url = context, url

    def sit(self, query: str = "") -> Page:
        """Open the viewer in a new page; return it once it is live and the scene is drawn."""
        page = self.context.new_page()
        page.goto(f"{self.url}/?{LIGHT_WORK}{query}")
        drawn(page)
        return page


def drawn(page: Page) -> None:
    """Wait until the page is live and its scene is drawn."""
    page.wait_for_selector(".connection[data-state=live]")
    page.wait_for_function("() => window.stagetwin?.view.ready")
    page.wait_for_selector("[role=treeitem] .live-mark:not([hidden])", state="attached")


class Onlookers:
    """Signs people in, and keeps their sessions until it is closed.

    Args:
        browser: Chromium.
        url: of the gateway.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url
        self._people: dict[tuple[str, str, bool], Person] = {}
        self._contexts: list[BrowserContext] = []
        self.record = Record()

    def person(self, name: str, *, url: str = "", phone: bool = False) -> Person:
        """Return somebody who is signed in.

        Args:
            name: account.
            url: where they find the viewer, if not at the gateway's own address.
            phone: whether they hold a phone.
        """
        key = (name, url or self._url, phone)
        if key not in self._people:
            self._people[key] = person = Person(self.context(phone=phone), key[1])
            answer = person.context.request.post(
                f"{person.url}/login", data={"name": name, "password": f"{name}-secret-words"}
            )
            assert answer.ok, answer.text()
        return self._people[key]

    def context(self, *, phone: bool = False) -> BrowserContext:
        """Return a browser that knows nothing yet, and is watched."""
        width, height = (390, 844) if phone else (900, 600)
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            has_touch=phone,
            is_mobile=phone,
            reduced_motion="reduce",
        )
        self._contexts.append(context)
        context.set_default_timeout(WITHIN)
        faults = self.record.faults
        context.on("weberror", lambda error: faults.append(str(error.error)))
        context.on(
            "console",
            lambda message: faults.append(message.text) if message.type == "error" else None,
        )
        context.on("request", lambda request: self.record.asked(request.url))
        context.on(
            "page",
            lambda page: page.on("websocket", lambda socket: self.record.asked(socket.url)),
        )
        return context

    def leave(self) -> None:
        """Close all pages; people stay signed in."""
        for context in self._contexts:
            for page in context.pages:
                page.close()

    def close(self) -> None:
        """Close everything."""
        for context in self._contexts:
            context.close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def looking_on(browser: Browser, url: str) -> Iterator[Onlookers]:
    """Have people look on; nothing may have been asked of anybody but loopback."""
    onlookers = Onlookers(browser, url)
    try:
        yield onlookers
    finally:
        onlookers.close()
    assert onlookers.record.requests
    assert onlookers.record.strangers == []


def until(page: Page, what: Callable[[], Any], timeout: float = WITHIN / 1000) -> Any:
    """Return the first true answer, while the pages go on; fail after `timeout` [s]."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        page.wait_for_timeout(50)
    raise AssertionError("it never came true")
