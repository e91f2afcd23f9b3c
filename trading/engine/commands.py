"""The commands the engine knows, as records; and how a payload of the log becomes one.

Reading checks every type and every contradiction that needs no book. What cannot be read becomes
`Unreadable`, which the engine rejects.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from trading.engine.state import (
    BIGGEST,
    TRIGGERED,
    Count,
    Freed,
    InstrumentState,
    MarketState,
    Multiplier,
    OrderState,
    Positive,
    Rate,
)

PPM = 1_000_000
YEAR_US = 366 * 86_400 * PPM
MOST_SPANS = 100
MOST_TIPS = 15  # an iceberg is at most this many times what it shows
PLAIN = frozenset({"market", "limit"})
AT_MARKET = frozenset({"market", "stop-loss", "take-profit", "trailing-stop"})
TRAILING = frozenset({"trailing-stop", "trailing-stop-limit"})

Reason = Annotated[str, Meta(max_length=40)]
Span = Annotated[int, Meta(ge=0, le=YEAR_US)]


class Cancel(Struct, gc=False):
    """Take one open order off the book."""

    id: int = field(name="order")
    reason: Reason | None = None


class CancelAll(Struct, gc=False):
    """Take all open orders of one owner off the books, or off one book."""

    owner: int
    instrument: int | None = None
    reason: Reason | None = None


class CancelAllAfter(Struct, gc=False):
    """Cancel all of an owner's orders unless this is renewed in time; 0 disarms."""

    owner: int
    timeout_us: Span


class Amend(Struct, gc=False):
    """Change an open order's total quantity, its price, or the trigger it still waits for."""

    id: int = field(name="order")
    quantity: Positive | None = None
    price: Positive | None = None
    trigger_price: Positive | None = None
    budget_increase: Count = 0


class Quote(Struct, gc=False):
    """New levels, best first, as (ticks, base units), and what is added to either hold.

    At `until` they are withdrawn if nobody has confirmed them; a quote that late is refused. Where
    `multiplier_e18` is given, the levels count by it and are refused under another one.
    """

    instrument: int
    bid_order: Positive
    ask_order: Positive
    until: Positive
    bids: list[tuple[Positive, Positive]] = []
    asks: list[tuple[Positive, Positive]] = []
    bid_budget_increase: Count = 0
    ask_budget_increase: Count = 0
    owner: int = 0
    maker_ppm: Rate = 0
    multiplier_e18: Multiplier | None = None


class Confirm(Struct, gc=False):
    """All standing quotes stand until then, but for those of the instruments named."""

    until: Positive
    withdrawn: list[int] = []


class SetState(Struct, gc=False):
    """Open, restrict or close trading in an instrument."""

    instrument: int
    state: MarketState


class Mark(Struct, gc=False):
    """New reference prices in ticks, by instrument id (a string in JSON)."""

    prices: dict[str | int, Positive]


class SetBand(Struct, gc=False):
    """The price band of an instrument; without `band_ppm` it has none."""

    instrument: int
    band_ppm: Positive | None = None
    band_after_us: Span = 15_000_000
    pause_us: Annotated[int, Meta(ge=1, le=YEAR_US)] = 300_000_000


class SetHours(Struct, gc=False):
    """When instruments trade: spans (opens, closes), oldest first; None is at any hour."""

    instruments: list[int]
    spans: Annotated[list[tuple[Positive, Positive]], Meta(max_length=MOST_SPANS)] | None = None


class SetMultiplier(Struct, gc=False):
    """A corporate action: a base unit stands for another number of shares."""

    instrument: int
    multiplier_e18: Multiplier


class Clock(Struct, gc=False):
    """Let time pass: what was due has happened before any command."""


class Unreadable(Struct, gc=False):
    """A command that makes no sense; what it named of holds is freed."""

    reason: str
    order: OrderState | None = None
    increases: tuple[Freed, ...] = ()


Command = (
    OrderState
    | Cancel
    | CancelAll
    | CancelAllAfter
    | Amend
    | Quote
    | Confirm
    | InstrumentState
    | SetState
    | Mark
    | SetBand
    | SetHours
    | SetMultiplier
    | Clock
    | Unreadable
)

