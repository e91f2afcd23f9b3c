"""The verbs of the market: the tape of our own trades, and the feed of reference prices."""

from market.operations.tape import record_trades

__all__ = ["record_trades"]
