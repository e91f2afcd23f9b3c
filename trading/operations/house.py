"""The house's dealer: trades outside the book, in the caller's transaction, settled there.

That is what a card can promise. What the dealer is left with is hedged afterwards (`hedging`).
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q

from common.errors import DomainError
from instruments.models import Instrument
from ledger import operations as ledger
from ledger import queries as books
from ledger.operations import AccountKey
from trading import queries, rules
from trading.models import Order, Trade
from trading.operations.settlement import entry_of, fee_account, mark_settled
from users.models import User


class NothingToTrade(DomainError):
    """The amount is too small to be worth anything."""


@transaction.atomic
def trade_with_house(
    *,
    customer: User,
    instrument: Instrument,
    side: str,
    quantity: int,
    price: Decimal,
    now: datetime,
    key: str,
    rate: Decimal = Decimal(0),
) -> Trade:
    """Trade with the house's dealer and settle in this transaction (venue `house`, T+0).

    Whether the dealer takes so much at that price is the caller's to ask (`queries.dealer_bid`).

    :param side: the customer's
    :param quantity: base units
    :param price: dollars for one share, on a tick; cost rounds down
    :param key: names the trade; the same key again gives the same trade
    :param rate: the customer's fee, a share of the cost; negative gives one back
    :raises InsufficientFunds: if either side has too little available
    :raises NothingToTrade: if it is worth less than a unit of cash
    """
    known = Order.objects.filter(customer=customer, client_order_id=_name(key)).first()
    if known:
        return Trade.objects.get(Q(buy_order=known) | Q(sell_order=known))
    scale = queries.scale_of(instrument)
    cost = scale.cost(scale.ticks(price, field="price"), quantity)
    if cost <= 0 or quantity <= 0:
        raise NothingToTrade
    fee = rules.fee(cost, rate)
    own, house = _house_orders(
        customer, instrument, side, now, key, quantity=quantity, worst_price=price, cost=cost
    )
    own.taker_rate, own.fee = rate, fee
    Order.objects.bulk_create([own, house])
    buy, sell = (own, house) if side == Order.Side.BUY else (house, own)
    trade = Trade.objects.create(
        instrument=instrument,
        venue=Order.Venue.HOUSE,
        buy_order=buy,
        sell_order=sell,
        maker_side=house.side,
        price=price,
        quantity=quantity,
        multiplier=instrument.multiplier,
        cost=cost,
        buy_fee=fee if buy is own else 0,
        sell_fee=fee if sell is own else 0,
        executed_at=now,
    )
    ledger.post(entries=[entry_of(trade, fee_account())], occurred_at=now)
    mark_settled([trade], now=now)
    trade.settled_at = now
    return trade


def _house_orders(
    customer: User,
    instrument: Instrument,
    side: str,
    at: datetime,
    key: str,
    **terms: Any,
) -> tuple[Order, Order]:
    """Give the customer's order and the dealer's, both filled, neither ever in the book."""
    usd = books.usd()
    roles: list[tuple[User | None, str]] = [
        (customer, "customer"),
        (None, "dealer"),
    ]
    ids = ledger.open_accounts(
        keys=[
            AccountKey(owner.pk if owner else None, asset, role)
            for owner, role in roles
            for asset in (usd.pk, instrument.asset_id)
        ]
    )
    other = Order.Side.SELL if side == Order.Side.BUY else Order.Side.BUY
    facts: dict[str, Any] = {
        "instrument": instrument,
        "venue": Order.Venue.HOUSE,
        "type": Order.Type.MARKET,
        "time_in_force": Order.TimeInForce.FOK,
        "maker_rate": 0,
        "taker_rate": 0,
        "multiplier": instrument.multiplier,
        "placed_at": at,
        "closed_at": at,
        "status": Order.Status.FILLED,
        "filled": terms["quantity"],
        **terms,
    }
    own = Order(
        customer=customer,
        side=side,
        client_order_id=_name(key),
        cash_account_id=ids[0],
        token_account_id=ids[1],
        **facts,
    )
    house = Order(
        customer=None, side=other, cash_account_id=ids[2], token_account_id=ids[3], **facts
    )
    return own, house


def _name(key: str) -> str:
    """Name the customer's order by the trade's key, so that it stands once."""
    return f"house:{key}"[:64]
