"""What the other processes say on the Redis channel `market`, as the hub reads it."""

from typing import Any

import msgspec

Levels = list[tuple[str, str]]


class Reference(msgspec.Struct, tag_field="kind", tag="reference"):
    """Changed reference prices by symbol, each second; empty where nothing changed.

    What the feed itself doubts is named, each time. Prices count by `multipliers`, or by 1.
    """

    time: str
    prices: dict[str, str]
    doubted: list[str] = []
    multipliers: dict[str, str] = {}


class Statistics(msgspec.Struct, tag_field="kind", tag="statistics"):
    """Changed figures of the last 24 hours by symbol."""

    days: dict[str, dict[str, str | None]]


class Book(msgspec.Struct, tag_field="kind", tag="book"):
    """A whole book, best levels first: (price, shares)."""

    symbol: str
    epoch: int
    sequence: int
    time: str
    bids: Levels
    asks: Levels


EMPTY_BOOK = Book(symbol="", epoch=0, sequence=0, time="", bids=[], asks=[])


class Trade(msgspec.Struct, tag_field="kind", tag="trade"):
    """A trade that the engine has committed; `side` is the taker's.

    `simulated` is that of a simulated customer.
    """

    symbol: str
    trade_id: str
    side: str
    price: str
    quantity: str
    time: str
    epoch: int = 0
    sequence: int = 0
    simulated: bool = False


class Status(msgspec.Struct, tag_field="kind", tag="status"):
    """A new state of an instrument's market."""

    symbol: str
    state: str


class Multiplier(msgspec.Struct, tag_field="kind", tag="multiplier"):
    """What a base share of an instrument stands for has changed: all said before is out of date."""

    symbol: str
    multiplier: str


Message = Reference | Statistics | Book | Trade | Status | Multiplier

_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Message)


def read(raw: bytes) -> Message:
    """Read a message of the market.

    :raises msgspec.DecodeError: for what isn't one, or of a kind that the hub does not know
    """
    message: Message = _decoder.decode(raw)
    return message
