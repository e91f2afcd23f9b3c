import pytest

import market.operations
from spending import gateways
from tests import world
from tests.portfolio import desk
from tests.spending import shop
from tests.trading.floor import Floor

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(client):
    alice = world.alice()
    client.force_login(alice)
    return alice


@pytest.fixture
def holding(alice, friday):
    world.fund(alice, "10000")
    desk.trade(alice, "buy", "2", price="100")
    desk.book()
    desk.price(world.instrument(), "120", before="100")
    return alice


def page(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


class TestHome:
    def test_is_for_people_who_signed_in(self, client):
        assert client.get("/home/").status_code == 302

    def test_tells_somebody_new_to_verify(self, client):
        client.force_login(world.customer("new@demo.test"))
        assert "One step before you can trade" in page(client, "/home/")

    def test_tells_who_waits_that_we_are_checking(self, client):
        client.force_login(world.bob())
        assert "We are checking your details" in page(client, "/home/")

    def test_tells_who_was_refused_that_they_were(self, client):
        bob = world.customer("refused@demo.test")
        world.refused(bob)
        client.force_login(bob)
        assert "We could not open an account for you" in page(client, "/home/")

    def test_tells_the_verified_to_add_dollars_then_to_buy(self, client, alice):
        assert "Add your first dollars" in page(client, "/home/")
        world.fund(alice, "100")
        assert "Buy your first piece of a company" in page(client, "/home/")

    def test_tells_who_owes_what_pays_it(self, client, alice):
        world.fund(alice, "10")
        shop.send(gateways.CLEARED, shop.card(alice), amount="30")
        assert "You owe $20.00" in page(client, "/home/")
        world.fund(alice, "5")
        assert "You owe $20.00" in page(client, "/home/")
        assert "going to what you owe" in page(client, "/portfolio/")

    def test_shows_total_holdings_and_what_happened(self, client, holding):
        shown = page(client, "/home/")
        assert 'value="10040.000000"' in shown
        assert "Bought 2 AAPLx" in shown
        assert "<value-chart" in shown

    @pytest.mark.parametrize("part", ["hero", "step", "chart", "holdings", "watched", "recent"])
    def test_gives_its_parts_alone(self, client, holding, part):
        shown = page(client, f"/home/?part={part}")
        assert "<html" not in shown
        assert f'id="home-{part}"' in shown

    def test_tells_what_came_in_from_what_was_earned(self, client, holding):
        shown = page(client, "/home/?period=1w")
        assert "came in" in shown

    def test_shows_the_watchlist(self, client, holding):
        assert "Nothing watched yet" in page(client, "/home/?part=watched")
        tesla = world.instrument("TSLAx")
        market.operations.star(instrument=tesla, customer=holding, now=world.NOW)
        shown = page(client, "/home/?part=watched")
        assert 'href="/markets/TSLAx/"' in shown

    @pytest.mark.parametrize("period", ["1d", "1w", "1m", "1y", "nonsense"])
    def test_draws_each_period(self, client, holding, period):
        assert "<polyline" in page(client, f"/home/?period={period}")

    @pytest.mark.parametrize("symbols", [["AAPLx"], ["AAPLx", "TSLAx", "NVDAx"]])
    def test_takes_as_many_queries_for_many_holdings_as_for_one(
        self, client, alice, django_assert_max_num_queries, symbols
    ):
        world.fund(alice, "10000")
        for symbol in symbols:
            desk.trade(alice, "buy", "1", symbol)
        desk.book()
        with django_assert_max_num_queries(29):
            page(client, "/home/")


class TestPositions:
    def test_says_what_to_do_when_there_are_none(self, client, alice):
        assert "You hold no shares yet" in page(client, "/portfolio/")

    def test_shows_cost_value_and_gain(self, client, holding):
        shown = page(client, "/portfolio/")
        assert 'value="240.000000"' in shown
        assert "+20.00%" in shown

    @pytest.mark.parametrize("symbols", [["AAPLx"], ["AAPLx", "TSLAx", "NVDAx"]])
    def test_takes_as_many_queries_for_many_as_for_one(
        self, client, alice, django_assert_num_queries, symbols
    ):
        world.fund(alice, "10000")
        for symbol in symbols:
            desk.trade(alice, "buy", "1", symbol)
        desk.book()
        with django_assert_num_queries(10):
            page(client, "/portfolio/")

    @pytest.mark.parametrize("path", ["/home/", "/portfolio/", "/portfolio/position/AAPLx/"])
    def test_shows_the_shares_that_orders_have_set_aside(self, client, holding, path):
        words = "Set aside for orders" if "position" in path else "set aside for orders"
        assert words not in page(client, path)
        Floor(price="120").place(holding, "sell", quantity="0.75", limit_price="300")
        shown = page(client, path)
        assert words in shown
        assert 'value="0.75000000"' in shown
        (apple,) = client.get("/api/v1/portfolio").json()["positions"]
        assert (apple["quantity"], apple["held"], apple["available"]) == (
            "2.00000000",
            "0.75000000",
            "1.25000000",
        )

    def test_gives_its_table_alone(self, client, holding):
        assert "<html" not in page(client, "/portfolio/?part=table")


class TestPosition:
    def test_is_a_fragment_of_the_instruments_page(self, client, holding):
        shown = page(client, "/portfolio/position/AAPLx/")
        assert "<html" not in shown
        assert 'value="240.000000"' in shown

    def test_says_when_there_is_none(self, client, holding):
        assert "You hold no TSLAx" in page(client, "/portfolio/position/TSLAx/")

    def test_of_nothing_listed_is_not_there(self, client, alice):
        assert client.get("/portfolio/position/NOPEx/").status_code == 404


class TestActivity:
    def test_says_what_to_do_when_nothing_happened(self, client, alice):
        assert "Nothing has happened yet" in page(client, "/activity/")

    def test_goes_back_page_by_page(self, client, alice, monkeypatch):
        monkeypatch.setattr("portfolio.views.A_PAGE", 2)
        world.fund(alice, "1000")
        for minute in range(3):
            desk.trade(alice, "buy", "1", minutes=minute)
        answer = client.get("/activity/")
        assert [item.kind for item in answer.context["items"]] == ["buy", "buy"]
        answer = client.get(f"/activity/?before={answer.context['older']}")
        assert [item.kind for item in answer.context["items"]] == ["buy", "deposit"]
        assert answer.context["older"] == ""
        assert client.get("/activity/?before=nonsense").status_code == 200


class TestApi:
    def test_gives_the_portfolio(self, client, holding):
        told = client.get("/api/v1/portfolio").json()
        assert told["total_value"] == "10040.000000"
        assert told["cash"] == "9800.000000"
        (apple,) = told["positions"]
        assert apple["instrument"] == "AAPLx"
        assert apple["quantity"] == "2.00000000"
        assert apple["market_value"] == "240.000000"
        assert apple["unrealized_pnl"] == "40.000000"

    def test_gives_the_balances(self, client, holding):
        told = client.get("/api/v1/balances").json()
        assert [one["asset"] for one in told] == ["USD", "AAPLx"]

    def test_gives_the_activity_page_by_page(self, client, holding):
        told = client.get("/api/v1/activity?limit=1").json()
        assert [one["kind"] for one in told["results"]] == ["buy"]
        assert told["results"][0]["amounts"] == [
            {"asset": "AAPLx", "amount": "2.00000000"},
            {"asset": "USD", "amount": "-200.000000"},
        ]
        assert told["previous"] is None
        told = client.get(told["next"]).json()
        assert [one["kind"] for one in told["results"]] == ["deposit"]
        assert told["next"] is None
        told = client.get(told["previous"]).json()
        assert ([one["kind"] for one in told["results"]], told["previous"]) == (["buy"], None)

    def test_gives_no_more_activity_than_was_asked_for(self, client, holding, alice):
        card = shop.card(alice)
        for _ in range(7):
            shop.pending(card, "1")
        url, kinds = "/api/v1/activity?limit=3", []
        while url:
            told = client.get(url).json()
            assert len(told["results"]) <= 3
            kinds += [one["kind"] for one in told["results"]]
            url = told["next"]
        assert sorted(kinds) == ["buy", *["card_tap"] * 7, "deposit"]

    @pytest.mark.parametrize("cursor", ["x", "o", "oMTIz", "o!!", "n\u2603"])
    def test_refuses_a_cursor_of_no_place(self, client, holding, cursor):
        told = client.get("/api/v1/activity", {"cursor": cursor})
        assert (told.status_code, told.json()["code"]) == (400, "CursorInvalid")

    @pytest.mark.parametrize("path", ["portfolio", "balances", "activity"])
    def test_is_for_people_who_signed_in(self, client, path):
        assert client.get(f"/api/v1/{path}").status_code == 401

    @pytest.mark.parametrize("trades", [1, 5])
    def test_takes_as_many_queries_for_many_as_for_one(
        self, client, alice, django_assert_num_queries, trades
    ):
        world.fund(alice, "10000")
        for minute in range(trades):
            desk.trade(alice, "buy", "1", minutes=minute)
        with django_assert_num_queries(9):
            page(client, "/activity/")
