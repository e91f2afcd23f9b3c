"""How long the market's past is kept: the shorter a candle, the sooner it goes."""

from datetime import datetime, timedelta

from django.conf import settings

from common import database


def forget_prices(*, now: datetime) -> int:
    """Let go of short candles and of the tape of long ago; say how many rows went.

    Longer candles stay for good, and so do the trades themselves, which are not here. Of each
    instrument the newest entry of the tape stays: it is its last price.
    """
    gone = 0
    for interval, days in settings.CANDLES_KEPT_DAYS.items():
        gone += database.delete_in_batches(
            "market_candle",
            "t.interval = %s AND t.time < %s",
            [interval, now - timedelta(days=days)],
        )
    return gone + database.delete_in_batches(
        "market_tapetrade",
        "t.at < %s AND EXISTS (SELECT FROM market_tapetrade newer"
        " WHERE newer.instrument_id = t.instrument_id AND (newer.at, newer.id) > (t.at, t.id))",
        [now - timedelta(days=settings.TAPE_KEPT_DAYS)],
    )
