"""The books of the real engine as a socket shows them, across a restart of the engine."""

import pytest

import trading.operations
from tests import world
from tests.market import sockets
from tests.market.sockets import Client, Copy
from tests.trading.floor import Floor

pytestmark = pytest.mark.django_db(transaction=True)


def following(address: str) -> tuple[Client, Copy]:
    """Subscribe to the book, and take its snapshot."""
    client, copy = Client(address), Copy(10)
    client.send("subscribe", channel="book", symbol=["AAPLx/USD"])
    copy.take(client.wait_for(lambda message: message.get("channel") == "book"))
    return client, copy


def bids(engine: trading.operations.Engine, instrument_id: int) -> list[list[str]]:
    """Say what the engine has in its memory, as the socket writes it."""
    view = engine.core.book(instrument_id, 10)
    return [[f"{price / 100:.2f}", f"{base / 10**8:.8f}"] for price, base in view.bids]


class TestEngineRestart:
    def test_old_and_new_subscribers_have_the_new_engines_book(self, friday: None) -> None:
        floor = Floor()
        alice = world.alice()
        world.fund(alice, "10000")
        floor.place(alice, "buy", quantity="1", limit_price="270.00")
        floor.run()
        with sockets.serving() as address:
            before, its_copy = following(address)
            floor.engine = trading.operations.Engine("main")
            floor.engine.publish_all()
            after, their_copy = following(address)
            floor.place(alice, "buy", quantity="2", limit_price="271.00")
            floor.run()
            expected = bids(floor.engine, floor.instrument.pk)
            assert len(expected) == 2
            for client, copy in ((before, its_copy), (after, their_copy)):
                while copy.levels["bids"] != expected:
                    copy.take(client.wait_for(lambda message: message.get("channel") == "book"))
                client.close()
