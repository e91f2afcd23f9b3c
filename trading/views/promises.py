"""What the ticket says of an order before it is placed."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from common.money import USD, Amount, Receipt, cents, count
from trading.models import STOPPING, TRAILING, TRIGGERED, Order
from trading.operations import OrderDraft
from trading.queries import Preview
from trading.views.words import CENT, percent, tidy, usd

LARGE = Decimal(10_000)  # dollars that are worth a second look
MUCH = Decimal("0.5")  # of the cash there is, from `WORTH_ASKING` dollars on
WORTH_ASKING = Decimal(500)
FAR = Decimal("0.05")  # of the price just now
FAR_TRIGGER = Decimal("0.2")

EXPLAINS = {
    Order.Type.MARKET: {
        "buy": "Buys now, at the best price there is, within a limit we name before.",
        "sell": "Sells now, at the best price there is, within a limit we name before.",
    },
    Order.Type.LIMIT: {
        "buy": "Waits until it can be bought at your price or lower.",
        "sell": "Waits until it can be sold at your price or higher.",
    },
    Order.Type.STOP_LOSS: {
        "buy": "Buys at the market once the price has risen to your trigger.",
        "sell": "Sells at the market once the price has fallen to your trigger: it ends a loss.",
    },
    Order.Type.STOP_LOSS_LIMIT: {
        "buy": "Once the price has risen to your trigger, waits to buy at your limit or lower.",
        "sell": "Once the price has fallen to your trigger, waits to sell at your limit or higher.",
    },
    Order.Type.TAKE_PROFIT: {
        "buy": "Buys at the market once the price has fallen to your trigger.",
        "sell": "Sells at the market once the price has risen to your trigger: it keeps a gain.",
    },
    Order.Type.TAKE_PROFIT_LIMIT: {
        "buy": "Once the price has fallen to your trigger, waits to buy at your limit or lower.",
        "sell": "Once the price has risen to your trigger, waits to sell at your limit or higher.",
    },
    Order.Type.TRAILING_STOP: {
        "buy": "Follows the price down, and buys at the market when it rises by your distance.",
        "sell": "Follows the price up, and sells at the market when it falls by your distance.",
    },
    Order.Type.TRAILING_STOP_LIMIT: {
        "buy": "Follows the price down; when it rises by your distance, waits to buy at a limit.",
        "sell": "Follows the price up; when it falls by your distance, waits to sell at a limit.",
    },
    Order.Type.ICEBERG: {
        "buy": "A limit order of which others see only a part at a time.",
        "sell": "A limit order of which others see only a part at a time.",
    },
}


@dataclass(frozen=True, slots=True)
class Means:
    """What the customer can spend or sell, and what a trade costs: dollars, shares, a rate."""

    cash: Decimal = Decimal(0)
    shares: Decimal = Decimal(0)
    taker_rate: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Fact:
    """One line below the sentence: a label and a figure."""

    label: str
    figure: str


def action(draft: OrderDraft) -> str:
    """Name what pressing the button does: "Buy $25 of Apple"."""
    verb = "Buy" if draft.side == Order.Side.BUY else "Sell"
    if draft.notional is not None:
        return f"{verb} {tidy(draft.notional)} of {draft.instrument.name}"
    return f"{verb} {count(draft.quantity or Decimal(0))} {draft.instrument.symbol}"


def promise(draft: OrderDraft, preview: Preview) -> str:
    """Say in a sentence or two what the order would do."""
    what = f"{count(preview.estimated_quantity)} {draft.instrument.symbol}"
    said = _what_happens(draft, preview, what, usd(preview.estimated_cost))
    if draft.type == Order.Type.ICEBERG:
        shown = f"{count(draft.display_quantity or Decimal(0))} {draft.instrument.symbol}"
        said += f" Others see {shown} at a time."
    if draft.take_profit_price is not None:
        said += f" Or at {usd(draft.take_profit_price)}, whichever comes first."
    return said + _sold_again(draft)


def _what_happens(draft: OrderDraft, preview: Preview, what: str, cost: str) -> str:
    buying = draft.side == Order.Side.BUY
    worst = f"never {'above' if buying else 'below'} {usd(preview.worst_price)}"
    if draft.type in TRIGGERED:
        then = _once_triggered(draft, preview, what)
        return f"{_when(draft, preview)}, {then}."
    if draft.type in {Order.Type.LIMIT, Order.Type.ICEBERG}:
        price = usd(draft.limit_price or Decimal(0))
        if buying:
            return f"You get up to {what} for {cost} or less: only at {price} a share or lower."
        return f"You sell up to {what} for {cost} or more: only at {price} a share or higher."
    price, parts = usd(preview.estimated_price), receipt(draft, preview)
    fee = f"fee {usd(parts.fee)}" if parts.fee >= 0 else f"{usd(parts.fee)} back as a rebate"
    if buying and draft.notional is not None:
        return f"You get about {what} at {price}, {fee}, {worst}."
    if buying:
        return f"You pay about {usd(parts.total)} at {price} a share, {fee} included, {worst}."
    about = "" if draft.notional is None else "about "
    got = f"get {usd(parts.total)} after the {fee}"
    return f"You sell {about}{what} at about {price} and {got}, {worst}."


def gain_words(gain: int | None) -> str:
    """Say what a sale gains or loses, in USD units, against what was paid; "" where unknown."""
    if gain is None:
        return ""
    rounded = cents(gain, ROUND_FLOOR)
    if not rounded:
        return " That is what you paid for it."
    return f" That is {usd(rounded)} {'more' if gain > 0 else 'less'} than you paid for it."


def receipt(draft: OrderDraft, preview: Preview) -> Receipt:
    """Give the parts of what an order would cost or bring, as its receipt will have them."""
    cost, fee = (Amount.parse(value, USD).units for value in (preview.estimated_cost, preview.fee))
    return Receipt.of(cost=cost, fee=fee, buying=draft.side == Order.Side.BUY)


def _when(draft: OrderDraft, preview: Preview) -> str:
    """Say what starts an order that waits."""
    watched = "last trade" if draft.trigger == Order.Trigger.LAST else "reference price"
    buying = draft.side == Order.Side.BUY
    if draft.type in TRAILING:
        turn = "rises" if buying else "falls"
        back = usd(draft.trail) if draft.trail else percent(draft.trail_percent or Decimal(0))
        return f"When the {watched} {turn} {back} from its best"
    takes_profit = draft.type in {Order.Type.TAKE_PROFIT, Order.Type.TAKE_PROFIT_LIMIT}
    turn = "falls" if takes_profit == buying else "rises"
    return f"When the {watched} {turn} to {usd(draft.trigger_price or Decimal(0))}"


def _once_triggered(draft: OrderDraft, preview: Preview, what: str) -> str:
    buying = draft.side == Order.Side.BUY
    verb = "buy" if buying else "sell"
    side = "above" if buying else "below"
    if draft.limit_price is not None:
        better = "lower" if buying else "higher"
        return f"you wait to {verb} {what} at {usd(draft.limit_price)} or {better}"
    if draft.limit_offset is not None:
        away = usd(abs(draft.limit_offset))
        return f"you wait to {verb} {what} at a limit {away} {side} where it starts"
    return f"you {verb} about {what} at the market, never {side} {usd(preview.worst_price)}"


def _sold_again(draft: OrderDraft) -> str:
    """Say what the attached close does."""
    if draft.close is None:
        return ""
    at = [
        f"{words} {usd(price)}"
        for words, price in (
            ("falls to", draft.close.stop_loss),
            ("rises to", draft.close.take_profit),
        )
        if price is not None
    ]
    return f" What you get is sold again when the price {' or '.join(at)}."


def facts(draft: OrderDraft, preview: Preview, means: Means) -> list[Fact]:
    """Give price, fee, worst case and what is left, each in a figure."""
    rate = preview.maker_rate if draft.post_only else preview.taker_rate
    rounded = receipt(draft, preview).fee
    fee = usd(rounded) if rounded >= 0 else f"{usd(rounded)} back"
    found = [
        Fact("Price a share", usd(preview.estimated_price)),
        Fact(f"Fee, {percent(abs(rate) * 100)}", fee),
    ]
    if draft.side == Order.Side.BUY:
        most = at_most(draft, preview)
        left = max(means.cash - most, Decimal(0)).quantize(CENT, ROUND_FLOOR)
        return [*found, Fact("Costs at most", usd(most)), Fact("Left to spend", usd(left))]
    left = max(means.shares - preview.estimated_quantity, Decimal(0))
    return [
        *found,
        Fact("At worst, a share", usd(preview.worst_price)),
        Fact("Left to sell", f"{count(left)} {draft.instrument.symbol}"),
    ]


def at_most(draft: OrderDraft, preview: Preview) -> Decimal:
    """Give what a purchase can cost with its fee, rounded up to the cent."""
    cost = draft.notional
    if cost is None:
        cost = preview.worst_price * (draft.quantity or Decimal(0))
    return (cost * (1 + max(preview.taker_rate, Decimal(0)))).quantize(CENT, ROUND_CEILING)


def cautions(
    draft: OrderDraft, preview: Preview, means: Means, reference: Decimal | None
) -> list[str]:
    """Say what is worth a second look: a large sum, or a price far from the market."""
    found = []
    cost, cash = preview.estimated_cost, means.cash
    much = draft.side == Order.Side.BUY and cash and cost >= max(cash * MUCH, WORTH_ASKING)
    if much:
        share = (cost * 100 / cash).quantize(Decimal(1), ROUND_FLOOR)
        found.append(f"That is {min(share, Decimal(100))}% of the cash you have.")
    elif cost >= LARGE:
        found.append(f"That is a large order: about {usd(cost)}.")
    price, far = draft.limit_price, FAR
    if draft.type in STOPPING:
        price, far = draft.trigger_price, FAR_TRIGGER
    if price is not None and reference and abs(price / reference - 1) >= far:
        found.append(_far_away(draft, price, reference))
    return found


def _far_away(draft: OrderDraft, price: Decimal, reference: Decimal) -> str:
    away = percent((abs(price / reference - 1) * 100).quantize(Decimal("0.1")))
    above = price > reference
    name = "trigger" if draft.type in STOPPING else "limit"
    side = "above" if above else "below"
    said = f"Your {name} is {away} {side} the price just now, {usd(reference)}."
    if name == "limit" and above == (draft.side == Order.Side.BUY):
        said += " It would trade at once, perhaps at a worse price than at the market."
    return said
