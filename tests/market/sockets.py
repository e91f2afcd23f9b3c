"""A real web server for the sockets, and a client that speaks Kraken's WebSocket v2."""

import json
import socket
import threading
import time
import zlib
from contextlib import ExitStack, contextmanager
from decimal import Decimal

import uvicorn
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from common import realtime
from market.consumers import Crowd, PrivateConsumer, PublicConsumer

PATIENCE_S = 20

application = ProtocolTypeRouter(
    {
        "websocket": Crowd(
            URLRouter(
                [
                    path("ws/v2", PublicConsumer.as_asgi()),
                    path("ws/v2/private", AuthMiddlewareStack(PrivateConsumer.as_asgi())),
                ]
            )
        )
    }
)


@contextmanager
def serving():
    """Run the sockets on a free port; give host and port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)  # full soon, if nobody reads
    config = uvicorn.Config(
        application, lifespan="off", log_level="error", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=PATIENCE_S)
        listener.close()


class Client:
    """One socket; numbers arrive as Decimals with all their digits."""

    def __init__(self, address, place="/ws/v2", **options):
        self._stack = ExitStack()
        line = connect(
            f"ws://{address}{place}", open_timeout=PATIENCE_S, close_timeout=1, **options
        )
        self.line = self._stack.enter_context(line)
        self.heard = []

    def send(self, method, req_id=None, **params):
        request = {"method": method, "params": params} if params else {"method": method}
        if req_id is not None:
            request["req_id"] = req_id
        self.line.send(json.dumps(request))

    def say(self, text):
        self.line.send(text)

    def read(self, timeout=PATIENCE_S):
        message = json.loads(self.line.recv(timeout=timeout), parse_float=Decimal)
        self.heard.append(message)
        return message

    def wait_for(self, wanted, timeout=PATIENCE_S):
        """Read until a message is wanted; give it."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.read(timeout=max(deadline - time.monotonic(), 0.01))
            if wanted(message):
                return message

    def answer(self):
        return self.wait_for(lambda message: "success" in message or "error" in message)

    def data(self, channel, kind=None):
        """Give the data of the channel's next message."""
        message = self.wait_for(
            lambda message: (
                message.get("channel") == channel and (kind is None or message["type"] == kind)
            )
        )
        return message["data"]

    def subscribe(self, channel, *symbols, **params):
        """Subscribe and give the first snapshot's data."""
        if symbols:
            params["symbol"] = [f"{symbol}/USD" for symbol in symbols]
        self.send("subscribe", channel=channel, **params)
        return self.data(channel, "snapshot")

    def close(self):
        self._stack.close()


class Copy:
    """A client's copy of a book, kept by snapshots and updates as Kraken's documentation says."""

    def __init__(self, depth):
        self.depth = depth
        self.bids = {}
        self.asks = {}

    def take(self, message):
        (data,) = message["data"]
        if message["type"] == "snapshot":
            self.bids, self.asks = {}, {}
        for name, reverse in (("bids", True), ("asks", False)):
            side = getattr(self, name)
            for level in data[name]:
                if level["qty"]:
                    side[level["price"]] = level["qty"]
                else:
                    side.pop(level["price"], None)
            best = sorted(side, reverse=reverse)[: self.depth]
            setattr(self, name, {price: side[price] for price in best})
        assert self.checksum() == data["checksum"]

    def checksum(self):
        digits = "".join(
            f"{number:f}".replace(".", "").lstrip("0")
            for side in (self.asks, self.bids)
            for level in list(side.items())[:10]
            for number in level
        )
        return zlib.crc32(digits.encode())

    @property
    def levels(self):
        return {
            name: [[f"{price:f}", f"{quantity:f}"] for price, quantity in side.items()]
            for name, side in (("bids", self.bids), ("asks", self.asks))
        }


def book(sequence, bids, asks, *, symbol="AAPLx", epoch=1):
    """Publish a whole book as the engine does."""
    message = {
        "kind": "book",
        "symbol": symbol,
        "epoch": epoch,
        "sequence": sequence,
        "time": "2026-11-20T15:00:00.000000Z",
        "bids": bids,
        "asks": asks,
    }
    realtime.connection().set(f"market:book:{symbol}", json.dumps(message))
    realtime.publish_market(message)
    return {"bids": bids, "asks": asks}


def eventually(read):
    """Give the first answer that is true, however busy the machine is."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := read()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return answer


def is_closed(client):
    """Tell whether the server has hung up; reads what is there."""
    try:
        while True:
            client.read(timeout=0.01)
    except TimeoutError:
        return False
    except ConnectionClosed:
        return True
