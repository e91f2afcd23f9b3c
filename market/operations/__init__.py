"""The verbs of the market: the tape of our own trades, the feed of reference prices, the stars."""

from market.operations.calendar import load_calendar
from market.operations.feed import FeedRun, become_only_feed, follow_multiplier, start_feed
from market.operations.purging import forget_prices
from market.operations.stars import star, unstar
from market.operations.states import keep_states, publish_state
from market.operations.tape import record_trades

__all__ = [
    "FeedRun",
    "become_only_feed",
    "follow_multiplier",
    "forget_prices",
    "keep_states",
    "load_calendar",
    "publish_state",
    "record_trades",
    "star",
    "start_feed",
    "unstar",
]
