"""A copy of somebody else's book, kept by what they say and checked by their checksum."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from market.rules.checksum import book_checksum


class BookCopy:
    """The best levels of a book, from a snapshot and the updates after it."""

    def __init__(self, depth: int) -> None:
        """Begin empty."""
        self._depth = depth
        self._sides: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}

    def take(self, kind: str, data: Mapping[str, Any]) -> bool:
        """Take a snapshot or an update in; tell whether the copy is right.

        :param data: in Kraken's fields; its numbers Decimals with all their digits
        """
        if kind == "snapshot":
            self._sides = {"bids": {}, "asks": {}}
        for name, side in self._sides.items():
            for level in data.get(name, ()):
                if level["qty"]:
                    side[level["price"]] = level["qty"]
                else:
                    side.pop(level["price"], None)
            best = sorted(side, reverse=name == "bids")[: self._depth]
            self._sides[name] = {price: side[price] for price in best}
        return self._checksum() == int(data["checksum"])

    @property
    def is_crossed(self) -> bool:
        """Tell whether somebody would buy for as much as somebody would sell for, or more."""
        bids, asks = self._sides["bids"], self._sides["asks"]
        return bool(bids and asks) and max(bids) >= min(asks)

    def _checksum(self) -> int:
        texts = {
            name: [(f"{price:f}", f"{quantity:f}") for price, quantity in side.items()]
            for name, side in self._sides.items()
        }
        return book_checksum(bids=texts["bids"], asks=texts["asks"])
