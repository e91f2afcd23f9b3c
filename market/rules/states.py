"""What a market's state means to a customer, in words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """A state in two words, and in a sentence that says what works and what does not."""

    title: str
    sentence: str


STANDINGS = {
    "paused": Standing(
        "Paused",
        "The price left its band, so trading pauses for a few minutes and goes on by itself. "
        "Open orders wait, and you can cancel them.",
    ),
    "cancel_only": Standing(
        "Halted",
        "Nothing trades and no orders are taken just now. "
        "Open orders wait, and you can cancel them.",
    ),
    "post_only": Standing(
        "Filling up",
        "The book is being filled before trading goes on: only limit orders that wait are taken.",
    ),
    "limit_only": Standing(
        "Limit orders only", "Only orders with a price of your own are taken just now."
    ),
    "reduce_only": Standing(
        "Selling only", "You can sell what you hold; buying is not possible just now."
    ),
    "maintenance": Standing(
        "Maintenance", "This market is being worked on. Your shares and your money are untouched."
    ),
    "delisted": Standing(
        "Delisted", "This instrument is traded here no more. What you hold stays yours."
    ),
}


def standing_of(state: str) -> Standing | None:
    """Say what a state means, None where everything works."""
    return STANDINGS.get(state)
