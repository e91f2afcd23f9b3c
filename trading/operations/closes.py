"""Conditional closes: what an order bought is offered again, fill by fill.

Settlement places them in the transaction that brings the shares, so a fill without its close
cannot be. A stop-loss with a take-profit is one order with two triggers and one hold: whichever
price comes first ends the other.
"""

from collections.abc import Sequence
from datetime import datetime

from kyc import queries as kyc
from trading import queries, rules
from trading.models import Book, Order, Trade
from trading.operations import placing
from trading.operations.acceptance import Terms, special_terms
from trading.operations.drafts import Close, OrderDraft
from trading.operations.placing import Placement
from trading.operations.sending import send


def place_closes(trades: Sequence[Trade], *, now: datetime) -> list[Order]:
    """Place the close of each trade whose buyer wanted one; the trades' shares have just arrived.

    The close has the buyer's rates, was agreed to with the purchase, and so is asked nothing more:
    neither a limit on open orders nor an instrument's hours keep it away.
    """
    closing = [trade for trade in trades if trade.buy_order.close]
    if not closing:
        return []
    prices = queries.prices_of([], now=now, lasts={})
    shards = dict(
        Book.objects.filter(instrument__in={trade.instrument_id for trade in closing}).values_list(
            "instrument_id", "shard_id"
        )
    )
    placements = [
        Placement(
            terms=_terms(trade, prices),
            customer=trade.buy_order.customer_id or 0,
            cash=trade.buy_order.cash_account_id,
            token=trade.buy_order.token_account_id,
            shard=shards[trade.instrument_id],
            maker_rate=trade.buy_order.maker_rate,
            taker_rate=trade.buy_order.taker_rate,
            closes=trade.pk,
        )
        for trade in closing
    ]
    orders = placing.write(placements, now=now)
    _take_back_of_shut_out(orders)
    return orders


def _take_back_of_shut_out(closes: Sequence[Order]) -> None:
    """Cancel at once what was placed for customers who may not even sell."""
    placed = Order.objects.filter(pk__in=[close.pk for close in closes])
    if shut := list(placed.filter(kyc.who_is_shut_out("customer__"))):
        send(shut, "cancel")


def _terms(trade: Trade, prices: queries.Prices) -> Terms:
    """Count as the trade did: where a share has become more shares since, the engine refuses it."""
    draft = _draft(trade, Close.of(trade.buy_order.close or {}))
    scale = rules.Scale.of(trade.instrument.tick_size, trade.multiplier)
    price = queries.worst_price(draft, prices)
    return Terms(
        draft=draft,
        scale=scale,
        ticks=scale.ticks(price, field="limit_price"),
        price=price,
        base=trade.quantity,
        notional=None,
        budget=trade.quantity,
        special=special_terms(draft, scale),
    )


def _draft(trade: Trade, close: Close) -> OrderDraft:
    """Say a close as an order of its own."""
    stops, limited = close.stop_loss is not None, close.limit_price is not None
    kinds: dict[tuple[bool, bool], str] = {
        (True, False): Order.Type.STOP_LOSS,
        (True, True): Order.Type.STOP_LOSS_LIMIT,
        (False, False): Order.Type.TAKE_PROFIT,
        (False, True): Order.Type.TAKE_PROFIT_LIMIT,
    }
    return OrderDraft(
        instrument=trade.instrument,
        side=Order.Side.SELL,
        type=kinds[stops, limited],
        limit_price=close.limit_price,
        trigger_price=close.stop_loss if stops else close.take_profit,
        take_profit_price=close.take_profit if stops else None,
        trigger=close.trigger,
    )
