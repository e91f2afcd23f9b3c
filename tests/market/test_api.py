import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client

import instruments.operations
import instruments.queries
from common import realtime
from market import operations, queries
from market.models import Candle, ReferencePrice, TapeTrade

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def apple():
    instruments.operations.load_instruments()
    apple = instruments.queries.by_symbol("AAPLx")
    ReferencePrice.objects.create(
        instrument=apple, price=Decimal("278.5"), day_open=Decimal(275), simulated=True, at=NOON
    )
    return apple


@pytest.fixture
def api():
    client = Client()

    def get(path, status=200, **query):
        response = client.get(f"/api/v1/{path}", query)
        assert response.status_code == status, response.content
        return response.json()

    return get


def candle(instrument, minutes, *, interval="1m", close="278.50"):
    Candle.objects.create(
        instrument=instrument,
        kind="reference",
        interval=interval,
        time=NOON + timedelta(minutes=minutes),
        open=Decimal("278.00"),
        high=Decimal("279.00"),
        low=Decimal("277.00"),
        close=Decimal(close),
        simulated=True,
    )


def trade(instrument, after_s=0, price="278.5"):
    return TapeTrade(
        uid=uuid4(),
        instrument_id=instrument.pk,
        price=Decimal(price),
        quantity=Decimal("0.25"),
        side="buy",
        at=NOON + timedelta(seconds=after_s),
    )


class TestInstruments:
    def test_lists_all_with_their_markets(self, api, apple, django_assert_num_queries):
        with django_assert_num_queries(4):  # a page, and three for the markets without Redis
            page = api("instruments")
        assert (len(page["results"]), page["next"]) == (79, None)
        first = page["results"][0]
        assert {name: first[name] for name in ("symbol", "name", "type", "isin", "state")} == {
            "symbol": "AAPLx",
            "name": "Apple",
            "type": "stock",
            "isin": "CH1436219187",
            "state": "online",
        }
        assert (first["tick_size"], first["quantity_step"]) == ("0.01", "0.00000001")
        assert (first["min_notional"], first["multiplier"]) == ("0.50", "1")
        assert (first["reference_price"], first["change_24h_pct"]) == ("278.50", "1.27")
        assert (first["bid"], first["last"], first["simulated"]) == (None, None, True)

    def test_pages_by_cursor(self, api, apple):
        page = api("instruments", limit=50)
        assert len(page["results"]) == 50
        cursor = page["next"].split("cursor=")[1].split("&")[0]
        rest = Client().get(page["next"]).json()
        assert cursor
        assert len(rest["results"]) == 29
        assert rest["previous"]

    def test_searches_and_narrows(self, api, apple):
        assert [row["symbol"] for row in api("instruments", search="pple")["results"]] == ["AAPLx"]
        assert {row["type"] for row in api("instruments", type="etf")["results"]} == {"etf"}

    def test_shows_one(self, api, apple):
        assert api("instruments/AAPLx")["symbol"] == api("instruments/aaplx")["symbol"] == "AAPLx"

    @pytest.mark.parametrize("path", ["", "/book", "/candles", "/trades"])
    def test_knows_nothing_of_the_unlisted(self, api, path):
        problem = api(f"instruments/NOPEx{path}", status=404)
        assert (problem["status"], problem["code"]) == (404, "NotFound")


class TestBook:
    def test_gives_the_best_levels_with_the_sockets_checksum(self, api, apple):
        book = {
            "kind": "book",
            "bids": [["278.40", "1.50000000"], ["278.30", "1.00000000"]],
            "asks": [["278.60", "2.00000000"]],
            "sequence": 7,
            "time": "2026-11-20T12:00:00Z",
        }
        realtime.connection().set(queries.BOOK_KEY + "AAPLx", json.dumps(book))
        given = api("instruments/AAPLx/book", depth=1)
        assert given["bids"] == [["278.40", "1.50000000"]]
        assert given["asks"] == [["278.60", "2.00000000"]]
        assert given["sequence"] == 7
        assert isinstance(given["checksum"], int)

    def test_is_empty_where_there_is_none(self, api, apple):
        given = api("instruments/AAPLx/book")
        assert (given["bids"], given["asks"], given["checksum"]) == ([], [], 0)

    def test_refuses_an_impossible_depth(self, api, apple):
        assert api("instruments/AAPLx/book", status=400, depth=0)["code"] == "Malformed"


class TestCandles:
    def test_gives_the_newest_oldest_first(self, api, apple):
        for minutes in range(5):
            candle(apple, minutes, close=f"278.{minutes}0")
        page = api("instruments/AAPLx/candles", interval="1m", limit=3)
        assert [row["close"] for row in page["results"]] == ["278.20", "278.30", "278.40"]
        assert page["results"][0] == {
            "time": "2026-11-20T12:02:00Z",
            "open": "278.00",
            "high": "279.00",
            "low": "277.00",
            "close": "278.20",
            "volume": "0",
            "trades": 0,
            "simulated": True,
        }

    def test_goes_on_from_a_time(self, api, apple):
        for minutes in range(5):
            candle(apple, minutes)
        since = (NOON + timedelta(minutes=1)).isoformat()
        page = api("instruments/AAPLx/candles", interval="1m", since=since, limit=2)
        assert [row["time"] for row in page["results"]] == [
            "2026-11-20T12:01:00Z",
            "2026-11-20T12:02:00Z",
        ]
        following = Client().get(page["next"]).json()
        assert following["results"][0]["time"] == "2026-11-20T12:03:00Z"

    def test_carries_the_volume_of_our_own_trades(self, api, apple):
        candle(apple, 0)
        operations.record_trades(trades=[trade(apple), trade(apple, 5)])
        (row,) = api("instruments/AAPLx/candles", interval="1m")["results"]
        assert (row["volume"], row["trades"]) == ("0.50000000", 2)

    @pytest.mark.parametrize(
        "query", [{"interval": "2d"}, {"since": "yesterday"}, {"limit": 0}, {"limit": "many"}]
    )
    def test_refuses_what_makes_no_sense(self, api, apple, query):
        assert api("instruments/AAPLx/candles", status=400, **query)["code"] == "Malformed"


class TestTrades:
    def test_lists_the_tape_newest_first(self, api, apple):
        trades = [trade(apple, second, f"27{second}.00") for second in range(3)]
        operations.record_trades(trades=trades)
        page = api("instruments/AAPLx/trades", limit=2)
        assert [row["price"] for row in page["results"]] == ["272.00", "271.00"]
        assert page["results"][0] == {
            "id": str(trades[2].uid),
            "price": "272.00",
            "quantity": "0.25000000",
            "side": "buy",
            "time": "2026-11-20T12:00:02Z",
            "simulated": False,
        }
        assert Client().get(page["next"]).json()["results"][0]["price"] == "270.00"
