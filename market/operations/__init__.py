"""The verbs of the market: the tape of our own trades, and the feed of reference prices."""

from market.operations.feed import FeedRun, become_only_feed, start_feed
from market.operations.states import publish_state
from market.operations.tape import record_trades

__all__ = ["FeedRun", "become_only_feed", "publish_state", "record_trades", "start_feed"]
