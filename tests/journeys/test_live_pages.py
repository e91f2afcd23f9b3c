"""Pages that stay true: silence, no network, a server that restarts, two windows of one person."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.journeys.mobile import DEMO_PASSWORD
from tests.journeys.people import Opener, sign_in

ALICE = "alice@demo.test"
TOTAL = "#home-hero live-total .money-total"


@pytest.fixture
def sign_alice_in(new_page: Opener) -> Callable[[], Page]:
    def open_home() -> Page:
        page = new_page()
        sign_in(page, ALICE, DEMO_PASSWORD)
        return page

    return open_home


class Line:
    """The sockets of a page, which can fall silent without closing, as on a train in a tunnel."""

    def __init__(self, page: Page) -> None:
        self.is_silent = False
        page.route_web_socket(re.compile(r"/ws/v2"), self.carry)

    def carry(self, socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        socket.on_message(server.send)
        server.on_message(lambda message: None if self.is_silent else socket.send(message))


class TestSilence:
    def test_looks_stale_within_five_seconds_and_comes_back_by_itself(self, new_page):
        page = new_page()
        line = Line(page)
        page.clock.install()
        sign_in(page, ALICE, DEMO_PASSWORD)
        expect(page.locator("html[data-live=live]")).to_be_attached()
        line.is_silent = True
        page.clock.run_for(5_000)
        expect(page.locator("html[data-live=stale]")).to_be_attached()
        expect(page.get_by_text("Prices paused")).to_be_visible()
        live, old = (colors(page, live=live) for live in (True, False))
        assert old != live  # old prices look old
        line.is_silent = False
        expect(page.locator("html[data-live=live]")).to_be_attached()
        expect(page.get_by_text("Prices paused")).to_be_hidden()


def colors(page: Page, *, live: bool) -> list[str]:
    """Give the colors of the total and of a price, as they are or as if the line were live."""
    script = """(live) => {
      const root = document.documentElement, was = root.dataset.live;
      if (live) root.dataset.live = "live";
      const shown = [".money-total", "live-price"].map((one) => document.querySelector(one));
      const moving = document.getAnimations().filter((one) => one instanceof CSSTransition);
      for (const change of moving) change.finish();
      const found = shown.map((one) => getComputedStyle(one).color);
      root.dataset.live = was;
      return found;
    }"""
    return list(page.evaluate(script, live))


class TestRestart:
    def test_leaves_the_page_right_without_reloading(self, platform, sign_alice_in):
        page = sign_alice_in()
        expect(page.locator("html[data-live=live]")).to_be_attached()
        page.evaluate("window.neverReloaded = true")
        platform.kill("web")
        expect(page.locator("html[data-live=live]")).not_to_be_attached()
        expect(page.locator("html[data-live=live]")).to_be_attached()
        before = page.locator(TOTAL).get_attribute("value")
        expect(page.locator(TOTAL)).not_to_have_attribute("value", str(before))  # it ticks again
        assert page.evaluate("window.neverReloaded")


class TestTwoWindows:
    def test_agree_on_a_payment(self, sign_alice_in):
        one, other = sign_alice_in(), sign_alice_in()
        for page in (one, other):
            page.goto("/cards/")
        taps = other.locator("#card-taps .tap")
        known = taps.count()
        one.get_by_role("button", name="Blue Door").click()
        expect(one.locator("#card-taps .tap")).to_have_count(known + 1)
        expect(taps).to_have_count(known + 1)


class TestOffline:
    def test_says_so_instead_of_showing_old_money(self, sign_alice_in):
        page = sign_alice_in()
        page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
        page.wait_for_function("() => navigator.serviceWorker.controller")
        page.context.set_offline(True)
        page.goto("/portfolio/")
        expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
        expect(page.locator(".money, .price")).to_have_count(0)
        page.context.set_offline(False)
        expect(page.get_by_role("heading", name="Portfolio")).to_be_visible()  # by itself
