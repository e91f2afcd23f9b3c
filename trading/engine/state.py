"""What the engine remembers, and what it says about each command.

Every record here is plain data (integers, strings, None): the engine process writes it to the
database, and reading it back is all a restart needs. Prices are integer ticks, quantities are base
units of the share, money is USD units of 10^-6, times are microseconds since the epoch.
"""

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from msgspec import Meta, Struct, field

BIGGEST = 2**63 - 1
BIGGEST_MULTIPLIER_E18 = 10**29
Count = Annotated[int, Meta(ge=0, le=BIGGEST)]
Positive = Annotated[int, Meta(ge=1, le=BIGGEST)]
Rate = Annotated[int, Meta(gt=-1_000_000, lt=1_000_000)]
Multiplier = Annotated[int, Meta(ge=1)]

Side = Literal["buy", "sell"]
OrderType = Literal[
    "market",
    "limit",
    "stop-loss",
    "stop-loss-limit",
    "take-profit",
    "take-profit-limit",
    "trailing-stop",
    "trailing-stop-limit",
    "iceberg",
    "quote",
]
TimeInForce = Literal["gtc", "ioc", "fok", "gtd"]
SelfTrade = Literal["cancel_newest", "cancel_oldest", "cancel_both"]
OrderStatus = Literal["open", "partially_filled", "filled", "cancelled", "rejected", "expired"]
MarketState = Literal[
    "online", "cancel_only", "post_only", "limit_only", "reduce_only", "maintenance", "delisted"
]
Result = Literal["accepted", "rejected", "ignored"]


TRIGGERED = frozenset(
    {
        "stop-loss",
        "stop-loss-limit",
        "take-profit",
        "take-profit-limit",
        "trailing-stop",
        "trailing-stop-limit",
    }
)


class Record(Struct, omit_defaults=True, gc=False):
    """A plain mutable record, copied by `__copy__` (which every Struct has).

    As JSON (`msgspec.to_builtins`, `msgspec.convert`) it leaves out what is at its default.
    """

    if TYPE_CHECKING:

        def __copy__(self) -> Self: ...


class OrderState(Record, gc=False):
    """One order: its terms as placed, and its life since.

    The terms are the payload of `place`, under the same names (`id` is `order` there). The life
    begins with `status`. `price` is the limit, or the worst price a market order may trade at; an
    order with a trigger waits for it outside the book, and one with `take_profit_price` besides
    has two, of which the first ends the other. `trail` is in `trail_unit`; a trailing-stop-limit
    gets its limit `limit_offset` ticks from where it fires, but never worse than `price`.
    `display` is what an iceberg shows at a time. An order whose base units were counted by another
    multiplier than `multiplier_e18` is refused.

    `remaining` is what may still trade in base units; it is None while an order by notional has
    not come to rest, and `remaining_notional` counts then. `budget` is what is left of the order's
    hold: USD units for a buy, base units for a sell. `priority` is the place in the queue, or among
    the orders that wait for a trigger; 0 when the order waits nowhere.
    """

    id: Positive = field(name="order")
    owner: int
    instrument: int
    side: Side
    type: OrderType
    price: Positive | None = None
    quantity: Positive | None = None
    notional: Positive | None = None
    maker_ppm: Rate = 0
    taker_ppm: Rate = 0
    tif: TimeInForce = "gtc"
    expires_at: Positive | None = None
    post_only: bool = False
    reduce_only: bool = False
    stp: SelfTrade = "cancel_newest"
    trigger: Literal["last", "mark"] | None = None
    trigger_price: Positive | None = None
    take_profit_price: Positive | None = None
    trail: Positive | None = None
    trail_unit: Literal["ticks", "ppm"] = "ticks"
    limit_offset: int | None = None
    display: Positive | None = None
    close: dict[str, Any] | None = None
    deadline: Positive | None = None
    multiplier_e18: Multiplier | None = None
    budget: Count = 0

    status: OrderStatus = "open"
    reason: str | None = None
    filled: int = 0
    cost: int = 0
    fee: int = 0
    remaining: int | None = None
    remaining_notional: int | None = None
    priority: int = 0
    displayed: int | None = None
    triggered: bool = False
    trail_extreme: int | None = None
    levels: list[list[int]] | None = None
    opened_at: int = 0
    closed_at: int | None = None


class InstrumentState(Record, gc=False):
    """One listed instrument: its scale, its market state, and the prices the engine last saw.

    A tick is `tick_num / tick_den` USD per share; a share is 10^`base_scale` base units times
    `multiplier_e18` / 10^18. When trades have been more than `band_ppm` of the mark away from it
    for `band_after_us`, trading pauses for `pause_us`. Where `hours` are given, it trades in these
    spans (opens, closes) only: the present or next one comes first, and `closed` says which it is.
    """

    id: int = field(name="instrument")
    tick_num: Positive
    tick_den: Positive
    base_scale: Annotated[int, Meta(ge=0, le=18)] = 8
    multiplier_e18: Multiplier = 10**18
    state: MarketState = "online"
    last: int | None = None
    mark: int | None = None
    mark_at: int | None = None
    band_ppm: Positive | None = None
    band_after_us: Count = 15_000_000
    pause_us: Positive = 300_000_000
    band_since: int | None = None
    paused_until: int | None = None
    hours: list[list[int]] | None = None
    closed: bool = False


class ParticipantState(Record, gc=False):
    """One customer's dead-man switch: at `deadline` all open orders are cancelled."""

    owner: int
    deadline: int | None = None


class ShardState(Struct, gc=False):
    """Everything a shard's engine is: from it, and the commands after it, the rest follows.

    At `quotes_until` all standing quotes are withdrawn, unless they are confirmed before; None
    where there is nothing to withdraw.
    """

    sequence: int = 0
    time: int = 0
    priority: int = 0
    quotes_until: int | None = None
    instruments: list[InstrumentState] = []
    orders: list[OrderState] = []
    participants: list[ParticipantState] = []


class Fill(Struct, frozen=True, gc=False):
    """A trade between two orders, at the price of the one that was waiting (the maker).

    `cost` and both fees are USD units; a negative fee is a rebate.
    """

    instrument: int
    maker: int
    taker: int
    buy: int
    sell: int
    price: int
    quantity: int
    cost: int
    buy_fee: int
    sell_fee: int
    maker_side: Side
    multiplier_e18: int


class Freed(Struct, frozen=True, gc=False):
    """A part of an order's hold that the order can no longer need."""

    order: int
    amount: int


class Outcome(Struct, gc=False):
    """What one command did. Orders are copies: later commands do not change them."""

    result: Result = "accepted"
    reason: str | None = None
    trades: Sequence[Fill] = ()
    releases: Sequence[Freed] = ()
    orders: Sequence[OrderState] = ()
    books: Set[int] = frozenset()
    instruments: Sequence[InstrumentState] = ()
    participants: Sequence[ParticipantState] = ()


class BookView(Struct, frozen=True, gc=False):
    """The visible book: (ticks, base units) per price, best first."""

    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
