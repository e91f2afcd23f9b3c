"""What orders people think of: one of any type, near enough to the price that much of it trades."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any


class Wish:
    """One thought: dice, a side, and the price that everybody sees."""

    def __init__(self, dice: random.Random, side: str, reference: Decimal) -> None:
        self.dice = dice
        self.side = side
        self.reference = reference
        self.quantity = f"{dice.randint(2, 12) / 100:.2f}"

    def price(self, away: float, *, better: bool) -> str:
        """Choose a price up to so many percent from the reference.

        :param better: on the side where the order waits: lower for a buy, higher for a sell
        """
        part = self.dice.uniform(0.02, away) / 100
        up = (self.side == "sell") == better
        return f"{self.reference * Decimal(1 + part if up else 1 - part):.2f}"

    def terms(self) -> dict[str, Any]:
        """Choose a type, the plain ones more often."""
        [kind] = self.dice.choices(list(TYPES), [weight for weight, _ in TYPES.values()])
        return {"type": kind, "quantity": self.quantity, **TYPES[kind][1](self)}


def market(wish: Wish) -> dict[str, Any]:
    if wish.dice.random() < 0.7:
        return {"quantity": None, "notional": str(wish.dice.randint(2, 40))}
    return {}


def limit(wish: Wish) -> dict[str, Any]:
    terms: dict[str, Any] = {"limit_price": wish.price(0.4, better=wish.dice.random() < 0.7)}
    match wish.dice.randint(0, 7):
        case 0 | 1:
            terms["time_in_force"] = wish.dice.choice(["ioc", "fok"])
        case 2:
            until = datetime.now(tz=UTC) + timedelta(seconds=wish.dice.randint(5, 30))
            terms |= {"time_in_force": "gtd", "expires_at": until.isoformat()}
        case 3 if wish.side == "buy":
            low, high = (f"{wish.reference * Decimal(part):.2f}" for part in ("0.995", "1.005"))
            terms["close"] = {"stop_loss": low, "take_profit": high}
        case 4:
            terms["post_only"] = True
    return terms


def trigger(wish: Wish, *, better: bool) -> dict[str, Any]:
    return {
        "trigger_price": wish.price(0.3, better=better),
        "trigger": wish.dice.choice(["last", "index"]),
    }


def stop_loss(wish: Wish) -> dict[str, Any]:
    return trigger(wish, better=False)


def take_profit(wish: Wish) -> dict[str, Any]:
    return trigger(wish, better=True)


def stop_loss_limit(wish: Wish) -> dict[str, Any]:
    return {**stop_loss(wish), "limit_price": wish.price(0.6, better=False)}


def take_profit_limit(wish: Wish) -> dict[str, Any]:
    return {**take_profit(wish), "limit_price": wish.price(0.2, better=True)}


def trailing_stop(wish: Wish) -> dict[str, Any]:
    return {"trail": wish.dice.choice(["0.20", "0.50", "0.1%", "0.3%"])}


def trailing_stop_limit(wish: Wish) -> dict[str, Any]:
    return {**trailing_stop(wish), "limit_offset": "0.50" if wish.side == "buy" else "-0.50"}


def iceberg(wish: Wish) -> dict[str, Any]:
    shown = f"{Decimal(wish.quantity) / 4:.3f}"
    return {"limit_price": wish.price(0.3, better=True), "display_quantity": shown}


TYPES: dict[str, tuple[int, Callable[[Wish], dict[str, Any]]]] = {
    "market": (5, market),
    "limit": (10, limit),
    "stop-loss": (1, stop_loss),
    "stop-loss-limit": (1, stop_loss_limit),
    "take-profit": (1, take_profit),
    "take-profit-limit": (1, take_profit_limit),
    "trailing-stop": (1, trailing_stop),
    "trailing-stop-limit": (1, trailing_stop_limit),
    "iceberg": (2, iceberg),
}
