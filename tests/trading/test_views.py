import re
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.test import Client

from common import clock
from tests import world
from tests.trading.floor import Floor
from trading.models import Book, Order
from users.models import User

HTMX = {"HX-Request": "true"}
TICKET = {
    "side": "buy",
    "measure": "dollars",
    "amount": "25",
    "type": "market",
    "limit_price": "",
    "client_order_id": "ticket-1",
}


@pytest.fixture
def alice(floor: Floor) -> User:
    alice = world.alice()
    world.fund(alice, "1000")
    return alice


@pytest.fixture
def browser(alice: User) -> Client:
    return signed_in(alice)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text(answer: Any) -> str:
    """Give what a person reads, in one line."""
    words = re.sub(r"<[^>]+>", "", answer.content.decode())
    return re.sub(r"\s+", " ", words).replace("&#x27;", "'")


class TestInstrumentPage:
    def test_shows_a_stranger_everything_but_the_ticket(self, floor: Floor) -> None:
        answer = Client().get("/markets/AAPLx/")
        assert answer.status_code == 200
        assert "Apple" in text(answer)
        assert "CH1436219187" in text(answer)
        assert "to trade, open an account first" in text(answer)

    def test_says_why_somebody_unverified_may_not_trade(self, floor: Floor) -> None:
        answer = signed_in(world.customer("bob@demo.test")).get("/markets/AAPLx/")
        assert "Verify who you are first" in text(answer)
        assert "/verify/" in answer.content.decode()

    def test_gives_each_ticket_its_own_order_id(self, browser: Client) -> None:
        pattern = rb'name="client_order_id"\s+value="(\w+)"'
        ids = {re.search(pattern, browser.get("/markets/AAPLx/").content)[1] for _ in range(2)}  # type: ignore[index]
        assert len(ids) == 2

    def test_of_something_unknown_is_not_there(self, floor: Floor) -> None:
        for symbol in ("NOPEx", "%00", "A" * 300):
            assert Client().get(f"/markets/{symbol}/").status_code == 404

    def test_says_that_prices_are_simulated_and_who_issues(self, floor: Floor) -> None:
        said = text(Client().get("/markets/AAPLx/"))
        assert "Simulated prices" in said
        assert "Backed Assets" in said

    def test_says_that_a_halted_market_is_halted(self, floor: Floor) -> None:
        Book.objects.filter(instrument=floor.instrument).update(state="cancel_only")
        said = text(Client().get("/markets/AAPLx/", headers=HTMX))
        assert "Halted" in said
        assert "you can cancel them" in said
        assert "Order book" not in said  # the part that asked, alone

    def test_says_when_a_paused_market_goes_on(self, floor: Floor) -> None:
        Book.objects.filter(instrument=floor.instrument).update(
            engine_state={"paused_until": 1_795_000_000_000_000}
        )
        assert "It goes on at 11:06:40 UTC" in text(Client().get("/markets/AAPLx/"))

    def test_says_when_a_closed_market_opens(
        self, floor: Floor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clock, "now", lambda: world.NOW + timedelta(days=1))
        said = text(Client().get("/markets/ABTx/"))
        assert "Market closed" in said
        assert "Monday, 23 November, 01:00 UTC" in said

    def test_asks_no_more_queries_for_more_trades(
        self, floor: Floor, browser: Client, django_assert_num_queries: Any
    ) -> None:
        floor.offer()
        for number in range(3):
            browser.post("/markets/AAPLx/place/", {**TICKET, "client_order_id": f"t{number}"})
        floor.run()
        with django_assert_num_queries(18):
            browser.get("/markets/AAPLx/")
        with django_assert_num_queries(8):
            said = browser.get("/markets/AAPLx/orders/", headers=HTMX)
        assert said.content.count(b"data-own-fill") == 3

    def test_has_no_inline_script_or_style(self, browser: Client) -> None:
        html = browser.get("/markets/AAPLx/").content.decode()
        assert not re.search(r"\son\w+=|\sstyle=|<style|<script>", html)


