import json
import random
import socket
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

import instruments.operations
import instruments.queries
from common import clock, realtime
from market import operations, queries
from market.consumers import outbox as outboxes
from market.consumers.hub import Hub
from market.models import Candle, ReferencePrice, TapeTrade
from tests import world
from tests.market import sockets
from tests.market.sockets import Client, Copy, book, eventually, is_closed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def address():
    instruments.operations.load_instruments()
    with sockets.serving() as address:
        yield address


@pytest.fixture
def client(address):
    client = Client(address)
    yield client
    client.close()


def price(**prices):
    """Publish reference prices as the feed does."""
    at = clock.now().isoformat()
    known = {symbol: json.dumps({"price": text, "time": at}) for symbol, text in prices.items()}
    if known:
        realtime.connection().hset(queries.REFERENCE_KEY, mapping=known)
    vouched = json.dumps({"time": at, "simulated": True})
    realtime.connection().set(queries.FEED_KEY, vouched)
    realtime.publish_market({"kind": "reference", "time": at, "prices": prices})


def trade(text, quantity="1.50000000", side="buy", uid=None):
    """Publish a trade as the engine does."""
    uid = str(uid or uuid4())
    realtime.publish_market(
        {
            "kind": "trade",
            "symbol": "AAPLx",
            "epoch": 1,
            "sequence": 1,
            "trade_id": uid,
            "side": side,
            "price": text,
            "quantity": quantity,
            "time": "2026-11-20T15:00:00.000000Z",
        }
    )
    return uid


class TestRequests:
    def test_a_connection_is_greeted(self, client):
        (status,) = client.data("status")
        assert (status["system"], status["api_version"]) == ("online", "v2")

    def test_who_asks_for_the_status_gets_it_again(self, client):
        (greeting,) = client.data("status")
        client.send("subscribe", channel="status")
        assert client.answer()["result"]["channel"] == "status"
        assert client.data("status") == [greeting]

    def test_ping_is_answered_with_its_number(self, client):
        client.send("ping", req_id=42)
        pong = client.wait_for(lambda message: message.get("method") == "pong")
        assert pong["req_id"] == 42
        assert pong["time_in"] <= pong["time_out"]

    def test_silence_is_filled_with_heartbeats(self, client):
        client.wait_for(lambda message: message == {"channel": "heartbeat"})
        started = time.monotonic()
        client.wait_for(lambda message: message == {"channel": "heartbeat"})
        assert 0.5 < time.monotonic() - started < 10

    def test_a_subscription_is_answered_symbol_by_symbol(self, client):
        client.send(
            "subscribe", req_id=1, channel="book", symbol=["AAPLx/USD", "TSLAx/USD"], depth=25
        )
        for symbol in ("AAPLx/USD", "TSLAx/USD"):
            answer = client.answer()
            assert answer["result"] == {
                "channel": "book",
                "symbol": symbol,
                "depth": 25,
                "snapshot": True,
            }
            assert (answer["method"], answer["success"], answer["req_id"]) == ("subscribe", True, 1)

    @pytest.mark.parametrize(
        ("params", "error"),
        [
            (
                {"channel": "ticker", "symbol": ["NOPE/USD"]},
                "Currency pair not supported NOPE/USD",
            ),
            ({"channel": "ticker", "symbol": ["AAPLx"]}, "Currency pair not supported AAPLx"),
            ({"channel": "ticker"}, "Symbol(s) not found"),
            (
                {"channel": "book", "symbol": ["AAPLx/USD"], "depth": 11},
                "Subscription depth not supported",
            ),
            (
                {"channel": "ohlc", "symbol": ["AAPLx/USD"], "interval": 7},
                "Subscription ohlc interval not supported",
            ),
            ({"channel": "gossip"}, "Subscription channel not supported"),
            (
                {"channel": "balances"},
                "Private data and trading are unavailable on this endpoint",
            ),
        ],
    )
    def test_what_cannot_be_had_is_refused_in_krakens_words(self, client, params, error):
        client.send("subscribe", req_id=3, **params)
        answer = client.answer()
        assert (answer["error"], answer["success"], answer["req_id"]) == (error, False, 3)

    @pytest.mark.parametrize(
        "text",
        [
            *(
                "",
                "null",
                "[]",
                "{nonsense",
                '{"method": 7}',
                '{"params": {}}',
                "\N{GRINNING FACE}",
            ),
            '{"method": "ping", "method": "subscribe"}',
            '{"method": "ping", "req_id": 1' + "0" * 30 + "}",
            '{"method": "ping", "req_id": 1.5}',
            '{"method": "ping", "params": {"token": "\\u0000"}}',
            '{"method": "ping", "params": {"token": "\\ud800"}}',
            '{"method": "ping", "more": ' + "[" * 32_000 + "]" * 32_000 + "}",
        ],
        ids=lambda text: text[:24],
    )
    def test_nonsense_is_refused_and_the_socket_lives_on(self, client, text):
        client.say(text)
        assert client.answer()["error"] == "Malformed request"
        client.send("ping")
        client.wait_for(lambda message: message.get("method") == "pong")

    def test_an_unknown_method_is_refused(self, client):
        client.send("add_order", req_id=5)
        assert client.answer()["error"] == "Unsupported method"

    def test_a_second_subscription_and_a_missing_one_are_refused(self, client):
        client.subscribe("ticker", "AAPLx")
        client.send("subscribe", channel="ticker", symbol=["AAPLx/USD"])
        assert client.answer()["error"] == "Already subscribed"
        client.send("unsubscribe", channel="ticker", symbol=["TSLAx/USD"])
        assert client.answer()["error"] == "Subscription Not Found"
        client.send("unsubscribe", channel="ticker", symbol=["AAPLx/USD"])
        assert client.answer()["success"] is True
        assert client.subscribe("ticker", "AAPLx")

    def test_too_many_requests_are_refused(self, client):
        for _ in range(250):
            client.send("ping")
        client.wait_for(lambda message: message.get("error") == "Exceeded msg rate")

    def test_too_many_subscriptions_are_refused(self, client, monkeypatch):
        monkeypatch.setattr("market.consumers.public.MAX_SUBSCRIPTIONS", 1)
        client.send("subscribe", channel="ticker", symbol=["AAPLx/USD", "TSLAx/USD"])
        assert client.answer()["success"] is True
        assert client.answer()["error"] == "Exceeded maximum number of subscriptions"


