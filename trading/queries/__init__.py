"""Questions about orders, trades and what an order would cost."""

from trading.queries.audit import CHECKS
from trading.queries.bands import BandPolicy
from trading.queries.fees import Fees, fee_tier, fees_of, schedule_of
from trading.queries.house import (
    dealer_positions,
    house_distances,
    house_policy,
    house_positions,
)
from trading.queries.markets import MarketState, market_state, state_of
from trading.queries.orders import (
    average_price,
    changed_since,
    closed_orders_of,
    describe_order,
    describe_trade,
    executions_of,
    open_orders_of,
    orders_of,
    trades_of,
)
from trading.queries.pricing import (
    Preview,
    Prices,
    PriceStale,
    Quote,
    collar,
    collar_width,
    fires_at,
    fresh_reference,
    market_rule,
    preview,
    prices_of,
    scale_of,
    standing_quote,
    worst_price,
)
from trading.queries.replay import LogPurged, Replay, latest_snapshot, persisted_state

__all__ = [
    "CHECKS",
    "BandPolicy",
    "Fees",
    "LogPurged",
    "MarketState",
    "Preview",
    "PriceStale",
    "Prices",
    "Quote",
    "Replay",
    "average_price",
    "changed_since",
    "closed_orders_of",
    "collar",
    "collar_width",
    "dealer_positions",
    "describe_order",
    "describe_trade",
    "executions_of",
    "fee_tier",
    "fees_of",
    "fires_at",
    "fresh_reference",
    "house_distances",
    "house_policy",
    "house_positions",
    "latest_snapshot",
    "market_rule",
    "market_state",
    "open_orders_of",
    "orders_of",
    "persisted_state",
    "preview",
    "prices_of",
    "scale_of",
    "schedule_of",
    "standing_quote",
    "state_of",
    "trades_of",
    "worst_price",
]
