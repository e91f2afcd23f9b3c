"""The verbs of trading: customers' orders, the engine's batches, settlement, the house."""

from trading.operations.acceptance import validate_order
from trading.operations.amending import amend_order
from trading.operations.barring import cancel_orders_of_barred
from trading.operations.corporate_actions import (
    CORPORATE_ACTION,
    cancel_corporate_action,
    carry_out_actions,
)
from trading.operations.drafts import Close, OrderDraft, contradictions
from trading.operations.fees import roll_up_volume
from trading.operations.hedging import hedge_dealer
from trading.operations.house import trade_with_house
from trading.operations.leading import Leader
from trading.operations.markets import (
    HALTS,
    change_state,
    change_tier,
    halt_market,
    list_books,
    steer_markets,
)
from trading.operations.matching import SILENCE_S, Engine, Fenced, NotLeader
from trading.operations.orders import (
    cancel_each,
    cancel_order,
    cancel_orders,
    cancel_orders_after,
    place_order,
    place_orders,
)
from trading.operations.proposals import (
    CHANGE_STATE,
    CHANGE_TIER,
    KINDS,
    SET_BANDS,
    SET_FEES,
    SET_HOUSE_POLICY,
    SET_MARKET_RULE,
)
from trading.operations.quoting import Desk, HouseQuote, confirm_quotes, quote_books
from trading.operations.settlement import settle_due
from trading.operations.snapshots import purge_commands, take_snapshots

__all__ = [
    "CHANGE_STATE",
    "CHANGE_TIER",
    "CORPORATE_ACTION",
    "HALTS",
    "KINDS",
    "SET_BANDS",
    "SET_FEES",
    "SET_HOUSE_POLICY",
    "SET_MARKET_RULE",
    "SILENCE_S",
    "Close",
    "Desk",
    "Engine",
    "Fenced",
    "HouseQuote",
    "Leader",
    "NotLeader",
    "OrderDraft",
    "amend_order",
    "cancel_corporate_action",
    "cancel_each",
    "cancel_order",
    "cancel_orders",
    "cancel_orders_after",
    "cancel_orders_of_barred",
    "carry_out_actions",
    "change_state",
    "change_tier",
    "confirm_quotes",
    "contradictions",
    "halt_market",
    "hedge_dealer",
    "list_books",
    "place_order",
    "place_orders",
    "purge_commands",
    "quote_books",
    "roll_up_volume",
    "settle_due",
    "steer_markets",
    "take_snapshots",
    "tell_of_actions",
    "tell_of_orders",
    "trade_with_house",
    "validate_order",
]

from trading.operations.telling import tell_of_actions, tell_of_orders
