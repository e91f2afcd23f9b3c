from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.test import Client

import instruments.operations
from instruments.models import Instrument
from market.models import ReferencePrice, Star
from tests import world

pytestmark = pytest.mark.django_db

PRICES = {"AAPLx": ("278.50", "275.00"), "ABBVx": ("227.00", "230.00"), "ABTx": ("127.00", "127")}


@pytest.fixture(autouse=True)
def _priced():
    instruments.operations.load_instruments()
    by_symbol = {one.symbol: one for one in Instrument.objects.all()}
    for symbol, (price, day_open) in PRICES.items():
        ReferencePrice.objects.create(
            instrument=by_symbol[symbol],
            price=Decimal(price),
            day_open=Decimal(day_open),
            simulated=True,
            at=datetime(2026, 11, 20, 12, 0, tzinfo=UTC),
        )


def page(**query):
    response = Client().get("/markets/", query)
    assert response.status_code == 200
    return response.content.decode()


def order_of(html, *names):
    places = [html.index(name) for name in names]
    return places == sorted(places)


class TestMarkets:
    def test_shows_every_instrument_to_a_stranger(self):
        html = page()
        assert html.count('class="row-link"') >= 79
        assert "star-AAPLx" not in html
        assert 'symbol="AAPLx"' in html
        assert html.count("Simulated prices") == 1

    def test_asks_the_same_queries_for_one_and_for_all(self, django_assert_num_queries):
        for query, sought in (({}, 0), ({"search": "apple"}, 1)):
            cache.clear()
            with django_assert_num_queries(10 + sought):  # list, tickers, to draw rows too, lines
                page(**query)
            with django_assert_num_queries(4 + sought):  # the rows are drawn
                page(**query)

    def test_searches_without_scripts(self):
        html = page(search="pple")
        assert "Apple" in html
        assert "Abbott" not in html
        assert "Nothing by that name" in page(search="no such thing")

    def test_narrows_to_funds(self):
        html = page(type="etf")
        assert "Gold" in html
        assert ">Apple<" not in html

    def test_sorts_by_change_and_by_price(self):
        assert order_of(page(sort="gainers"), ">Apple<", ">Abbott<", ">AbbVie<")
        assert order_of(page(sort="losers"), ">AbbVie<", ">Abbott<", ">Apple<")
        assert order_of(page(sort="price"), ">Apple<", ">AbbVie<", ">Abbott<")
        assert order_of(page(sort="nonsense"), ">Abbott<", ">AbbVie<", ">Apple<")

    def test_answers_a_search_as_you_type_with_the_rows_alone(self):
        response = Client().get("/markets/", {"search": "apple"}, headers={"HX-Request": "true"})
        html = response.content.decode()
        assert html.lstrip().startswith('<div id="instruments">')
        assert "<html" not in html

    def test_escapes_what_was_typed(self):
        assert "<script>alert" not in page(search="<script>alert(1)</script>")


@pytest.fixture
def alice():
    return world.customer("alice@demo.test")


@pytest.fixture
def browser(alice):
    client = Client()
    client.force_login(alice)
    return client


class TestStars:
    def test_stay_until_they_are_taken_back(self, alice, browser):
        for _ in range(2):
            browser.post("/markets/AAPLx/star/", {"on": "yes"})
        assert [one.instrument.symbol for one in Star.objects.filter(customer=alice)] == ["AAPLx"]
        browser.post("/markets/AAPLx/star/", {"on": "no"})
        assert not Star.objects.exists()

    def test_narrow_the_list(self, browser):
        assert "Nothing starred yet" in browser.get("/markets/?type=starred").content.decode()
        browser.post("/markets/AAPLx/star/", {"on": "yes"})
        html = browser.get("/markets/?type=starred").content.decode()
        assert ">Apple<" in html
        assert ">Abbott<" not in html

    def test_lead_back_without_scripts_but_never_away(self, browser):
        back = {"on": "yes", "next": "/markets/?search=app"}
        assert browser.post("/markets/AAPLx/star/", back)["Location"] == "/markets/?search=app"
        away = {"on": "yes", "next": "https://elsewhere.test/"}
        assert browser.post("/markets/AAPLx/star/", away)["Location"] == "/markets/"

    def test_answer_with_the_star_alone(self, browser):
        answer = browser.post(
            "/markets/AAPLx/star/", {"on": "yes"}, headers={"HX-Request": "true"}
        ).content.decode()
        assert 'aria-pressed="true"' in answer
        assert 'value="no"' in answer
        assert "<html" not in answer

    def test_are_for_who_is_signed_in_and_for_what_is_listed(self, browser):
        assert "/accounts/login/" in Client().post("/markets/AAPLx/star/")["Location"]
        for symbol in ("NOPEx", "%00"):
            assert browser.post(f"/markets/{symbol}/star/", {"on": "yes"}).status_code == 404

    def test_cost_one_query_whatever_their_number(self, browser, django_assert_num_queries):
        for symbol in ("AAPLx", "ABBVx", "ABTx"):
            browser.post(f"/markets/{symbol}/star/", {"on": "yes"})
        browser.get("/markets/")
        with django_assert_num_queries(7):  # a stranger's four, session, customer and stars
            browser.get("/markets/")


@pytest.mark.django_db
class TestSuggestions:
    def test_name_what_may_be_meant_best_first(self, client):
        options = client.get("/markets/suggestions", {"search": "goog"}).content.decode()
        assert '<option value="Alphabet">GOOGLx</option>' in options
        assert options.count("<option") <= 6

    def test_are_none_for_nothing(self, client):
        assert "<option" not in client.get("/markets/suggestions").content.decode()