class TestTicker:
    def test_begins_with_what_redis_knows_and_follows_the_feed(self, address):
        price(AAPLx="278.50", TSLAx="400.10")
        client = Client(address)
        (ticker,) = client.subscribe("ticker", "AAPLx")
        assert (ticker["reference_price"], ticker["last"]) == (Decimal("278.50"), Decimal("278.50"))
        assert (ticker["simulated"], ticker["stale"], ticker["state"]) == (True, False, "online")
        price(AAPLx="278.51")
        (ticker,) = client.data("ticker", "update")
        assert str(ticker["reference_price"]) == "278.51"
        client.close()

    def test_begins_with_the_table_where_redis_knows_nothing(self, address):
        apple = instruments.queries.by_symbol("AAPLx")
        ReferencePrice.objects.create(
            instrument=apple, price=277, day_open=277, simulated=True, at=clock.now()
        )
        client = Client(address)
        (ticker,) = client.subscribe("ticker", "AAPLx")
        assert (str(ticker["reference_price"]), ticker["stale"]) == ("277.00", True)
        client.close()

    def test_symbols_that_move_together_come_in_one_message(self, client):
        price(AAPLx="1.00")
        client.send("subscribe", channel="ticker", symbol=["AAPLx/USD", "TSLAx/USD"])
        client.data("ticker", "snapshot")
        client.data("ticker", "snapshot")
        price(AAPLx="278.60", TSLAx="401.00")
        data = eventually(lambda: client.data("ticker", "update"))
        assert {item["symbol"] for item in data} == {"AAPLx/USD", "TSLAx/USD"}

    def test_takes_bid_ask_and_last_from_our_own_market(self, client):
        client.subscribe("ticker", "AAPLx")
        book(1, [["278.40", "1.50000000"]], [["278.60", "2.00000000"]])
        client.wait_for(lambda m: m.get("data", [{}])[0].get("bid") == Decimal("278.40"))
        trade("278.60")
        message = client.wait_for(lambda m: m.get("data", [{}])[0].get("last") is not None)
        (ticker,) = message["data"]
        assert (str(ticker["ask"]), str(ticker["last"])) == ("278.60", "278.60")

    def test_says_when_the_feed_has_fallen_silent(self, client, monkeypatch):
        price(AAPLx="278.50")
        client.subscribe("ticker", "AAPLx")
        monkeypatch.setattr("market.consumers.hub.STALE_AFTER", timedelta(0))
        client.wait_for(lambda m: m.get("channel") == "ticker" and m["data"][0]["stale"] is True)


def random_side(rng, best, step, depth):
    prices = rng.sample(range(depth * 2), rng.randint(0, depth))
    return [
        [f"{best + step * n / 100:.2f}", f"{rng.uniform(0.00000001, 9):.8f}"]
        for n in sorted(prices)
    ]


