"""The pages of trading."""

from trading.views.instrument import instrument
from trading.views.orders import amend, cancel, cancel_all, instrument_orders, order, orders
from trading.views.ticket import place, preview, ticket

__all__ = [
    "amend",
    "cancel",
    "cancel_all",
    "instrument",
    "instrument_orders",
    "order",
    "orders",
    "place",
    "preview",
    "ticket",
]
