import json
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

import instruments.operations
from common import realtime
from market import gateways
from market.consumers.hub import Hub
from market.gateways import KrakenFeed, Listing, SimulatedFeed
from market.rules.checksum import book_checksum
from tests.market import sockets

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
APPLE = Listing("AAPLx", "stock", "24/7", Decimal("0.01"), Decimal("278.50"), None)


def ticker(symbol="AAPLx/USD", last="278.51", kind="update"):
    """A frame in the shape of Kraken's documentation, its numbers with all their digits."""
    return (
        f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{symbol}","bid":278.50,"bid_qty":1.50000000,'
        f'"ask":278.52,"ask_qty":0.25000000,"last":{last},"volume":1203.5,"vwap":277.91,"low":275.02,'
        '"high":280.00,"change":1.20,"change_pct":0.43}]}'
    )


OHLC = """{"channel":"ohlc","type":"snapshot","timestamp":"2026-11-18T12:00:01.123456Z","data":[
{"symbol":"AAPLx/USD","open":278.50,"high":278.90,"low":278.41,"close":278.60,"trades":12,
"volume":30.92768066,"vwap":278.61,"interval_begin":"2026-11-18T11:58:00.000000000Z","interval":1,
"timestamp":"2026-11-18T11:59:00.000000Z"},
{"symbol":"AAPLx/USD","open":278.60,"high":278.60,"low":278.60,"close":278.60,"trades":1,
"volume":0.5,"vwap":278.60,"interval_begin":"2026-11-18T11:59:00.000000000Z","interval":1,
"timestamp":"2026-11-18T12:00:00.000000Z"}]}"""


def book(kind, *, bids=(), asks=(), left=None, checksum=None):
    """A frame of a book; its checksum is that of the levels, or of the bids that are left."""
    if checksum is None:
        checksum = book_checksum(bids=left or bids, asks=() if left else asks)
    sides = (
        ",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in side) for side in (bids, asks)
    )
    return (
        '{{"channel":"book","type":"{}","data":[{{"symbol":"AAPLx/USD","bids":[{}],"asks":[{}],'
        '"checksum":{},"timestamp":"2026-11-18T12:00:01.123456Z"}}]}}'.format(
            kind, *sides, checksum
        )
    )


class Kraken:
    """A server that speaks Kraken's public socket and remembers who asked for what."""

    def __init__(self):
        self.asked = []
        self.lines = []
        self.arrived = threading.Semaphore(0)

    def handle(self, line):
        self.asked += [json.loads(line.recv()) for _ in range(3)]
        self.lines.append(line)
        line.send('{"channel":"status","type":"update","data":[{"system":"online"}]}')
        self.arrived.release()
        try:
            for text in line:
                self.asked.append(json.loads(text))
        except ConnectionClosed:
            pass

    def send(self, text):
        self.lines[-1].send(text)


