"""Trading in a live market, as customers see it: everything on these pages moves by itself.

Alice trades in the browser; Carol, at her phone, is somebody else on the market.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from tests.journeys.conftest import PAGE_MS, Platform
from tests.journeys.mobile import DEMO_PASSWORD, Phone
from tests.journeys.people import Customer, Opener, Staff, sign_in, step

ALICE = "alice@demo.test"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def signed_in(browser: Browser, platform: Platform) -> dict[str, object]:
    """Sign Alice in once, for every window of hers."""
    with browser.new_context(base_url=platform.base_url) as context:
        context.set_default_timeout(PAGE_MS)
        page = context.new_page()
        sign_in(page, ALICE, DEMO_PASSWORD)
        return dict(context.storage_state())


@pytest.fixture
def window(new_page: Opener, signed_in: dict[str, object]) -> Opener:
    """Open another window of Alice's."""

    def open_window(**how: object) -> Page:
        return new_page(storage_state=signed_in, **({"viewport": DESKTOP} | how))

    return open_window


@pytest.fixture(scope="module")
def carol(platform: Platform) -> Iterator[Phone]:
    with Phone(platform, "carol@demo.test") as phone:
        phone.sign_in()
        yield phone


def price_of(page: Page) -> Decimal:
    """Read the price at the head of an instrument's page."""
    return Decimal(re.sub(r"[^\d.]", "", page.locator(".instrument-last").inner_text()))


def near(price: Decimal, factor: str) -> str:
    """Give a price so far from another, on a tick."""
    return str(round(price * Decimal(factor), 2))


def test_a_price_is_watched_and_traded_from_the_book(platform, window):
    page = window()
    alice = Customer(platform, page, ALICE)
    with step("watch and place", page):
        page.goto("/markets/AAPLx/")
        last = page.locator(".instrument-last")
        expect(last).not_to_have_text(last.inner_text())  # it moves by itself
        offers = page.get_by_role("group", name="Sell orders").get_by_role("button")
        offers.first.click()  # the dearest: the ticket buys up to there
        expect(page.get_by_label("Limit price")).not_to_have_value("")
        page.get_by_role("button", name="Max").click()
        expect(page.get_by_role("button", name="Review this order")).to_be_enabled()
        page.get_by_label("Amount", exact=True).fill("30")
        alice.press("Buy $30 of Apple")
        alice.expect_receipt("filled")
        page.get_by_role("tab", name="Yours").click()
        trades = page.get_by_role("group", name="Your last trades")
        expect(trades.get_by_role("row").nth(1)).to_contain_text("Bought")
        picture = page.get_by_role("slider", name="Apple, price chart")
        expect(picture).to_have_attribute("aria-valuetext", re.compile("of your trades"))


def test_an_order_changes_and_fills_in_two_windows_and_another_is_cancelled(platform, window):
    page, other = window(), window()
    alice = Customer(platform, page, ALICE)
    page.goto("/markets/NVDAx/")
    price = price_of(page)
    terms = {"measure": "Shares", "type": "Limit", "limit_price": near(price, "0.97")}
    with step("two windows", page, other):
        alice.fill_ticket("NVDAx", amount="0.2", **terms)
        first = alice.press("Buy 0.2 NVDAx")
        mine = page.get_by_role("button", name=re.compile("an order of yours")).first
        expect(mine).to_be_visible()
        other.goto("/orders/")
        row = other.locator(f'.order-row[data-order="{first}"]')
        expect(row).to_have_attribute("data-status", "open")
    with step("amend", page, other):
        row.get_by_role("link", name="Change").click()
        expect(other.get_by_label("Limit price")).to_have_value(near(price, "0.97"))
        other.get_by_label("Shares in all").fill("0.1")
        other.get_by_role("button", name="Change the order").click()
        receipt = other.locator(".order-receipt")
        expect(receipt).to_contain_text("0.1 NVDAx at")
        expect(page.locator(".order-receipt")).to_contain_text("0.1 NVDAx at")  # by itself
        other.get_by_label("Limit price").fill(near(price, "1.03"))
        other.get_by_role("button", name="Change the order").click()
        for one in (page, other):
            expect(one.locator(".order-receipt")).to_have_attribute("data-status", "filled")
            expect(one.locator(".order-receipt")).to_contain_text("You bought 0.1 NVDAx")
    with step("cancel", page, other):
        alice.fill_ticket("NVDAx", amount="0.2", **terms)
        second = alice.press("Buy 0.2 NVDAx")
        alice.expect_receipt("open")
        other.goto("/orders/")
        row = other.locator(f'.order-row[data-order="{second}"]')
        row.get_by_role("button", name=re.compile("^Cancel")).click()
        expect(row).to_have_count(0)
        alice.expect_receipt("cancelled")
        expect(page.locator(".order-receipt")).to_contain_text("you cancelled it")


