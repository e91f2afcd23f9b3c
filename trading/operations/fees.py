"""The daily rollup of what customers trade, which decides the fees they pay."""

from datetime import UTC, datetime, time, timedelta

from django.db import connection
from django.db.models import Max

from trading.models import DailyVolume
from trading.queries.fees import WINDOW

ROLL_UP = """
    INSERT INTO trading_dailyvolume AS v (customer_id, day, volume)
    SELECT o.customer_id, (side.executed_at AT TIME ZONE 'UTC')::date AS day, sum(side.cost)
    FROM (
        SELECT buy_order_id AS order_id, executed_at, cost FROM trading_trade
        WHERE venue = 'book' AND executed_at >= %(since)s
        UNION ALL
        SELECT sell_order_id, executed_at, cost FROM trading_trade
        WHERE venue = 'book' AND executed_at >= %(since)s
    ) AS side
    JOIN trading_order o ON o.id = side.order_id
    WHERE o.customer_id IS NOT NULL
    GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (customer_id, day) DO UPDATE SET volume = excluded.volume
    WHERE v.volume <> excluded.volume
"""


def roll_up_volume(*, now: datetime) -> int:
    """Count what every customer traded on the books, day by day, since the last time.

    Days are counted whole, so running it again changes nothing. The day before the last one counted
    is counted once more: its last trades may have been committed after the look.

    :returns: how many customers' days are new or changed
    """
    counted = DailyVolume.objects.aggregate(last=Max("day"))["last"]
    oldest = now.date() - WINDOW
    since = max(oldest, counted - timedelta(days=1)) if counted else oldest
    with connection.cursor() as cursor:
        cursor.execute(ROLL_UP, {"since": datetime.combine(since, time.min, UTC)})
        return int(cursor.rowcount)