class TestBook:
    @pytest.mark.parametrize("depth", [10, 25, 100])
    def test_a_copy_kept_by_updates_is_the_book(self, client, depth):
        rng = random.Random(depth)
        copy = Copy(depth)
        client.send("subscribe", channel="book", symbol=["AAPLx/USD"], depth=depth)
        copy.take(client.wait_for(lambda m: m.get("channel") == "book"))
        for sequence in range(1, 60):
            truth = book(sequence, random_side(rng, 278, -1, 40), random_side(rng, 278.01, 1, 40))
        expected = {side: levels[:depth] for side, levels in truth.items()}
        while copy.levels != expected:
            copy.take(client.wait_for(lambda m: m.get("channel") == "book"))

    def test_a_newcomer_in_the_middle_agrees_with_who_was_there(self, address, client):
        client.send("subscribe", channel="book", symbol=["AAPLx/USD"])
        truth = book(1, [["1.00", "1.00000000"]], [["2.00", "1.00000000"]])
        late = Client(address)
        late.send("subscribe", channel="book", symbol=["AAPLx/USD"])
        for sequence in range(2, 20):
            truth = book(sequence, [["1.00", f"{sequence}.00000000"]], [["2.00", "1.00000000"]])
        for one in (client, late):
            copy = Copy(10)
            while copy.levels != truth:
                copy.take(one.wait_for(lambda m: m.get("channel") == "book"))
        late.close()

    def test_an_older_book_is_dropped_and_a_new_engine_is_believed(self, client):
        client.subscribe("book", "AAPLx")
        book(9, [["1.00", "9.00000000"]], [])
        assert client.data("book", "update")[0]["bids"][0]["qty"] == 9
        book(8, [["1.00", "8.00000000"]], [])
        book(1, [["1.00", "1.00000000"]], [], epoch=2)
        assert client.data("book", "update")[0]["bids"][0]["qty"] == 1

    def test_an_unchanged_book_is_not_sent(self, client):
        client.subscribe("book", "AAPLx")
        book(1, [["1.00", "1.00000000"]], [])
        client.data("book", "update")
        book(2, [["1.00", "1.00000000"]], [])
        book(3, [], [])
        (data,) = client.data("book", "update")
        assert data["bids"] == [{"price": Decimal("1.00"), "qty": 0}]

    def test_without_a_snapshot_only_updates_come(self, client):
        client.send("subscribe", channel="book", symbol=["AAPLx/USD"], snapshot=False)
        client.answer()
        book(1, [["1.00", "1.00000000"]], [])
        assert client.wait_for(lambda m: m.get("channel") == "book")["type"] == "update"


class TestTrades:
    def test_begin_with_the_tape_and_go_on_with_the_engine(self, address):
        apple = instruments.queries.by_symbol("AAPLx")
        settled = TapeTrade(
            uid=uuid4(),
            instrument_id=apple.pk,
            price=Decimal("278.5"),
            quantity=Decimal("0.25"),
            side="sell",
            at=datetime(2026, 11, 20, 14, 0, tzinfo=UTC),
        )
        operations.record_trades(trades=[settled])
        client = Client(address)
        (first,) = client.subscribe("trade", "AAPLx")
        assert (first["side"], str(first["price"]), str(first["qty"])) == (
            "sell",
            "278.50",
            "0.25000000",
        )
        uid = trade("278.60")
        (update,) = client.data("trade", "update")
        assert (update["trade_id"], str(update["qty"])) == (uid, "1.50000000")
        assert (first["simulated"], update["simulated"]) == (False, False)
        client.close()

    def test_begin_anew_in_new_shares_after_a_split(self, address):
        apple = world.instrument()
        settled = TapeTrade(
            uid=uuid4(), instrument=apple, price=Decimal(400), quantity=1, side="buy", at=world.NOW
        )
        operations.record_trades(trades=[settled])
        price(AAPLx="400.00")
        client = Client(address)
        client.subscribe("ticker", "AAPLx")
        (first,) = client.subscribe("trade", "AAPLx")
        assert first["price"] == 400
        world.split(apple, 4)
        (again,) = client.data("trade", "snapshot")
        assert (again["price"], again["qty"]) == (100, 4)
        price(AAPLx="404.00")  # of a feed that has not heard of it
        trade("101.00")
        shown = client.wait_for(
            lambda message: message.get("channel") == "ticker" and message["data"][0]["last"] == 101
        )
        assert shown["data"][0]["reference_price"] != 404
        client.close()

    def test_none_is_lost_or_told_twice(self, client):
        client.subscribe("trade", "AAPLx")
        told = [trade(f"{n}.00") for n in range(1, 120)]
        trade("1.00", uid=told[0])
        heard = []
        while len(heard) < len(told):
            heard += [item["trade_id"] for item in client.data("trade", "update")]
        assert heard == told


