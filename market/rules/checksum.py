"""Kraken's checksum of a book, by which a client knows that its own copy is right."""

import zlib
from collections.abc import Iterable, Sequence
from itertools import islice

LEVELS = 10

Level = Sequence[str]  # price and quantity, each written with its full precision


def book_checksum(*, bids: Iterable[Level], asks: Iterable[Level]) -> int:
    """Sum up the ten best levels of each side as CRC-32, unsigned.

    Each price and quantity loses its point and its leading zeros; asks come first, from the lowest,
    then bids, from the highest.

    :param bids: best (highest) first
    :param asks: best (lowest) first
    """
    digits = "".join(
        number.replace(".", "").lstrip("0")
        for side in (asks, bids)
        for level in islice(side, LEVELS)
        for number in level
    )
    return zlib.crc32(digits.encode("ascii"))
