"""What two people decide about markets and their policy."""

from datetime import datetime
from typing import Any

from common.errors import DomainError
from trading import queries
from trading.models import BandRule, Book, FeeTier, HousePolicy, MarketRule
from trading.operations import markets
from trading.operations.corporate_actions import CORPORATE_ACTION
from users.models import Proposal, User
from users.operations import ProposalKind, policy_kind

Payload = dict[str, Any]


class RebateUnpaid(DomainError):
    """A maker gets back at most what the taker pays."""

    field = "maker_rate"


def _book(payload: Payload) -> Book:
    books = Book.objects.select_related("instrument").select_for_update(no_key=True, of=("self",))
    return books.get(instrument__symbol=payload["symbol"])


def _symbol(payload: Payload) -> str:
    return str(payload["symbol"])


def _check_state(payload: Payload, _actor: User, _now: datetime) -> None:
    if _book(payload).state == Book.State(payload["state"]):
        raise markets.NothingChanges


def _change_state(proposal: Proposal, actor: User, now: datetime) -> str:
    state = proposal.payload["state"]
    book = _book(proposal.payload)
    markets.change_state(book=book, state=state, actor=actor, reason=proposal.reason, now=now)
    return f"{book.instrument.symbol}: {state}"


def _check_tier(payload: Payload, _actor: User, _now: datetime) -> None:
    if _book(payload).tier == Book.Tier(payload["tier"]):
        raise markets.NothingChanges


def _change_tier(proposal: Proposal, actor: User, now: datetime) -> str:
    tier = proposal.payload["tier"]
    book = _book(proposal.payload)
    markets.change_tier(book=book, tier=tier, actor=actor, reason=proposal.reason, now=now)
    return f"{book.instrument.symbol}: tier {tier}"


def _check_rebates(tier: FeeTier) -> None:
    """Refuse a schedule by which one customer's rebate is more than another customer's fee.

    :raises RebateUnpaid: from the day on which the tier begins, or another does later
    """
    later = FeeTier.objects.filter(since__gt=tier.since).values_list("since", flat=True)
    for day in {tier.since, *later}:
        standing = {row.min_volume_usd: row for row in queries.schedule_of(day)}
        replaced = standing.get(tier.min_volume_usd)
        if replaced is None or replaced.since <= tier.since:
            standing[tier.min_volume_usd] = tier
        least = min(row.taker_rate for row in standing.values())
        if min(row.maker_rate for row in standing.values()) < -least:
            raise RebateUnpaid(f"The lowest taker rate then is {least}: rebate no more than that.")


CHANGE_STATE = ProposalKind(
    name="trading.change_state",
    title="Change a market's state",
    target=_symbol,
    version=lambda payload: _book(payload).state,
    describe=lambda payload: [
        ("State", _book(payload).get_state_display(), Book.State(payload["state"]).label)
    ],
    check=_check_state,
    execute=_change_state,
)
CHANGE_TIER = ProposalKind(
    name="trading.change_tier",
    title="Change a market's tier of price bands",
    target=_symbol,
    version=lambda payload: f"tier {_book(payload).tier}",
    describe=lambda payload: [("Tier", str(_book(payload).tier), str(payload["tier"]))],
    check=_check_tier,
    execute=_change_tier,
)
SET_BANDS = policy_kind(
    name="trading.set_bands",
    title="Set how far trades may be from the reference price",
    model=BandRule,
    key=("tier", "below_usd"),
)
SET_FEES = policy_kind(
    name="trading.set_fees",
    title="Set what trading costs",
    model=FeeTier,
    key=("min_volume_usd",),
    beside=_check_rebates,
)
SET_HOUSE_POLICY = policy_kind(
    name="trading.set_house_policy", title="Set how the house quotes and hedges", model=HousePolicy
)
SET_MARKET_RULE = policy_kind(
    name="trading.set_market_rule", title="Set what bounds an order", model=MarketRule
)
KINDS = (
    CHANGE_STATE,
    CHANGE_TIER,
    CORPORATE_ACTION,
    SET_BANDS,
    SET_FEES,
    SET_HOUSE_POLICY,
    SET_MARKET_RULE,
)
