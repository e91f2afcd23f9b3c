"""Questions about orders, trades and what an order would cost."""

from trading.queries.audit import CHECKS
from trading.queries.fees import Fees, fee_tier, fees_of, schedule_of
from trading.queries.orders import (
    Preview,
    PriceStale,
    Quote,
    average_price,
    closed_orders_of,
    collar,
    collar_width,
    describe_order,
    describe_trade,
    executions_of,
    fresh_reference,
    market_rule,
    open_orders_of,
    orders_of,
    preview,
    scale_of,
    standing_quote,
    trades_of,
)
from trading.queries.replay import Replay, persisted_state

__all__ = [
    "CHECKS",
    "Fees",
    "Preview",
    "PriceStale",
    "Quote",
    "Replay",
    "average_price",
    "closed_orders_of",
    "collar",
    "collar_width",
    "describe_order",
    "describe_trade",
    "executions_of",
    "fee_tier",
    "fees_of",
    "fresh_reference",
    "market_rule",
    "open_orders_of",
    "orders_of",
    "persisted_state",
    "preview",
    "scale_of",
    "schedule_of",
    "standing_quote",
    "trades_of",
]
