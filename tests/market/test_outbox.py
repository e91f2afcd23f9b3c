import asyncio
import json

from market.consumers import outbox as outboxes
from market.consumers.messages import Book, Trade
from market.consumers.outbox import Outbox
from market.consumers.topics import BookTopic, TickerTopic, TradeTopic


class Reader:
    """A socket that takes one message only when it is let."""

    def __init__(self):
        self.dropped = False
        self.heard = []
        self.outbox = Outbox(drop=self._drop)
        self._gate = asyncio.Semaphore(0)
        self._task = asyncio.create_task(self.outbox.run(self._take))

    def _drop(self):
        self.dropped = True

    async def _take(self, text):
        await self._gate.acquire()
        self.heard.append(json.loads(text))

    async def read(self, count=1):
        """Take so many messages, then wait until nothing moves."""
        for _ in range(count):
            self._gate.release()
        await self.rest()
        return self.heard[-count:]

    async def rest(self):
        for _ in range(20):
            await asyncio.sleep(0)

    def end(self):
        self._task.cancel()


def reading(story):
    """Run a story with a reader."""

    async def run():
        reader = Reader()
        try:
            await story(reader)
        finally:
            reader.end()

    asyncio.run(run())


def say(topic, *readers):
    topic.advance()
    for reader in readers:
        reader.outbox.notice(topic)


def a_book(sequence):
    return Book("AAPLx", 1, sequence, "t", [("1.00", f"{sequence}.00000000")], [])


def a_trade(number):
    return Trade("AAPLx", str(number), "buy", "1.00", "1.00000000", "t")


class TestOutbox:
    def test_of_several_tickers_a_slow_reader_hears_the_last(self):
        async def story(reader):
            last = {"price": 0}
            topic = TickerTopic(("ticker", "AAPLx", 0), lambda symbol: dict(last))
            reader.outbox.follow(topic, snapshot=True)
            await reader.read()
            for price in range(1, 100):
                last["price"] = price
                say(topic, reader)
                await reader.rest()
            first, second = await reader.read(2)
            assert (first["data"], second["data"]) == ([{"price": 1}], [{"price": 99}])
            assert not reader.dropped

        reading(story)

    def test_a_reader_of_a_book_that_missed_updates_gets_a_snapshot(self):
        async def story(reader):
            topic = BookTopic(("book", "AAPLx", 10), a_book(1))
            reader.outbox.follow(topic, snapshot=True)
            await reader.read()
            for sequence in range(2, 50):
                topic.newest = a_book(sequence)
                say(topic, reader)
                await reader.rest()
            first, second = await reader.read(2)
            assert (first["type"], first["data"][0]["bids"][0]["qty"]) == ("update", 2)
            assert (second["type"], second["data"][0]["bids"][0]["qty"]) == ("snapshot", 49)

        reading(story)

    def test_no_trade_is_skipped_and_who_is_too_far_behind_is_dropped(self):
        async def story(reader):
            topic = TradeTopic(("trade", "AAPLx", 0))
            reader.outbox.follow(topic, snapshot=True)
            await reader.read()
            for number in range(100):
                topic.add(a_trade(number))
                say(topic, reader)
                await reader.rest()
            first, second = await reader.read(2)
            heard = [item["trade_id"] for item in first["data"] + second["data"]]
            assert heard == [str(number) for number in range(100)]
            topic.add(a_trade(1000))
            say(topic, reader)
            await reader.rest()
            for number in range(2000, 2600):
                topic.add(a_trade(number))
            say(topic, reader)
            await reader.read()
            assert reader.dropped

        reading(story)

    def test_answers_wait_up_to_a_bound(self):
        async def story(reader):
            for number in range(outboxes.MAX_WAITING + 1):
                reader.outbox.say(str(number))
            assert reader.dropped

        reading(story)

    def test_answers_come_before_news_and_in_order(self):
        async def story(reader):
            topic = TickerTopic(("ticker", "AAPLx", 0), lambda symbol: {})
            reader.outbox.follow(topic, snapshot=True)
            reader.outbox.say("1")
            reader.outbox.say("2")
            heard = await reader.read(3)
            assert heard[:2] == [1, 2]
            assert heard[2]["type"] == "snapshot"

        reading(story)

    def test_who_left_hears_nothing_more(self):
        async def story(reader):
            topic = TickerTopic(("ticker", "AAPLx", 0), lambda symbol: {})
            reader.outbox.follow(topic, snapshot=False)
            say(topic, reader)
            reader.outbox.leave(topic)
            await reader.read()
            assert reader.heard == []

        reading(story)

    def test_who_takes_nothing_is_dropped_after_a_while(self, monkeypatch):
        async def story(reader):
            reader.outbox.say("1")
            await reader.rest()
            reader.outbox.pulse()
            assert not reader.dropped
            monkeypatch.setattr(outboxes, "TOO_SLOW_S", -1.0)
            reader.outbox.pulse()
            assert reader.dropped

        reading(story)

    def test_beats_only_into_silence(self):
        async def story(reader):
            reader.outbox.pulse()
            assert await reader.read() == [{"channel": "heartbeat"}]
            reader.outbox.pulse()
            await reader.read()
            assert reader.heard == [{"channel": "heartbeat"}]

        reading(story)