class TestCandles:
    def test_begin_with_the_past_and_follow_the_price(self, client):
        apple = instruments.queries.by_symbol("AAPLx")
        Candle.objects.create(
            instrument=apple,
            kind="reference",
            interval="1d",
            time=datetime(2026, 11, 19, tzinfo=UTC),
            open=Decimal(270),
            high=Decimal(280),
            low=Decimal(269),
            close=Decimal(278),
        )
        past = client.subscribe("ohlc", "AAPLx", interval=1440)
        assert (past[0]["interval_begin"], str(past[0]["high"])) == (
            "2026-11-19T00:00:00.000000Z",
            "280.00",
        )
        price(AAPLx="279.00")
        (bar,) = client.data("ohlc", "update")
        price(AAPLx="281.00")
        price(AAPLx="280.00")
        message = client.wait_for(
            lambda m: m.get("channel") == "ohlc" and m["data"][0]["close"] == 280
        )
        (bar,) = message["data"]
        assert (bar["open"], bar["high"], bar["low"]) == (279, 281, 279)
        trade("280.00")
        message = client.wait_for(
            lambda m: m.get("channel") == "ohlc" and m["data"][0]["trades"] == 1
        )
        assert str(message["data"][0]["volume"]) == "1.50000000"


class TestInstruments:
    def test_say_the_rules_of_every_pair(self, client):
        data = client.subscribe("instrument")
        assert len(data["pairs"]) == 79
        apple = next(pair for pair in data["pairs"] if pair["symbol"] == "AAPLx/USD")
        assert (apple["price_precision"], apple["qty_precision"]) == (2, 8)
        assert (str(apple["price_increment"]), str(apple["cost_min"])) == ("0.01", "0.5")

    def test_say_a_new_state(self, client):
        client.subscribe("instrument")
        realtime.publish_market({"kind": "status", "symbol": "AAPLx", "state": "cancel_only"})
        data = client.data("instrument", "update")
        apple = next(pair for pair in data["pairs"] if pair["symbol"] == "AAPLx/USD")
        assert apple["status"] == "cancel_only"


class TestHub:
    def test_survives_that_redis_hangs_up(self, client):
        price(AAPLx="278.50")
        client.subscribe("ticker", "AAPLx")
        realtime.connection().execute_command("CLIENT", "KILL", "TYPE", "pubsub")

        def heard_again():
            price(AAPLx="290.00")
            (ticker,) = client.data("ticker")
            return ticker["reference_price"] == Decimal("290.00")

        assert eventually(heard_again)

    def test_ignores_what_is_not_for_it(self, client):
        client.subscribe("ticker", "AAPLx")
        for raw in ('{"kind": "weather"}', "nonsense", '{"kind": "book", "symbol": "AAPLx"}'):
            realtime.connection().publish(realtime.MARKET_CHANNEL, raw)
        price(AAPLx="278.50", NOPEx="1.00")
        assert client.data("ticker", "update")

    def test_ends_with_the_last_socket_and_begins_again(self, address):
        for _ in range(2):
            client = Client(address)
            assert client.subscribe("ticker", "AAPLx")
            assert len(Hub._hubs) == 1
            client.close()
            assert eventually(lambda: not Hub._hubs)

    def test_a_reader_that_stops_is_dropped_and_delays_nobody(self, address, client, monkeypatch):
        monkeypatch.setattr(outboxes, "TOO_SLOW_S", 1.0)
        narrow = socket.create_connection(tuple(address.split(":")))
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy = Client(address, sock=narrow, max_queue=1, ping_interval=None)
        lazy.send("subscribe", channel="book", symbol=["AAPLx/USD"], depth=1000)
        client.send("subscribe", channel="book", symbol=["AAPLx/USD"])
        client.data("book")
        many = [[f"{9000 - n}.00", "1.00000000"] for n in range(1000)]
        deadline = time.monotonic() + sockets.PATIENCE_S
        sequence = 0
        while sum(len(hub._outboxes) for hub in Hub._hubs.values()) > 1:
            assert time.monotonic() < deadline, "it was not dropped"
            sequence += 1
            bids = [[level, f"{sequence}.00000000"] for level, _ in many]
            book(sequence, bids, [])
            (data,) = client.data("book", "update")
            assert data["bids"][0]["qty"] == sequence
        assert eventually(lambda: is_closed(lazy))
