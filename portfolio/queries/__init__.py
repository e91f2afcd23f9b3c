"""Questions about what a customer holds, what it cost and earned, and what led there."""

from portfolio.queries.activity import (
    Item,
    activity_of,
    describe_item,
    items_of,
)
from portfolio.queries.checks import CHECKS
from portfolio.queries.history import PERIODS, History, Point, value_history
from portfolio.queries.holdings import (
    Movers,
    Position,
    Summary,
    balances,
    describe_position,
    describe_summary,
    gain_of_sale,
    movers,
    position,
    summary,
)
from portfolio.queries.pages import Page, Place, page_of

__all__ = [
    "CHECKS",
    "PERIODS",
    "History",
    "Item",
    "Movers",
    "Page",
    "Place",
    "Point",
    "Position",
    "Summary",
    "activity_of",
    "balances",
    "describe_item",
    "describe_position",
    "describe_summary",
    "gain_of_sale",
    "items_of",
    "movers",
    "page_of",
    "position",
    "summary",
    "value_history",
]