def test_a_stop_fires_when_the_price_has_come(platform, window, carol):
    bought = carol.order(instrument="KOx", side="buy", type="market", quantity="1")
    price = Decimal(carol.wait_until_final(bought["id"])["average_price"])
    carol.wait_for(lambda: Decimal(carol.balance("KOx")["available"]) >= 1)
    page = window()
    alice = Customer(platform, page, ALICE)
    with step("stop", page):
        page.goto("/markets/KOx/")
        page.locator("label", has=page.get_by_role("radio", name="Sell")).click()
        page.get_by_role("switch", name="Advanced").check()
        page.get_by_label("Order type").select_option("Stop-loss")
        page.get_by_label("Which price starts it").select_option("The last trade here")
        page.get_by_label("Trigger price").fill(str(price - Decimal("0.01")))
        page.locator("label", has=page.get_by_role("radio", name="Shares")).click()
        page.get_by_label("Amount", exact=True).fill("0.5")
        expect(page.get_by_text("When the last trade falls to")).to_be_visible()
        alice.press("Sell 0.5 KOx")
        expect(page.locator(".order-receipt")).to_contain_text("It waits for its price")

        def fired() -> bool:
            sale = carol.order(instrument="KOx", side="sell", type="market", quantity="0.02")
            carol.wait_until_final(sale["id"])
            return page.locator('.order-receipt[data-status="filled"]').count() == 1

        platform.wait_for(fired)
        expect(page.locator(".order-receipt")).to_contain_text("You sold 0.5 KOx")


def test_a_market_is_halted_and_says_so(platform, new_page, window):
    page, desk = window(), new_page()
    with step("halt", page, desk):
        oscar = Staff(platform, desk, "oscar@demo.test")
        page.goto("/markets/TSLAx/")
        page.get_by_label("Amount", exact=True).fill("25")
        button = page.get_by_role("button", name="Buy $25 of Tesla")
        expect(button).to_be_enabled()
        oscar.halt("TSLAx")
        standing = page.locator("market-state")
        expect(standing).to_contain_text("Halted")  # not reloaded
        expect(button).to_be_disabled()
        expect(page.locator("#ticket-answer")).to_contain_text("Nothing trades")
        oscar.propose_state("TSLAx", "Online")
        Staff(platform, new_page(), "olivia@demo.test").approve_next()
        expect(standing).to_contain_text("Market open")
        expect(button).to_be_enabled()


def test_the_network_is_cut_and_comes_back(platform, window):
    page, other = window(), window()
    wires: list[WebSocketRoute] = []
    is_cut = False

    def carry(wire: WebSocketRoute) -> None:
        if is_cut:
            wire.close()
            return
        server = wire.connect_to_server()
        wire.on_message(server.send)
        server.on_message(wire.send)
        wires.append(wire)

    page.route_web_socket(re.compile("/ws/v2"), carry)
    with step("cut", page):
        page.goto("/orders/")
        expect(page.locator("html[data-live=live]")).to_be_attached()
        is_cut = True
        for wire in wires:
            wire.close()
        expect(page.get_by_text("Reconnecting")).to_be_visible()
    with step("meanwhile", other):
        alice = Customer(platform, other, ALICE)
        other.goto("/markets/MSFTx/")
        low = near(price_of(other), "0.97")
        alice.fill_ticket("MSFTx", amount="25", type="Limit", limit_price=low)
        uid = alice.press("Buy $25 of Microsoft")
        alice.expect_receipt("open")
        expect(page.locator(f'.order-row[data-order="{uid}"]')).to_have_count(0)
    with step("back", page):
        is_cut = False
        page.evaluate("dispatchEvent(new Event('online'))")  # as a browser says it
        row = page.locator(f'.order-row[data-order="{uid}"]')
        expect(row).to_be_visible()  # not reloaded
        row.get_by_role("button", name=re.compile("^Cancel")).click()
        expect(row).to_have_count(0)


def test_a_share_is_bought_by_keyboard_alone(platform, window):
    page = window()
    alice = Customer(platform, page, ALICE)
    with step("keyboard", page):
        page.goto("/markets/")
        keys = page.keyboard
        keys.press("/")
        keys.type("tesla")
        keys.press("Enter")
        page.wait_for_url("**/markets/?search=tesla")
        tab_to(page, ".market-rows .row-link")
        keys.press("Enter")
        page.wait_for_url("**/markets/TSLAx/")
        tab_to(page, "#ticket-amount")
        keys.type("20")
        button = page.get_by_role("button", name="Buy $20 of Tesla")
        expect(button).to_be_enabled()
        tab_to(page, ".ticket-go")
        keys.press("Enter")
        alice.expect_receipt("filled")
        expect(page.locator(".order-receipt-title")).to_be_focused()


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until something has the focus, as somebody without a mouse does."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"the Tab key never reaches {selector}")


def test_a_share_is_bought_on_a_phone(platform, window):
    page = window(viewport=PHONE, has_touch=True)
    alice = Customer(platform, page, ALICE)
    with step("phone", page):
        page.goto("/markets/")
        star = page.get_by_role("button", name="Watch Apple")
        was = star.get_attribute("aria-pressed")
        star.tap()
        expect(star).to_have_attribute("aria-pressed", "false" if was == "true" else "true")
        assert fits(page)
        page.goto("/markets/AAPLx/")
        page.locator(".ticket-bar").get_by_role("button", name="Buy").tap()
        page.get_by_label("Amount", exact=True).fill("12.50")
        alice.press("Buy $12.50 of Apple")
        alice.expect_receipt("filled")
        assert fits(page)


def fits(page: Page) -> bool:
    """Tell whether nothing sticks out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
