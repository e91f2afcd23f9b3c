"""The matching engine: price-time priority over integers, in memory, deterministic.

`Engine(state)` is built from what the database holds; `engine.apply(sequence, at, kind, payload)`
carries out one command of the log and says what changed. The same commands from the same state
make the same trades and books, queue positions included. Times are microseconds since the epoch,
prices ticks, quantities base units, money USD units of 10^-6.

Commands (payloads are the records of `OrderState`'s terms and of `orders`, `amend`,
`instruments`): place, cancel, cancel_all, amend, quote, instrument, state, mark, multiplier, clock.
"""

from trading.engine.core import Engine
from trading.engine.state import (
    BookView,
    Fill,
    Freed,
    InstrumentState,
    OrderState,
    Outcome,
    ParticipantState,
    ShardState,
)

__all__ = [
    "BookView",
    "Engine",
    "Fill",
    "Freed",
    "InstrumentState",
    "OrderState",
    "Outcome",
    "ParticipantState",
    "ShardState",
]