@contextmanager
def kraken_and_feed():
    kraken = Kraken()
    with serve(kraken.handle, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        feed = KrakenFeed(url=f"ws://127.0.0.1:{port}")
        feed.open([APPLE], now=NOW)
        assert kraken.arrived.acquire(timeout=10)
        try:
            yield kraken, feed
        finally:
            feed.close()
            server.shutdown()


def eventually(read):
    """Give the first answer that is true, within ten seconds."""
    deadline = time.monotonic() + 10
    while not (answer := read()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return answer


class TestKrakenFeed:
    def test_asks_for_prices_candles_and_books_of_all_pairs(self):
        with kraken_and_feed() as (kraken, _):
            pairs = {"symbol": ["AAPLx/USD"], "snapshot": True}
            assert [one["method"] for one in kraken.asked] == ["subscribe"] * 3
            assert [one["params"] for one in kraken.asked] == [
                {"channel": "ticker", "event_trigger": "bbo", **pairs},
                {"channel": "ohlc", "interval": 1, **pairs},
                {"channel": "book", "depth": 10, **pairs},
            ]

    def test_gives_each_changed_price_once_and_exactly(self):
        with kraken_and_feed() as (kraken, feed):
            kraken.send(ticker(last="278.10", kind="snapshot"))
            assert eventually(lambda: feed.prices(now=NOW)) == {"AAPLx": Decimal("278.10")}
            kraken.send(ticker(last="278.10"))
            kraken.send(ticker(last="278.11"))
            kraken.send(ticker(last="278.12"))
            eventually(lambda: feed._known["AAPLx"] == Decimal("278.12"))
            assert feed.prices(now=NOW) == {"AAPLx": Decimal("278.12")}
            assert feed.prices(now=NOW) == {}

    def test_connects_and_asks_again_when_the_line_is_cut(self):
        with kraken_and_feed() as (kraken, feed):
            kraken.lines[-1].close()
            assert kraken.arrived.acquire(timeout=10)
            assert kraken.asked[3:] == kraken.asked[:3]
            kraken.send(ticker())
            assert eventually(lambda: feed.prices(now=NOW))

    def test_what_it_said_before_the_line_was_cut_is_doubted_until_it_says_more(self):
        with kraken_and_feed() as (kraken, feed):
            assert feed.doubted() == {"AAPLx"}
            kraken.send(ticker(last="278.10"))
            eventually(lambda: not feed.doubted())
            kraken.lines[-1].close()
            assert kraken.arrived.acquire(timeout=10)
            eventually(lambda: feed.doubted() == {"AAPLx"})
            kraken.send(ticker(last="278.10"))
            eventually(lambda: not feed.doubted())

    def test_gives_the_minutes_that_were(self):
        with kraken_and_feed() as (kraken, feed):
            kraken.send(OHLC)
            told = eventually(feed.candles)
            begin = datetime(2026, 11, 18, 11, 58, tzinfo=UTC)
            assert [bar.time for bar in told["AAPLx"]] == [begin, begin + timedelta(minutes=1)]
            assert told["AAPLx"][0].high == Decimal("278.90")
            assert feed.candles() == {}

    def test_a_crossed_book_casts_doubt_on_its_price(self):
        with kraken_and_feed() as (kraken, feed):
            kraken.send(ticker())
            kraken.send(book("snapshot", bids=[("278.50", "1.00000000")], asks=[("278.40", "2.0")]))
            eventually(lambda: feed.doubted() == {"AAPLx"})
            kraken.send(book("update", asks=[("278.40", "0")], left=[("278.50", "1.00000000")]))
            eventually(lambda: not feed.doubted())

    def test_a_book_that_fails_its_checksum_is_asked_for_again(self):
        with kraken_and_feed() as (kraken, feed):
            kraken.send(ticker())
            bids, asks = [("278.50", "1.00000000")], [("278.60", "2.00000000")]
            kraken.send(book("snapshot", bids=bids, asks=asks, checksum=1))
            eventually(lambda: len(kraken.asked) == 5)
            assert [one["method"] for one in kraken.asked[3:]] == ["unsubscribe", "subscribe"]
            assert kraken.asked[4]["params"]["symbol"] == ["AAPLx/USD"]
            assert feed.doubted() == {"AAPLx"}
            kraken.send(book("snapshot", bids=bids, asks=asks))
            eventually(lambda: not feed.doubted())

    def test_survives_refusals_nonsense_and_impossible_prices(self):
        with kraken_and_feed() as (kraken, feed):
            kraken.send('{"method":"subscribe","success":false,"error":"no","symbol":"NOPE/USD"}')
            kraken.send(ticker(last="0"))
            kraken.send("this is not JSON")  # a line that talks nonsense is left
            assert kraken.arrived.acquire(timeout=10)
            kraken.send(ticker(last="279.00"))
            assert eventually(lambda: feed.prices(now=NOW)) == {"AAPLx": Decimal("279.00")}

    def test_is_stale_after_silence(self, monkeypatch):
        feed = KrakenFeed(url="ws://127.0.0.1:9")
        assert not feed.is_live(now=NOW)
        feed._hear({"channel": "heartbeat"})
        assert feed.is_live(now=NOW)
        monkeypatch.setattr(feed, "_heard_at", feed._heard_at - gateways.SILENCE_S)
        assert not feed.is_live(now=NOW)

    def test_invents_no_past(self):
        assert list(KrakenFeed(url="").history([APPLE], now=NOW)) == []


@pytest.mark.django_db(transaction=True)
class TestOurOwnSocket:
    def test_is_understood_as_krakens(self):
        instruments.operations.load_instruments()
        levels = {"bids": [["278.40", "1.50000000"]], "asks": [["278.60", "2.00000000"]]}
        with sockets.serving() as address:
            feed = KrakenFeed(url=f"ws://{address}/ws/v2")
            feed.open([APPLE], now=NOW)
            say = {"kind": "reference", "time": datetime.now(UTC).isoformat()}
            try:
                eventually(lambda: feed.is_live(now=NOW) and Hub._hubs)
                sockets.book(1, **levels)
                realtime.publish_market({**say, "prices": {"AAPLx": "278.50"}})

                def priced():
                    realtime.publish_market({**say, "prices": {"AAPLx": "278.51"}})
                    return feed.prices(now=NOW).get("AAPLx") == Decimal("278.51")

                eventually(priced)
                assert feed.doubted() == set()
                [bar, *_] = eventually(lambda: feed.candles().get("AAPLx"))
                assert bar.close in {Decimal("278.50"), Decimal("278.51")}
                sockets.book(2, [["278.70", "1.00000000"]], levels["asks"])
                eventually(lambda: feed.doubted() == {"AAPLx"})
            finally:
                feed.close()


class TestSimulatedFeed:
    def test_speaks_in_prices_on_ticks(self):
        feed = SimulatedFeed(seed="a")
        feed.open([APPLE], now=NOW)
        prices = feed.prices(now=datetime(2026, 11, 18, 12, 1, tzinfo=UTC))
        assert prices["AAPLx"] % Decimal("0.01") == 0
        assert feed.is_live(now=NOW)

    def test_a_new_instrument_gets_a_year_and_a_known_one_what_it_missed(self):
        feed = SimulatedFeed(seed="a")
        known = Listing(
            "ABBVx",
            "stock",
            "24/7",
            Decimal("0.01"),
            Decimal(227),
            datetime(2026, 11, 18, 11, 50, 20, tzinfo=UTC),
        )
        past = dict(feed.history([APPLE, known], now=NOW))
        assert len(past["AAPLx"]) > 5000
        assert [bar.interval for bar in past["ABBVx"]] == ["1m"] * 10


class TestChoice:
    def test_goes_by_name(self):
        assert isinstance(gateways.feed("simulated", seed="a", kraken_url=""), SimulatedFeed)
        assert isinstance(gateways.feed("kraken", seed="a", kraken_url="ws://x"), KrakenFeed)
        with pytest.raises(ValueError, match="PRICE_FEED is 'oracle'"):
            gateways.feed("oracle", seed="", kraken_url="")
