"""What a simulated customer wants: drawn from a random that is given, so that a seed repeats it.

Nothing here asks the database. A customer spends what is cash and sells what is not, each the more
often the more there is of it: so about half of what they have ends up in shares, whatever prices
do, and there are sales from the first hour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from random import Random

from instruments.models import Instrument
from trading.models import Order
from trading.operations import OrderDraft

# The best known first; whatever is not named is traded as seldom as the last one.
FAVORITES = (
    *("NVDAx", "TSLAx", "AAPLx", "SPYx", "MSTRx", "QQQx", "GOOGLx", "AMZNx", "METAx", "COINx"),
    *("MSFTx", "HOODx", "CRCLx", "PLTRx", "GLDx", "NFLXx", "AMDx", "GMEx", "TQQQx", "MCDx"),
)
SIZES_USD = (5, 10, 10, 20, 25, 25, 50, 50, 75, 100, 150)
LEAST_USD = 5
# Of all orders: so many buy where there is no cash, and so many more where there is nothing else.
LEAST_BUYS, MORE_BUYS = Decimal("0.3"), Decimal("0.4")
LIMITS = 0.25  # the share of orders that name a price
SELLS_OUT = 0.3  # the share of sales that leave nothing behind
MOST_AWAY_BP = 8  # how far from the reference price a limit is, at most
RESTS_S = (30, 300)
BP = Decimal("0.0001")
CENT = Decimal("0.01")
SHARES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Market:
    """An instrument that trades just now, and the dollars that one share is worth."""

    instrument: Instrument
    price: Decimal


@dataclass(frozen=True, slots=True)
class Purse:
    """What a customer can spend and sell: dollars, and shares by symbol."""

    cash: Decimal
    shares: Mapping[str, Decimal]


def weight(instrument: Instrument) -> float:
    """Say how often an instrument is bought, compared with others."""
    known = instrument.symbol in FAVORITES
    rank = FAVORITES.index(instrument.symbol) if known else len(FAVORITES)
    return 1 / (2 + rank)


def wish(
    *, purse: Purse, markets: Sequence[Market], equity: Decimal, random: Random, now: datetime
) -> OrderDraft | None:
    """Draw an order; None where there is nothing to spend, or what they have does not trade now.

    :param equity: the dollars that cash and shares are worth together
    """
    held = [one for one in markets if purse.shares.get(one.instrument.symbol)]
    buys = Decimal(random.random()) * equity < LEAST_BUYS * equity + MORE_BUYS * purse.cash
    bought = _purchase(purse, markets, random, now) if buys or not held else None
    return bought or (_sale(purse, random.choice(held), random, now) if held else None)


def _purchase(
    purse: Purse, markets: Sequence[Market], random: Random, now: datetime
) -> OrderDraft | None:
    dollars = min(Decimal(random.choice(SIZES_USD)), (purse.cash / 2).quantize(CENT, ROUND_FLOOR))
    if dollars < LEAST_USD or not markets:
        return None
    [market] = random.choices(markets, [weight(one.instrument) for one in markets])
    return _order(market, Order.Side.BUY, dollars, random, now)


def _sale(purse: Purse, market: Market, random: Random, now: datetime) -> OrderDraft:
    shares = purse.shares[market.instrument.symbol]
    dollars = Decimal(random.choice(SIZES_USD))
    if random.random() < SELLS_OUT or dollars * 2 > shares * market.price:
        return OrderDraft(market.instrument, Order.Side.SELL, Order.Type.MARKET, quantity=shares)
    return _order(market, Order.Side.SELL, dollars, random, now)


def _order(
    market: Market, side: str, dollars: Decimal, random: Random, now: datetime
) -> OrderDraft:
    """Write an order for so many dollars: at market, or resting a little away for some minutes."""
    instrument = market.instrument
    if random.random() >= LIMITS:
        return OrderDraft(instrument, side, Order.Type.MARKET, notional=dollars)
    away = random.randint(1, MOST_AWAY_BP) * BP * (1 if side == Order.Side.SELL else -1)
    price = instrument.quoted(market.price * (1 + away))
    return OrderDraft(
        instrument,
        side,
        Order.Type.LIMIT,
        quantity=max((dollars / price).quantize(SHARES, ROUND_FLOOR), SHARES),
        limit_price=price,
        time_in_force=Order.TimeInForce.GTD,
        expires_at=now + timedelta(seconds=random.randint(*RESTS_S)),
    )
