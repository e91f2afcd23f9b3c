"""Questions about the house: its policy, and what it is left with."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from instruments.models import Instrument
from market import queries as market
from market.rules import sessions
from trading.models import HousePolicy, Order


def house_policy(now: datetime) -> HousePolicy:
    """Give how the house quotes and hedges just now."""
    return HousePolicy.objects.filter(since__lte=now.date()).latest("since")


def house_distances(policy: HousePolicy, now: datetime) -> list[int]:
    """Give how far from the reference the house's levels are in this session, in basis points."""
    if market.primary_is_open(now):
        return policy.floor_bp
    return policy.extended_bp if sessions.is_open(sessions.WEEKDAYS, now) else policy.weekend_bp


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
