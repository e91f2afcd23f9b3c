"""Questions about the house: its policy, and what it is left with."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection

from common import database
from common.money import USD
from instruments.models import Instrument
from market import queries as market
from market.rules import sessions
from trading import rules
from trading.models import HousePolicy, Order
from trading.queries.pricing import standing_quote
from users.models import User


@dataclass(frozen=True, slots=True)
class DealerRoom:
    """What the dealer still buys from one customer's cards at a moment.

    :param overall: USD units of everything together
    :param rooms: USD units of an instrument, by its id; `most` where it bought nothing lately
    :param bought: base units that its bid was not refilled with since, by instrument id
    """

    overall: int
    rooms: dict[int, int]
    most: int
    bought: dict[int, int]

    def of(self, instrument: Instrument) -> int:
        """Say how many USD units of an instrument the dealer still buys."""
        return self.rooms.get(instrument.pk, self.most)


def house_policy(now: datetime) -> HousePolicy:
    """Give how the house quotes and hedges just now."""
    return HousePolicy.objects.filter(since__lte=now.date()).latest("since")


def house_distances(policy: HousePolicy, now: datetime) -> list[int]:
    """Give how far from the reference the house's levels are in this session, in basis points."""
    if market.primary_is_open(now):
        return policy.floor_bp
    return policy.extended_bp if sessions.is_open(sessions.WEEKDAYS, now) else policy.weekend_bp


def house_levels(instruments: Sequence[Instrument]) -> dict[tuple[int, str], list[int]]:
    """Give the prices at which the house's quotes stand, in ticks, by instrument id and side."""
    standing = Order.objects.filter(type=Order.Type.QUOTE, instrument__in=instruments)
    rows = standing.values_list("instrument_id", "side", "engine_state__levels")
    return {(pk, side): [ticks for ticks, *_ in levels or ()] for pk, side, levels in rows}


def house_positions(instruments: Sequence[Instrument]) -> dict[int, int]:
    """Give what the house's quotes have bought more than sold, in base units, by instrument id."""
    positions: dict[int, int] = {}
    standing = Order.objects.filter(type=Order.Type.QUOTE, instrument__in=instruments)
    for instrument_id, side, filled in standing.values_list("instrument_id", "side", "filled"):
        signed = filled if side == Order.Side.BUY else -filled
        positions[instrument_id] = positions.get(instrument_id, 0) + signed
    return positions


def dealer_positions(*, since: datetime) -> dict[int, int]:
    """Give what the dealer has bought more than sold, in base units, by instrument id.

    An instrument with a hedge on its book is missing.

    :param since: what happened earlier is the treasury's, so that this costs the same in every year
    """
    query = """
        SELECT instrument_id, sum(CASE side WHEN 'buy' THEN filled ELSE -filled END)::bigint
        FROM trading_order
        WHERE customer_id IS NULL AND type <> 'quote' AND placed_at >= %s
        GROUP BY instrument_id
        HAVING NOT bool_or(status IN ('pending', 'open', 'partially_filled'))
    """
    with connection.cursor() as cursor:
        cursor.execute(query, [since])
        return {instrument_id: position for instrument_id, position in cursor if position}


BOUGHT = """
    SELECT w.seconds, t.instrument_id, sum(t.quantity)::bigint, sum(t.cost)::bigint,
           coalesce(sum(t.cost) FILTER (WHERE o.customer_id = %s), 0)::bigint
    FROM unnest(%s::int[]) AS w(seconds)
    JOIN trading_trade t ON t.executed_at > %s::timestamptz - make_interval(secs => w.seconds)
        AND t.venue = 'house' AND t.maker_side = 'buy'
    JOIN trading_order o ON o.id = t.sell_order_id
    GROUP BY 1, 2
"""


def dealer_room(customer: User, *, now: datetime) -> DealerRoom:
    """Say what the dealer still buys from a customer's cards, within the policy's limits.

    Every sale to the dealer locks its dollars first. Who has that lock sees all of them here, and
    none is added until the transaction ends.
    """
    policy = house_policy(now)
    seconds = list({policy.refill_s, *policy.card_intervals_s})
    bought: dict[int, int] = {}
    totals, own = Counter[int](), Counter[int]()
    costs: dict[int, dict[int, int]] = {}
    for interval, instrument, base, cost, by_customer in database.prepared(
        BOUGHT, [customer.pk, seconds, now]
    ):
        totals[interval] += cost
        own[interval] += by_customer
        costs.setdefault(instrument, {})[interval] = cost
        if interval == policy.refill_s:
            bought[instrument] = base
    limits = list(
        zip(
            policy.card_intervals_s,
            policy.card_customer_usd,
            policy.card_instrument_usd,
            policy.card_total_usd,
            strict=True,
        )
    )
    dollar = 10**USD.scale
    return DealerRoom(
        overall=min(
            min(customer_usd * dollar - own[interval], total_usd * dollar - totals[interval])
            for interval, customer_usd, _, total_usd in limits
        ),
        rooms={
            instrument: min(usd * dollar - cost.get(interval, 0) for interval, _, usd, _ in limits)
            for instrument, cost in costs.items()
        },
        most=min(usd for _, _, usd, _ in limits) * dollar,
        bought=bought,
    )


def dealer_bid(
    instrument: Instrument, room: DealerRoom, *, now: datetime
) -> list[tuple[Decimal, int]] | None:
    """Give the levels at which the dealer buys: the house's standing bid, less what it bought.

    :returns: (price, base units), best first; None where the quote must not be relied upon
    """
    quote = standing_quote(instrument, Order.Side.BUY, now=now)
    return rules.left_of(quote.levels, room.bought.get(instrument.pk, 0)) if quote else None
