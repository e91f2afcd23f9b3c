import json
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from market import gateways
from market.gateways import KrakenFeed, Listing, SimulatedFeed

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
APPLE = Listing("AAPLx", "stock", "24/7", Decimal("0.01"), Decimal("278.50"), None)


def ticker(symbol="AAPLx/USD", last="278.51", kind="update"):
    """A frame in the shape of Kraken's documentation, its numbers with all their digits."""
    return (
        f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{symbol}","bid":278.50,"bid_qty":1.50000000,'
        f'"ask":278.52,"ask_qty":0.25000000,"last":{last},"volume":1203.5,"vwap":277.91,"low":275.02,'
        '"high":280.00,"change":1.20,"change_pct":0.43}]}'
    )


class Kraken:
    """A server that speaks Kraken's public socket and remembers who asked for what."""

    def __init__(self):
        self.asked = []
        self.lines = []
        self.arrived = threading.Semaphore(0)

    def handle(self, line):
        self.asked.append(json.loads(line.recv()))
        self.lines.append(line)
        line.send('{"channel":"status","type":"update","data":[{"system":"online"}]}')
        self.arrived.release()
        try:
            for _ in line:
                pass
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
    def test_asks_for_the_tickers_of_all_pairs(self):
        with kraken_and_feed() as (kraken, _):
            assert kraken.asked[0] == {
                "method": "subscribe",
                "params": {"channel": "ticker", "symbol": ["AAPLx/USD"], "snapshot": True},
            }

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
            assert kraken.asked[1] == kraken.asked[0]
            kraken.send(ticker())
            assert eventually(lambda: feed.prices(now=NOW))

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