class TestPreview:
    def test_says_in_one_sentence_what_would_happen(self, floor: Floor, browser: Client) -> None:
        floor.offer()
        said = text(browser.post("/markets/AAPLx/preview/", TICKET, headers=HTMX))
        assert re.search(r"You get about 0\.08\d\d AAPLx at \$\d+\.\d\d, fee \$0\.0\d", said)
        assert "never above $" in said

    def test_names_the_button(self, browser: Client) -> None:
        html = browser.post("/markets/AAPLx/preview/", TICKET, headers=HTMX).content.decode()
        assert 'data-label="Buy $25 of Apple"' in html
        assert "data-ready" in html

    def test_says_before_pressing_that_the_cash_is_not_there(self, browser: Client) -> None:
        body = {**TICKET, "amount": "5,000"}
        answer = browser.post("/markets/AAPLx/preview/", body, headers=HTMX)
        assert "is available" in text(answer)
        assert "/deposit/" in answer.content.decode()
        assert b"data-ready" not in answer.content

    @pytest.mark.parametrize("amount", ["", "x", "NaN", "-5", "0", "1e9", "0.0000001", "9" * 40])
    def test_is_not_ready_for_what_is_no_amount(self, browser: Client, amount: str) -> None:
        body = {**TICKET, "amount": amount}
        answer = browser.post("/markets/AAPLx/preview/", body, headers=HTMX)
        assert answer.status_code == 200
        assert b"data-ready" not in answer.content

    def test_promises_a_limit_order_no_more_than_its_limit(self, browser: Client) -> None:
        body = {**TICKET, "type": "limit", "limit_price": "270"}
        said = text(browser.post("/markets/AAPLx/preview/", body, headers=HTMX))
        assert "only at $270.00 a share or lower" in said

    def test_is_the_review_step_without_scripts(self, browser: Client) -> None:
        answer = browser.post("/markets/AAPLx/preview/", TICKET)
        assert answer.status_code == 200
        assert "Nothing is placed yet" in text(answer)
        assert "Buy $25 of Apple" in text(answer)
        assert not Order.objects.filter(type="market").exists()

    def test_shows_the_ticket_again_without_scripts_where_something_is_wrong(
        self, browser: Client
    ) -> None:
        answer = browser.post("/markets/AAPLx/preview/", {**TICKET, "amount": ""})
        assert answer.status_code == 422
        assert "Enter an amount" in text(answer)


class TestPlacing:
    def test_places_and_shows_the_receipt(self, browser: Client, alice: User) -> None:
        answer = browser.post("/markets/AAPLx/place/", TICKET, headers=HTMX)
        [order] = Order.objects.filter(customer=alice)
        assert order.notional == 25_000_000
        assert "On its way to the market" in text(answer)
        assert str(order.uid) in text(answer)

    def test_without_scripts_leads_to_the_receipt(self, browser: Client, alice: User) -> None:
        answer = browser.post("/markets/AAPLx/place/", TICKET)
        order = Order.objects.get(customer=alice)
        assert answer.status_code == 302
        assert answer["Location"] == f"/orders/{order.uid}/"

    def test_of_the_same_ticket_twice_is_one_order(self, browser: Client, alice: User) -> None:
        first = browser.post("/markets/AAPLx/place/", TICKET, headers=HTMX)
        second = browser.post("/markets/AAPLx/place/", TICKET, headers=HTMX)
        assert first.status_code == second.status_code == 200
        assert Order.objects.filter(customer=alice).count() == 1

    def test_says_that_nothing_was_placed(self, browser: Client, alice: User) -> None:
        body = {**TICKET, "amount": "5000"}
        answer = browser.post("/markets/AAPLx/place/", body, headers=HTMX)
        assert "Nothing was placed." in text(answer)
        assert not Order.objects.filter(customer=alice).exists()

    def test_is_refused_before_verification(self, floor: Floor) -> None:
        bob = world.customer("bob@demo.test")
        answer = signed_in(bob).post("/markets/AAPLx/place/", TICKET, headers=HTMX)
        assert "Verify who you are first" in text(answer)
        assert not Order.objects.filter(customer=bob).exists()

    def test_sends_a_stranger_to_sign_in(self, floor: Floor) -> None:
        answer = Client().post("/markets/AAPLx/place/", TICKET)
        assert answer.status_code == 302
        assert "/accounts/login/" in answer["Location"]