RECORDS: dict[str, type[Command]] = {
    "place": OrderState,
    "cancel": Cancel,
    "cancel_all": CancelAll,
    "cancel_all_after": CancelAllAfter,
    "amend": Amend,
    "quote": Quote,
    "confirm": Confirm,
    "instrument": InstrumentState,
    "state": SetState,
    "mark": Mark,
    "band": SetBand,
    "hours": SetHours,
    "multiplier": SetMultiplier,
    "clock": Clock,
}
DECODERS = {kind: msgspec.json.Decoder(record) for kind, record in RECORDS.items()}
INCREASES = (
    ("order", "budget_increase"),
    ("bid_order", "bid_budget_increase"),
    ("ask_order", "ask_budget_increase"),
)


def read(kind: str, payload: dict[str, Any] | str | bytes) -> Command:
    """Read a command of the log from its payload, or from the payload's JSON."""
    record = RECORDS.get(kind)
    if record is None:
        return Unreadable("unknown_kind")
    try:
        if isinstance(payload, str | bytes):
            command = DECODERS[kind].decode(payload)
        else:
            command = msgspec.convert(payload, record)
    except (msgspec.DecodeError, RecursionError):
        return unreadable(kind, payload)
    if isinstance(command, OrderState):
        begin_life(command)
        if contradicts(command):
            return Unreadable("poisonous", command)
    return command


def unreadable(kind: str, payload: dict[str, Any] | str | bytes) -> Unreadable:
    """Find in a senseless payload the holds it names, as far as it does."""
    if isinstance(payload, str | bytes):
        try:
            payload = msgspec.json.decode(payload)
        except (msgspec.DecodeError, RecursionError):
            payload = {}
    named = payload if isinstance(payload, dict) else {}
    if kind == "place":
        if not is_count(named.get("order")):
            return Unreadable("poisonous")
        order = OrderState(named["order"], 0, 0, "buy", "limit")
        order.budget = named["budget"] if is_count(named.get("budget")) else 0
        return Unreadable("poisonous", order)
    increases = tuple(
        Freed(named[order], named[increase])
        for order, increase in INCREASES
        if is_count(named.get(order)) and is_count(named.get(increase))
    )
    return Unreadable("poisonous", None, increases)


def is_count(value: object) -> bool:
    """Tell whether a value is a positive integer the database can hold."""
    return type(value) is int and 0 < value <= BIGGEST


def begin_life(order: OrderState) -> None:
    """Set what the engine keeps of a new order, whatever its payload said."""
    order.status = "open"
    order.reason = order.displayed = order.trail_extreme = order.levels = order.closed_at = None
    order.filled = order.cost = order.fee = order.priority = 0
    order.triggered = False
    order.remaining = order.quantity
    order.remaining_notional = order.notional


def contradicts(order: OrderState) -> bool:
    """Tell whether an order's terms contradict each other."""
    return (
        order.price is None
        or (order.quantity is None) == (order.notional is None)
        or (order.tif == "gtd") != (order.expires_at is not None)
        or (order.post_only and never_rests(order))
        or (is_special(order) if order.type in PLAIN else special_contradicts(order))
    )


def never_rests(order: OrderState) -> bool:
    """Tell whether what an order does not trade at once is cancelled."""
    return order.tif in {"ioc", "fok"} or order.type in AT_MARKET


def is_special(order: OrderState) -> bool:
    """Tell whether an order has a trigger, a trail or a display."""
    special = (order.trigger_price, order.take_profit_price, order.trail, order.display)
    return special != (None, None, None, None)


def special_contradicts(order: OrderState) -> bool:
    """Tell whether a trigger, a trail or a display is missing, or is where it has no meaning."""
    kind = order.type
    if kind == "iceberg":
        display, quantity = order.display or 0, order.quantity or 0
        return not (0 < display <= quantity <= MOST_TIPS * display) or order.trail is not None
    trailing = kind in TRAILING
    return (
        kind not in TRIGGERED
        or order.display is not None
        or (order.trail is not None) != trailing
        or (order.trigger_price is None) != trailing
        or (order.take_profit_price is not None and kind not in {"stop-loss", "stop-loss-limit"})
        or (order.trail_unit == "ppm" and (order.trail or 0) >= PPM)
    )
