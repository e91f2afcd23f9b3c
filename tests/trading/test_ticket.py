"""The ticket's words and terms, for every type of order."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from tests import world
from tests.trading.floor import Floor
from tests.trading.test_views import HTMX, signed_in, text
from trading.forms import TYPES, TicketForm
from trading.models import Order
from users.models import User

SHARES = {
    "measure": "shares",
    "amount": "0.5",
    "advanced": "on",
    "client_order_id": "ticket-1",
}
# What each type needs besides: for a sale and for a purchase at a market of 278.50.
TERMS: dict[str, dict[str, dict[str, str]]] = {
    "market": {"sell": {}, "buy": {}},
    "limit": {"sell": {"limit_price": "280"}, "buy": {"limit_price": "270"}},
    "stop-loss": {"sell": {"trigger_price": "270"}, "buy": {"trigger_price": "285"}},
    "stop-loss-limit": {
        "sell": {"trigger_price": "270", "limit_price": "269"},
        "buy": {"trigger_price": "285", "limit_price": "286"},
    },
    "take-profit": {"sell": {"trigger_price": "285"}, "buy": {"trigger_price": "270"}},
    "take-profit-limit": {
        "sell": {"trigger_price": "285", "limit_price": "284"},
        "buy": {"trigger_price": "270", "limit_price": "271"},
    },
    "trailing-stop": {"sell": {"trail": "2"}, "buy": {"trail": "2"}},
    "trailing-stop-limit": {
        "sell": {"trail": "5", "trail_unit": "dollars", "limit_offset": "0.5"},
        "buy": {"trail": "5", "trail_unit": "dollars", "limit_offset": "0.5"},
    },
    "iceberg": {
        "sell": {"limit_price": "280", "display_quantity": "0.1"},
        "buy": {"limit_price": "270", "display_quantity": "0.1"},
    },
}


@pytest.fixture
def alice(floor: Floor) -> User:
    alice = world.alice()
    world.fund(alice, "1000")
    world.give(alice, floor.instrument, "2")
    floor.offer()
    return alice


@pytest.fixture
def browser(alice: User) -> Client:
    return signed_in(alice)


def asked(kind: str, side: str, **more: str) -> dict[str, str]:
    return {**SHARES, "side": side, "special_type": kind, **TERMS[kind][side], **more}


def preview(browser: Client, body: dict[str, str]) -> Any:
    return browser.post("/markets/AAPLx/preview/", body, headers=HTMX)


class TestEveryType:
    def test_says_what_it_does_and_is_placed(self, browser: Client, alice: User) -> None:
        for kind in TYPES:
            for side in ("buy", "sell"):
                body = asked(kind, side, amount="0.01", client_order_id=f"{kind} {side}")
                if kind == "iceberg":
                    body["display_quantity"] = "0.005"
                said = preview(browser, body)
                assert b"data-ready" in said.content, text(said)
                assert "Price a share" in text(said)
                browser.post("/markets/AAPLx/place/", body, headers=HTMX)
                order = Order.objects.get(customer=alice, client_order_id=f"{kind} {side}")
                assert (order.type, order.side, order.quantity) == (kind, side, 1_000_000)

    def test_names_the_first_term_that_is_missing(self, browser: Client) -> None:
        for kind in [kind for kind in TYPES if kind != "market"]:
            said = preview(browser, {**SHARES, "side": "sell", "special_type": kind})
            assert b"data-ready" not in said.content
            assert b'data-field="' in said.content
            assert "Enter " in text(said)

    def test_is_explained_in_one_sentence(self, browser: Client) -> None:
        html = browser.get("/markets/AAPLx/ticket/").content.decode()
        for kind in TYPES:
            assert html.count(f'<p data-for="{kind}">') == 1

    def test_forgets_what_another_type_was_told(self, browser: Client, alice: User) -> None:
        body = asked("limit", "sell", trigger_price="1", trail="3", display_quantity="0.2")
        browser.post("/markets/AAPLx/place/", body, headers=HTMX)
        order = Order.objects.get(customer=alice)
        assert order.trigger_price is None
        assert order.trail_percent is None

    def test_of_the_simple_ticket_knows_no_advanced_terms(
        self, browser: Client, alice: User
    ) -> None:
        body = asked("iceberg", "buy", type="limit", post_only="on", stop_loss="250")
        del body["advanced"]
        browser.post("/markets/AAPLx/place/", body, headers=HTMX)
        order = Order.objects.get(customer=alice)
        assert order.type == "limit"
        assert not order.post_only
        assert order.close is None


class TestWords:
    def test_say_when_a_stop_fires_and_what_it_gets_at_worst(self, browser: Client) -> None:
        said = text(preview(browser, asked("stop-loss", "sell", trigger="index")))
        assert "When the reference price falls to $270.00, you sell about 0.5 AAPLx" in said
        assert "never below $2" in said

    def test_say_how_a_trail_follows(self, browser: Client) -> None:
        said = text(preview(browser, asked("trailing-stop", "sell")))
        assert "falls 2% from its best" in said
        said = text(preview(browser, asked("trailing-stop-limit", "buy")))
        assert "rises $5.00 from its best" in said
        assert "at a limit $0.50 above where it starts" in said

    def test_say_what_an_iceberg_shows(self, browser: Client) -> None:
        assert "Others see 0.1 AAPLx at a time." in text(preview(browser, asked("iceberg", "buy")))

    def test_say_what_is_sold_again(self, browser: Client, alice: User) -> None:
        body = asked("limit", "buy", stop_loss="250", take_profit="300")
        said = text(preview(browser, body))
        assert "sold again when the price falls to $250.00 or rises to $300.00" in said
        browser.post("/markets/AAPLx/place/", body, headers=HTMX)
        close = Order.objects.get(customer=alice).close
        assert close
        assert close["stop_loss"] == "250"

    def test_say_that_a_trigger_is_reached_already(self, browser: Client) -> None:
        said = preview(browser, asked("stop-loss", "sell", trigger_price="300"))
        assert "would fire at once" in text(said)
        assert b'data-field="trigger_price"' in said.content

    def test_count_what_is_left(self, browser: Client) -> None:
        assert left(preview(browser, asked("market", "sell"))) == "1.5 AAPLx"
        body = asked("limit", "buy", measure="dollars", amount="25")
        assert left(preview(browser, body)) == "$974.97"

    def test_promise_the_lower_fee_to_who_only_waits(self, browser: Client) -> None:
        said = text(preview(browser, asked("limit", "buy", post_only="on")))
        assert "Fee, 0.02%" in said
        assert "back" in said

    def test_of_an_iceberg_by_dollars_say_to_choose_shares(self, browser: Client) -> None:
        assert "choose Shares" in text(preview(browser, asked("iceberg", "buy", measure="dollars")))

    def test_until_a_time_need_the_time(self, browser: Client, alice: User) -> None:
        body = asked("limit", "buy", time_in_force="gtd")
        assert "until when" in text(preview(browser, body))
        body["expires_at"] = "2026-11-27T18:00"
        browser.post("/markets/AAPLx/place/", body, headers=HTMX)
        order = Order.objects.get(customer=alice)
        assert f"{order.expires_at:%Y-%m-%d %H:%M}" == "2026-11-27 18:00"


def left(answer: Any) -> str:
    """Give what the figures say is left."""
    return re.split("Left to (?:spend|sell)", text(answer))[1].strip()


class TestReview:
    LARGE = {"side": "buy", "measure": "dollars", "amount": "600", "type": "market"}

    def test_comes_before_a_large_order_is_placed(self, browser: Client, alice: User) -> None:
        body = {**self.LARGE, "client_order_id": "t"}
        answer = browser.post("/markets/AAPLx/place/", body, headers=HTMX)
        assert answer["HX-Retarget"] == "#ticket-review"
        assert "Nothing is placed yet" in text(answer)
        assert "That is 60% of the cash you have." in text(answer)
        assert not Order.objects.filter(customer=alice).exists()
        browser.post("/markets/AAPLx/place/", {**body, "reviewed": "on"}, headers=HTMX)
        assert Order.objects.filter(customer=alice).count() == 1

    def test_comes_before_a_limit_far_from_the_market(self, browser: Client) -> None:
        body = asked("limit", "buy", limit_price="306.35")
        answer = browser.post("/markets/AAPLx/place/", body, headers=HTMX)
        assert "Your limit is 10% above the price just now, $278.50." in text(answer)
        assert "It would trade at once" in text(answer)

    def test_carries_every_term_along(self, browser: Client, alice: User) -> None:
        body = asked("stop-loss-limit", "sell", trigger_price="200", limit_price="199")
        html = browser.post("/markets/AAPLx/place/", body).content.decode()
        found = re.findall(r'type="hidden"\s+name="(\w+)"\s+value="([^"]*)"', html)
        browser.post("/markets/AAPLx/place/", dict(found))
        order = Order.objects.get(customer=alice)
        assert order.type == "stop-loss-limit"
        assert (order.trigger_price, order.limit_price) == (Decimal(200), Decimal(199))

    def test_is_not_needed_for_a_small_one_near_the_market(
        self, browser: Client, alice: User
    ) -> None:
        browser.post("/markets/AAPLx/place/", asked("limit", "buy"), headers=HTMX)
        assert Order.objects.filter(customer=alice).exists()


class TestRestingMarket:
    def test_says_before_anything_is_typed_that_it_is_halted(
        self, browser: Client, floor: Floor
    ) -> None:
        floor.instrument.book.__class__.objects.update(state="cancel_only")
        assert "Halted: Nothing trades" in text(browser.get("/markets/AAPLx/ticket/"))
        said = preview(browser, asked("limit", "buy"))
        assert b"data-ready" not in said.content
        assert "Halted" in text(said)


class TestForm:
    def test_reads_numbers_as_people_type_them(self) -> None:
        form = TicketForm({**SHARES, "side": "buy", "special_type": "market", "amount": "1,000.5"})
        assert form.is_valid(), form.errors
        assert form.cleaned_data["amount"] == Decimal("1000.5")