class TestOrdersPage:
    def place(self, browser: Client, floor: Floor, **body: str) -> Order:
        browser.post("/markets/AAPLx/place/", {**TICKET, **body})
        floor.run()
        return Order.objects.get(client_order_id=body.get("client_order_id", "ticket-1"))

    def test_says_what_to_do_when_empty(self, browser: Client) -> None:
        assert "No open orders" in text(browser.get("/orders/"))

    def test_shows_open_orders_and_cancels_them(self, browser: Client, floor: Floor) -> None:
        order = self.place(browser, floor, type="limit", limit_price="270")
        assert "$25 at $270.00 or better" in text(browser.get("/orders/"))
        answer = browser.post(f"/orders/{order.uid}/cancel/", headers=HTMX)
        assert "Cancelling" in text(answer)
        floor.run()
        assert "No open orders" in text(browser.get("/orders/"))
        history = browser.get("/orders/?show=history&status=cancelled&instrument=AAPLx&side=buy")
        assert "Buy Apple" in text(history)
        assert "because you cancelled it." in text(browser.get(f"/orders/{order.uid}/"))

    def test_cancels_without_scripts_too(self, browser: Client, floor: Floor) -> None:
        order = self.place(browser, floor, type="limit", limit_price="270")
        answer = browser.post(f"/orders/{order.uid}/cancel/", follow=True)
        assert "cancelling" in text(answer)

    def test_filters_by_nonsense_as_by_nothing(self, browser: Client) -> None:
        query = "show=history&instrument=%25&side=both&status=x&before=" + "9" * 30
        assert browser.get(f"/orders/?{query}").status_code == 200

    def test_takes_no_more_queries_for_more_orders(
        self, browser: Client, floor: Floor, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(4):
            limit = {"type": "limit", "limit_price": "270"}
            self.place(browser, floor, client_order_id=f"t{number}", **limit)
        with django_assert_max_num_queries(6):
            assert browser.get("/orders/").status_code == 200

    def test_narrows_the_history_by_day(self, browser: Client, floor: Floor) -> None:
        self.place(browser, floor)
        for query, found in (
            ("since=2026-11-20&until=2026-11-20", True),
            ("since=2026-11-21", False),
            ("until=2026-11-19", False),
            ("since=nonsense", True),
        ):
            said = text(browser.get(f"/orders/?show=history&{query}"))
            assert ("Buy Apple" in said) is found, query

    def test_turns_the_page_with_its_filters(
        self, browser: Client, floor: Floor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(import_module("trading.views.orders"), "PAGE", 1)
        first = self.place(browser, floor)
        self.place(browser, floor, client_order_id="ticket-2")
        html = browser.get("/orders/?show=history&side=buy").content.decode()
        [older] = re.findall(r'href="(\?[^"]*before=[^"]*)"', html)
        assert "side=buy" in older
        answer = browser.get("/orders/" + older.replace("&amp;", "&")).content.decode()
        assert f'data-order="{first.uid}"' in answer
        assert answer.count("data-order=") == 1

    def test_cancels_all(self, browser: Client, floor: Floor) -> None:
        self.place(browser, floor, type="limit", limit_price="270")
        assert "Cancelling 1 open order." in text(browser.post("/orders/cancel-all/", follow=True))


class TestReceipt:
    def test_says_what_happened(self, browser: Client, floor: Floor, alice: User) -> None:
        floor.offer()
        browser.post("/markets/AAPLx/place/", TICKET)
        floor.run()
        order = Order.objects.get(customer=alice)
        said = text(browser.get(f"/orders/{order.uid}/"))
        assert re.search(r"You bought 0\.08\d\d AAPLx at \$278\.60 a share", said)
        assert str(order.uid) in said

    def test_offers_what_is_next_where_it_stands(
        self, browser: Client, floor: Floor, alice: User
    ) -> None:
        limit = {**TICKET, "type": "limit", "limit_price": "270"}
        in_ticket = browser.post("/markets/AAPLx/place/", limit, headers=HTMX)
        assert "New order" in text(in_ticket)
        [again] = re.findall(r'hx-get="(/orders/[^"]*)"', in_ticket.content.decode())
        assert "New order" in text(browser.get(again, headers=HTMX))
        order = Order.objects.get(customer=alice)
        assert "New order" not in text(browser.get(f"/orders/{order.uid}/", headers=HTMX))

    def test_of_somebody_else_is_not_there(self, browser: Client, floor: Floor) -> None:
        theirs = floor.offer()
        assert browser.get(f"/orders/{theirs.uid}/").status_code == 404
        assert browser.post(f"/orders/{theirs.uid}/cancel/").status_code == 404
        assert browser.post(f"/orders/{theirs.uid}/amend/").status_code == 404

    def test_amends_what_waits(self, browser: Client, floor: Floor, alice: User) -> None:
        shares = {"measure": "shares", "amount": "0.5", "type": "limit", "limit_price": "270"}
        browser.post("/markets/AAPLx/place/", {**TICKET, **shares})
        floor.run()
        order = Order.objects.get(customer=alice)
        path = f"/orders/{order.uid}/amend/"
        assert "on its way" in text(browser.post(path, {"limit_price": "271"}, follow=True))
        floor.run()
        order.refresh_from_db()
        assert order.limit_price == Decimal(271)
        assert browser.post(path, {}).status_code == 422

    def test_leaves_what_a_form_older_than_its_order_only_shows(
        self, browser: Client, floor: Floor, alice: User
    ) -> None:
        order = floor.place(alice, "buy", quantity="0.2", limit_price="270")
        floor.run()
        path = f"/orders/{order.uid}/amend/"
        shown = browser.get(f"/orders/{order.uid}/").content.decode()
        assert 'type="hidden" name="initial-quantity" value="0.2"' in shown
        browser.post(path, {"quantity": "0.1"})
        floor.run()
        showed = {"initial-quantity": "0.2", "initial-limit_price": "270.00"}
        browser.post(path, {"quantity": "0.2", "limit_price": "271", **showed})
        floor.run()
        order.refresh_from_db()
        assert (order.quantity, order.limit_price) == (10_000_000, 271)

    def test_amends_a_trigger_before_it_is_reached(
        self, browser: Client, floor: Floor, alice: User
    ) -> None:
        stop = {"advanced": "on", "special_type": "stop-loss", "trigger_price": "290"}
        body = {**TICKET, **stop, "measure": "shares", "amount": "0.5"}
        browser.post("/markets/AAPLx/place/", body)
        floor.run()
        order = Order.objects.get(customer=alice)
        said = text(browser.get(f"/orders/{order.uid}/"))
        assert "It waits for its price outside the market: 0.5 AAPLx once at $290.00." in said
        path = f"/orders/{order.uid}/amend/"
        assert "Give another price" in text(browser.post(path, {"trigger_price": "290"}))
        assert "would fire at once" in text(browser.post(path, {"trigger_price": "200"}))
        browser.post(path, {"trigger_price": "300", "quantity": "0.25"})
        floor.run()
        order.refresh_from_db()
        assert order.trigger_price == Decimal(300)
        assert order.quantity == 25_000_000

    def test_shows_an_instruments_own_orders(self, browser: Client, floor: Floor) -> None:
        browser.post("/markets/AAPLx/place/", TICKET)
        assert "Buy Apple" in text(browser.get("/markets/AAPLx/orders/"))
        assert "No orders yet" in text(browser.get("/markets/TSLAx/orders/"))
